"""Paths as a person typed them become images; what cannot be used among many is named and left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.io import list_images

from ._console import note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """The images that some paths stand for.

    Parameters
    ----------
    images
        In the order given.
    alone
        Whether one image was named by itself: its error is the command's error, and JSON is one object.
    failed
        Records of paths that stand for nothing.
    """

    images: tuple[Path, ...]
    alone: bool
    failed: tuple[dict[str, Any], ...] = ()

    @classmethod
    def find(
        cls, paths: Sequence[Path], series: str | None = None, *, nested: bool = False
    ) -> Inputs:
        """List the images of files and folders, or the one series of each that is wanted.

        Parameters
        ----------
        nested
            A folder that holds only folders stands for the images in those.

        Raises
        ------
        BadInputError
            The only path stands for nothing.
        """
        if len(paths) == 1:
            images = _listed(paths[0], series, nested)
            alone = series is not None or images == [paths[0]]
            return cls(tuple(images), alone=alone)
        found: list[Path] = []
        failed = []
        for path in paths:
            try:
                found += _listed(path, series, nested)
            except ApprenticeError as error:
                failed.append(_skipped(path, error))
        return cls(tuple(found), alone=False, failed=tuple(failed))

    def each(self, work: Callable[[Path], dict[str, Any]]) -> list[dict[str, Any]]:
        """Call `work` for every image; an error becomes a record with ``error`` where there are other images."""
        records = list(self.failed)
        for image in self.images:
            try:
                records.append(work(image))
            except ApprenticeError as error:
                if self.alone:
                    raise
                records.append(_skipped(image, error))
        return records


def _listed(path: Path, series: str | None, nested: bool) -> list[Path]:
    from napari_apprentice.engine.class_files import class_folders

    try:
        return list_images(path, series=series)
    except ApprenticeError:
        folders = class_folders(path) if nested else []
        if not folders:
            raise
    found: list[Path] = []
    for folder in folders:
        try:
            found += list_images(folder)
        except ApprenticeError as error:
            note(f"napari-apprentice: skipped: {error}")
    if not found:
        raise BadInputError("no image in the folders of this folder", path=path)
    return found


def _skipped(path: Path, error: ApprenticeError) -> dict[str, Any]:
    note(f"napari-apprentice: skipped: {error}")
    return {"path": str(path), "error": str(error)}
