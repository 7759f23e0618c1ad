"""OME-Zarr (NGFF) 0.4 and 0.5 in a local folder, through zarr; also the older 0.1 to 0.3.

- The finest level is the volume; coarser levels are for display. Chunks are read when asked for; a chunk that is not
  there reads as the fill value, and a warning says how many.
- Axes come by type and name, spacing and origin from ``coordinateTransformations`` of level and image, channel names,
  colours and windows from ``omero``.
- A folder of several images (a Bio-Formats conversion, a plate) opens at the first; the others are its series.
- Asked for labels, an image gives the first of its ``labels``, under which class names and colours are
  in ``image-label``.

Images are written with a pyramid that is made anew: axes are halved as long as their voxels are not much larger than
the smallest, until a plane is 512 wide or less; images by the mean, labels by one voxel of each block. The version is
that of the source file, else 0.5. Labels saved under the name of an image on the same grid go into its ``labels``;
anything else under that name is written as an image of its own. An affine that is more than scale and translation is
kept in an attribute of our own: other programs see the voxel size and the place of the first voxel, not the rotation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import BadInputError, FormatError
from napari_apprentice.core.volume import Volume

from ._atomic import writing_folder
from ._faults import reading
from ._format import Series
from ._names import bare_name
from ._ngff import channels_of, classes_of, multiscale_of, ome_of, placement_of
from ._ngff_write import register_label, write_image
from ._series import pick
from ._zarr_voxels import attributes_of, inside, lazy_array, missing_chunks, node_kind, open_array

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMAT", "OmeZarrFormat"]

_MOST_IMAGES = 1000
_COLOURS = ("red", "green", "blue")
_PRIMARIES = ["#FF0000", "#00FF00", "#0000FF"]


class OmeZarrFormat:
    """The format of large microscopy, and of the cloud."""

    name = "ome_zarr"
    title = "OME-Zarr"
    suffixes = (".ome.zarr", ".zarr")
    writes = suffixes

    def sniff(self, path: Path) -> bool:
        """Whether the folder is a Zarr group with the metadata of an image, or of several."""
        if node_kind(path) != "group":
            return False
        try:
            return bool({"multiscales", "plate", "well", "bioformats2raw.layout"} & set(_ome(path)))
        except (OSError, ValueError, RecursionError):
            return False

    def list_series(self, path: Path) -> list[Series]:
        """List the images of a folder; the folder itself where it is one."""
        with reading(path, self.title):
            found = _images(path)
            return [_series(key, _open(path, inside(path, part))) for key, part in found.items()]

    def open(self, path: Path) -> Volume:
        """Open the folder's image, or the first of several, lazily."""
        return self.open_series(path, "")

    def open_series(self, path: Path, series: str) -> Volume:
        """Open one of several images lazily, by its key: its path in the folder, with ``-`` for ``/``."""
        with reading(path, self.title):
            known = _images(path)
            key = series or next(iter(known))
            if key not in known:
                pick([Series(one, "") for one in known], key, path)
            volume = _open(path, inside(path, known[key]))
            others = tuple(known) if len(known) > 1 else ()
            return replace(volume, metadata={**volume.metadata, "series": others})

    def open_labels(self, path: Path) -> Volume:
        """Open the first of the labels in an image; an image that has none is taken for labels itself."""
        with reading(path, self.title):
            found = self.labels(path)
            volume = _open(path, found[0]) if found else self.open(path)
            return replace(volume, source=str(found[0] if found else path))

    def labels(self, path: Path) -> tuple[Path, ...]:
        """Label images that lie in the folder of an image; each opens as an OME-Zarr of its own."""
        folder = path / "labels"
        if node_kind(folder) != "group":
            return ()
        names = _ome(folder).get("labels")
        known = [str(n) for n in names] if isinstance(names, list) else []
        return tuple(p for p in (inside(folder, n) for n in known) if node_kind(p) == "group")

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written as OME-Zarr."""
        if volume.dtype.kind not in "biuf":
            return f"OME-Zarr holds whole or real numbers here, found {volume.dtype}"
        return None

    def adds_to(self, volume: Volume, path: Path) -> bool:
        """Whether saving puts labels into an image that is there, rather than replacing it."""
        if not (volume.is_labels and self.sniff(path)):
            return False
        image = self.open(path)
        return not _is_label(path) and image.grid.spatial == volume.grid

    def save(self, volume: Volume, path: Path) -> None:
        """Write an image with its pyramid, or labels into the image that is there."""
        if self.adds_to(volume, path):
            _save_into(path, volume)
            return
        self._check_replaced(volume, path)
        version = "0.4" if volume.metadata.get("kind") == "OME-Zarr 0.4" else "0.5"
        with writing_folder(path) as temporary:
            write_image(temporary, volume, version)

    def _check_replaced(self, volume: Volume, path: Path) -> None:
        if not path.exists():
            return
        if not self.sniff(path) or self.labels(path) or (volume.is_labels and not _is_label(path)):
            raise BadInputError(
                "cannot be written: a folder of this name is there and holds something else"
                if not self.sniff(path)
                else "cannot be written: it would replace an image that is not on this grid or has labels",
                path=path,
                remedy="Save under another name.",
            )


FORMAT = OmeZarrFormat()


def _series(key: str, volume: Volume) -> Series:
    shape = volume.grid.shape
    return Series(key, volume.name, shape=shape)


def _ome(folder: Path) -> dict[str, Any]:
    return dict(ome_of(attributes_of(folder)))


def _is_label(folder: Path) -> bool:
    return "image-label" in _ome(folder)


def _images(path: Path) -> dict[str, str]:
    """Key → path of the images below a folder, in their order; ``.`` where the folder is one itself."""
    ome = _ome(path)
    if "multiscales" in ome:
        return {".": "."}
    if "plate" in ome:
        wells = [str(w["path"]) for w in ome["plate"]["wells"]][:_MOST_IMAGES]
        found = [f"{well}/{field}" for well in wells for field in _fields(inside(path, well))]
    elif "well" in ome:
        found = _fields(path)
    else:
        listed = _ome(path / "OME").get("series")
        numbers = sorted((p.name for p in path.iterdir() if p.name.isdecimal()), key=int)
        found = [str(name) for name in listed] if isinstance(listed, list) else numbers
    if not found:
        raise FormatError(
            "expected at least one image, found none", path=path, remedy="Export it again."
        )
    return {part.replace("/", "-"): part for part in found[:_MOST_IMAGES]}


def _fields(well: Path) -> list[str]:
    return [str(image["path"]) for image in _ome(well)["well"]["images"]]


def _open(path: Path, folder: Path) -> Volume:
    """Open the image in `folder`, which lies at or below `path`."""
    attributes = attributes_of(folder)
    ome = ome_of(attributes)
    image = multiscale_of(ome)
    arrays = [open_array(inside(folder, level.path)) for level in image.datasets]
    place = placement_of(image, tuple(arrays[0].shape))
    levels = [_canonical(lazy_array(folder, array), place.axes) for array in arrays]
    (data, axes), coarser = levels[0], [level for level, _ in levels[1:]]
    grid = place.grid(axes, data.shape, attributes)
    channels, shown = channels_of(ome, grid.length("C"))
    classes, colors = classes_of(ome)
    missing = missing_chunks(arrays[0]) if "image-label" not in ome else None
    return Volume(
        data,
        grid,
        channels=channels if "C" in axes else (),
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=data.dtype == "u1" and channels == _COLOURS and [d.color for d in shown] == _PRIMARIES,
        is_labels="image-label" in ome,
        classes=classes,
        colors=colors,
        display=shown,
        pyramid=_shrinking(data, coarser),
        metadata={
            "kind": f"OME-Zarr {_version(ome, image.version)}",
            "warnings": (*place.warnings, *((missing,) if missing else ())),
            "labels": tuple(p.name for p in FORMAT.labels(folder)),
        },
    )


def _version(ome: Any, said: str | None) -> str:
    return str(ome.get("version") or said or "0.4")


def _canonical(array: Any, letters: str) -> tuple[Any, str]:
    """Transpose to ``TCZYX``; axes of length one without a meaning, and time and channels of one, are dropped."""
    if array.ndim != len(letters):
        raise FormatError(f"expected levels of {len(letters)} axes, found {array.shape}")
    drop = tuple(
        i for i, a in enumerate(letters) if a == "-" or (a in "TC" and array.shape[i] == 1)
    )
    kept = "".join(a for i, a in enumerate(letters) if i not in drop)
    array = array.squeeze(axis=drop) if drop else array
    order = "".join(a for a in "TCZYX" if a in kept)
    return array.transpose([kept.index(a) for a in order]), order


def _shrinking(finest: Any, coarser: list[Any]) -> tuple[Any, ...]:
    """The levels that are levels: as many axes, and each smaller than the one before."""
    found = [finest]
    for level in coarser:
        last = found[-1].shape
        if (
            level.ndim != len(last)
            or level.shape == last
            or any(map(int.__gt__, level.shape, last))
        ):
            break
        found.append(level)
    return tuple(found[1:])


def _save_into(path: Path, volume: Volume) -> None:
    """Put labels into the ``labels`` group of an image, in the image's own version."""
    name = "".join(c if c.isalnum() or c in "._- " else "_" for c in volume.name).strip(". ")
    own = bare_name(path.name, FORMAT.suffixes)
    name = "labels" if name in ("", own) else name
    version = "0.4" if (path / ".zgroup").is_file() else "0.5"
    folder = path / "labels"
    folder.mkdir(exist_ok=True)
    with writing_folder(folder / name) as temporary:
        write_image(temporary, volume, version, source="../../")
    register_label(folder, name, version)
