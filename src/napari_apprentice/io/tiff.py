"""TIFF, BigTIFF, ImageJ hyperstacks and OME-TIFF through tifffile.

Axes: the file's own letters where it has them (OME, ImageJ, tifffile). Colour samples become channels. Axes of
length one without a meaning are dropped. What is left without a letter is guessed, and a warning says so:

- one unnamed axis of 2 to 4 planes is channels — of labels, which have none, it is depth;
- one unnamed axis of more planes is depth; with two, the first is time (or channels, by the same rule).

Coarser levels (SubIFDs, or pages marked as reduced) are for display. The largest of several series is opened; the others
are listed, and opened by number or name. Colours and windows of channels are those of OME, ImageJ and LSM.

Voxel size: OME ``PhysicalSize``; LSM; ImageJ ``spacing``, ``unit`` and resolution; of a plain TIFF the resolution in
centimetres or inches, unless it is one that programs write when they know nothing (1, 72, 96, 150 … dpi).

Labels and images are written as ImageJ hyperstacks, which Fiji opens with a double click, where that format can
hold them, and as OME-TIFF where it cannot or where the name ends in ``.ome.tif``. Class names and colours, and an affine
that is more than a spacing, go into OME map annotations, or into ImageJ's ``Info``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import SYNTHETIC, Volume

from ._atomic import writing
from ._axes import canonical, named
from ._faults import reading
from ._format import Series
from ._names import bare_name
from ._series import pick
from ._tiff_place import Facts, facts_of
from ._tiff_voxels import check_chain, check_series, lazy_array
from ._tiff_write import layout_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMAT", "TiffFormat"]

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class TiffFormat:
    """The format of microscopes."""

    name = "tiff"
    title = "TIFF"
    writes = (".ome.tiff", ".ome.tif", ".tiff", ".tif")
    suffixes = (*writes, ".lsm")

    def synthetic(self, path: Path) -> str | None:
        """What the file says that made its image up; see `MarksSynthetic`."""
        return self.open(path).metadata.get(SYNTHETIC)

    def sniff(self, path: Path) -> bool:
        """Whether the first four bytes are those of TIFF or BigTIFF."""
        try:
            with path.open("rb") as file:
                return file.read(4) in _MAGIC
        except OSError:
            return False

    def open(self, path: Path) -> Volume:
        """Open the largest series lazily; the others are named in ``metadata["series"]``."""
        return _open(path, None, labels=False)

    def open_labels(self, path: Path) -> Volume:
        """Open as labels: an unnamed axis is never channels."""
        return _open(path, None, labels=True)

    def open_series(self, path: Path, series: str) -> Volume:
        """Open one of several series lazily, by its number from 0 or its name."""
        return _open(path, series, labels=False)

    def list_series(self, path: Path) -> list[Series]:
        """List the series, in the file's order."""
        import tifffile

        with reading(path, "TIFF"), tifffile.TiffFile(path) as file:
            return _series(file)

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written as TIFF."""
        if volume.dtype.kind not in "biuf":
            return f"TIFF holds whole or real numbers here, found {volume.dtype}"
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write an ImageJ hyperstack or an OME-TIFF, with voxel size, names and time step."""
        import tifffile

        layout = layout_of(volume, ome=path.name.lower().endswith((".ome.tif", ".ome.tiff")))
        with writing(path) as temporary:
            tifffile.imwrite(temporary, layout.parts, **layout.options)


FORMAT = TiffFormat()


def _series(file: Any) -> list[Series]:
    return [
        Series(str(i), s.name or f"series {i}", shape=tuple(int(n) for n in s.shape))
        for i, s in enumerate(file.series)
    ]


def _chosen(path: Path, file: Any, wanted: str | None) -> int:
    if wanted is not None:
        return int(pick(_series(file), wanted, path).key)
    return max(range(len(file.series)), key=lambda i: int(file.series[i].size))


def _open(path: Path, wanted: str | None, *, labels: bool) -> Volume:
    import tifffile

    with reading(path, "TIFF"):
        file = tifffile.TiffFile(path)
        try:
            broken = check_chain(path, file)
            index = _chosen(path, file, wanted)
            series = file.series[index]
            for level in series.levels:
                check_series(path, level)
            facts = facts_of(file, series, index)
            axes, guessed = named(series.axes, series.shape, labels=labels)
            levels = range(len(series.levels))
            arrays = [canonical(lazy_array(path, file, index, level), axes) for level in levels]
            array, axes = arrays[0]
            coarser = tuple(level for level, letters in arrays[1:] if letters == axes)
            volume = _volume(path, array, axes, facts, rgb=_is_colour(series))
            volume = replace(volume, pyramid=coarser)
            return _with_notes(volume, file, index, guessed, broken)
        finally:
            # The lazy array opens the file anew when it needs it.
            file.close()


def _is_colour(series: Any) -> bool:
    axes, page = series.axes, series.keyframe
    samples = series.shape[axes.index("S")] if "S" in axes else 1
    others = series.shape[axes.index("C")] if "C" in axes else 1
    return samples in (3, 4) and others == 1 and page.photometric.name in ("RGB", "YCBCR")


def _volume(path: Path, array: Any, axes: str, facts: Facts, *, rgb: bool) -> Volume:
    step = facts.time_step if "T" in axes else None
    spatial = "".join(a for a in axes if a in "ZYX")
    if facts.affine is not None and len(facts.affine) == len(spatial) + 1:
        grid = Grid(axes, tuple(array.shape), facts.affine, facts.unit, facts.world, step)
    else:
        spacing = [facts.spacing["ZYX".index(a)] for a in spatial]
        grid = Grid.regular(axes, array.shape, spacing, unit=facts.unit, time_step=step)
    count = grid.length("C")
    names = ("red", "green", "blue", "alpha")[:count] if rgb else facts.channels
    made = {SYNTHETIC: facts.synthetic} if facts.synthetic else {}
    return Volume(
        array,
        grid,
        channels=names if len(names) == count and "C" in axes else (),
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=rgb,
        display=facts.display if len(facts.display) == count and not rgb else (),
        is_labels=facts.is_labels and array.dtype.kind in "biu" and "C" not in axes,
        classes=facts.classes,
        colors=facts.colors,
        metadata={"kind": facts.kind, "warnings": facts.warnings, **made},
    )


def _with_notes(volume: Volume, file: Any, index: int, guessed: bool, broken: str | None) -> Volume:
    warnings = tuple(volume.metadata["warnings"])
    if broken:
        warnings += (broken,)
    if guessed:
        warnings += (
            f"the file does not name its axes {tuple(file.series[index].shape)}; taken as {volume.grid.axes}",
        )
    others = tuple(
        f"{s.name or 'series'} {i} {s.axes} {tuple(s.shape)}"
        for i, s in enumerate(file.series)
        if i != index
    )
    return replace(volume, metadata={**volume.metadata, "warnings": warnings, "series": others})
