"""Zarr arrays (format 2 and 3) that are no OME-Zarr: voxels without a voxel size; read only.

Axes are those of ``dimension_names`` (or of xarray's ``_ARRAY_DIMENSIONS``) where these are among t, c, z, y, x; else
they are guessed as those of TIFF, and a warning says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._faults import reading
from ._names import bare_name
from ._unnamed import volume_of
from ._zarr_voxels import attributes_of, lazy_array, missing_chunks, node_kind, open_array

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

__all__ = ["FORMAT", "PlainZarrFormat"]


class PlainZarrFormat:
    """A bare chunked array."""

    name = "plain_zarr"
    title = "Zarr array"
    suffixes = (".zarr",)

    def sniff(self, path: Path) -> bool:
        """Whether the folder is a Zarr array."""
        return node_kind(path) == "array"

    def open(self, path: Path) -> Volume:
        """Open lazily."""
        return self._open(path, labels=False)

    def open_labels(self, path: Path) -> Volume:
        """Open as labels: an unnamed axis is never channels."""
        return self._open(path, labels=True)

    def _open(self, path: Path, *, labels: bool) -> Volume:
        with reading(path, self.title):
            array = open_array(path)
            missing = missing_chunks(array) if not labels else None
            return volume_of(
                path,
                lazy_array(path, array),
                _axes(path, array),
                name=bare_name(path.name, self.suffixes),
                format_=self.name,
                kind=f"Zarr {array.metadata.zarr_format}",
                labels=labels,
                notes=(missing,) if missing else (),
            )


FORMAT = PlainZarrFormat()


def _axes(path: Path, array: Any) -> str | None:
    names = getattr(array.metadata, "dimension_names", None)
    names = names or attributes_of(path).get("_ARRAY_DIMENSIONS")
    if not isinstance(names, (list, tuple)) or len(names) != array.ndim:
        return None
    letters = "".join(str(n).upper() for n in names)
    known = len(letters) == array.ndim == len(set(letters)) and set(letters) <= set("TCZYX")
    return letters if known and {"Y", "X"} <= set(letters) else None
