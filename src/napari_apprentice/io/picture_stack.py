"""A folder of equally large PNG, JPEG or BMP pictures as one stack, only where a folder is asked for as one image.

Dropping the folder on napari, or ``open_volume(folder)``, gives the stack: the pictures in the order of the numbers in
their names (``2`` before ``10``) are its planes, without a distance. Everywhere else a folder of pictures stands for its
pictures, one by one: on the command line, and for training and evaluation. A picture is read when its plane is looked
at. Other files in the folder are left out, pictures of another size refuse the whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from ._faults import reading
from ._pictures import picture_size, read_picture, simplify

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["FORMAT", "PictureStackFormat"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class PictureStackFormat:
    """A stack in many files."""

    name = "picture_stack"
    title = "Folder of pictures"
    suffixes = ()

    def sniff(self, path: Path) -> bool:
        """Never: a folder of pictures stands for its pictures, unless one image is asked for."""
        return False

    def gathers(self, path: Path) -> bool:
        """Whether the folder can be opened as one image: two pictures or more."""
        return path.is_dir() and len(_pictures(path)) > 1

    def open(self, path: Path) -> Volume:
        """Open lazily; reads the header of every picture and the voxels of the first."""
        return _open(path, labels=False)

    def open_labels(self, path: Path) -> Volume:
        """Open as labels: the indices of palettes, not their colours."""
        return _open(path, labels=True)


FORMAT = PictureStackFormat()


def _pictures(folder: Path) -> list[Path]:
    """Pictures by name, numbers in the order of their values."""
    found = [
        p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")
    ]
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


def _open(path: Path, *, labels: bool) -> Volume:
    import dask.array as da

    files = _pictures(path)
    if len(files) < 2:
        raise FormatError(
            f"expected two pictures or more, found {len(files)}",
            path=path,
            remedy="Open the picture itself.",
        )
    _check_sizes(files)
    planes = _Planes(files, labels=labels)
    array = da.from_array(
        planes,
        chunks=(1, *planes.shape[1:]),
        name=False,
        asarray=False,
        meta=np.empty(0, planes.dtype),
    )
    colour = array.ndim == 4
    array = array.transpose([3, 0, 1, 2]) if colour else array
    grid = Grid.regular("CZYX" if colour else "ZYX", array.shape)
    return Volume(
        array,
        grid,
        channels=planes.channels,
        name=path.name,
        source=str(path),
        format=FORMAT.name,
        rgb=colour and len(planes.channels) > 2,
        metadata={"kind": f"{len(files)} pictures"},
    )


def _check_sizes(files: list[Path]) -> None:
    first = picture_size(files[0])
    for file in files:
        size = picture_size(file)
        if size is None or size != first:
            found = "no picture" if size is None else f"{size[1]} × {size[0]}"
            wanted = "a picture" if first is None else f"{first[1]} × {first[0]} pixels"
            raise FormatError(
                f"expected {wanted} as in {files[0].name}, found {found}",
                path=file,
                remedy="Pictures of one stack are of one size; open the others one by one.",
            )


class _Planes:
    """Pictures one upon the other; each is read when it is asked for."""

    def __init__(self, files: list[Path], *, labels: bool) -> None:
        self._files = files
        self._labels = labels
        first, self.channels = simplify(self._raw(files[0]))
        self.shape: tuple[int, ...] = (len(files), *first.shape)
        self.ndim = len(self.shape)
        self.dtype = first.dtype

    def _raw(self, file: Path) -> NDArray[Any]:
        return read_picture(file, palette_index=self._labels)[0]

    def __getitem__(self, key: tuple[Any, ...]) -> Any:
        chosen = self._files[key[0]]
        if not isinstance(chosen, list):
            return self._plane(chosen)[key[1:]]
        return np.stack([self._plane(file) for file in chosen])[(slice(None), *key[1:])]

    def _plane(self, file: Path) -> NDArray[Any]:
        """The picture with the channels of the first."""
        with reading(file, "picture"):
            array = self._raw(file)
            wanted = self.shape[1:]
            if array.shape != wanted:
                array, _ = simplify(array)
            if array.ndim == 2 and len(wanted) == 3:
                array = np.repeat(array[..., np.newaxis], wanted[-1], axis=-1)
            if array.shape != wanted or array.dtype != self.dtype:
                raise FormatError(
                    f"expected {wanted} {self.dtype} as in {self._files[0].name}, "
                    f"found {array.shape} {array.dtype}",
                    path=file,
                    remedy="Pictures of one stack are of one kind; save them alike.",
                )
        return array
