"""Volumes of arrays that come without a grid: axes guessed, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from ._axes import canonical, guessed, named

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["volume_of"]


def volume_of(
    path: Path,
    array: Any,
    axes: str | None,
    *,
    name: str,
    format_: str,
    kind: str,
    labels: bool,
    notes: tuple[str, ...] = (),
) -> Volume:
    """A volume in pixels of a lazy array.

    Parameters
    ----------
    path
        Where it came from.
    array
        In the order of the file.
    axes
        One letter of ``TCZYX`` per axis where the file names them, else None: they are guessed as those of TIFF.
    name, format_, kind
        Of the volume.
    labels
        Whether no axis can be channels.
    notes
        Further warnings.
    """
    shape = tuple(int(n) for n in array.shape)
    if len(shape) < 2:
        raise FormatError(f"expected two axes or more, found an array of {shape}", path=path)
    samples = array.dtype == "u1" and not labels
    letters = axes or guessed(shape, samples=samples)
    full, unsure = named(letters, shape, labels=labels)
    found, order = canonical(array, full)
    if axes is None and (unsure or "S" in letters):
        notes = (*notes, f"the file does not name its axes {shape}; taken as {order}")
    rgb = "S" in letters and found.shape[order.index("C")] in (3, 4)
    grid = Grid.regular(order, found.shape)
    return Volume(
        found,
        grid,
        channels=("red", "green", "blue", "alpha")[: grid.length("C")] if rgb else (),
        name=name,
        source=str(path),
        format=format_,
        rgb=rgb,
        metadata={"kind": kind, "warnings": notes},
    )
