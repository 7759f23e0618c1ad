"""`Volume`: an image on its grid. Lazy arrays stay lazy until someone asks for voxels."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from .errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .grid import Grid

_COLOR = re.compile("#[0-9a-fA-F]{6}")

__all__ = ["SYNTHETIC", "SYNTHETIC_NAME", "Array", "Display", "Volume", "named_synthetic"]

SYNTHETIC = "synthetic"
"""Key of ``Volume.metadata`` under which stands what made an image up."""
SYNTHETIC_NAME = ".synthetic"
"""What the names of files with made-up images have before their suffix: it survives programs that lose the rest."""
_SYNTHETIC_NAME = re.compile(r"\.synthetic(?![a-z0-9])", re.IGNORECASE)


def named_synthetic(name: str) -> bool:
    """Whether the name of a file, of its path's last part, is that of a made-up image: ``"hand-7.synthetic.png"``."""
    return _SYNTHETIC_NAME.search(re.split(r"[/\\]", name)[-1]) is not None


@runtime_checkable
class Array(Protocol):
    """What a volume needs of its array: NumPy, Dask and Zarr arrays all have it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        ...

    @property
    def dtype(self) -> Any:
        """NumPy dtype of the voxels."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """Return a part of the array."""
        ...


@dataclass(frozen=True)
class Display:
    """How a channel is shown: what a microscope or a scanner proposes, and nothing that a network sees.

    Parameters
    ----------
    color
        ``"#RRGGBB"`` of its brightest voxels on black.
    window
        Lowest and highest value shown (contrast limits).
    """

    color: str | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Volume:
    """An array on a `Grid`, with channel names and where it came from.

    Parameters
    ----------
    data
        Array in the order of ``grid.axes``; may be lazy.
    grid
        Its placement; shapes must agree.
    channels
        One name per channel; ``("image",)`` style single name where there is no channel axis.
    name
        Short name without folder, as a layer would be called.
    source
        Path of the file it was read from.
    format
        Registry name of the format it was read with, for example ``"nifti"``.
    rgb
        Whether the channels are red, green, blue (and alpha) of a colour picture.
    is_labels
        Whether the voxels are labels (classes or object numbers) rather than intensities; with `classes` they are.
    classes
        For label volumes: value → class name.
    colors
        For label volumes: value → colour of the class, ``"#RRGGBB"``.
    display
        How each channel is shown, in their order; empty where the file says nothing.
    pyramid
        The same image on ever coarser grids of the same extent, axes as in `data`; for display only.
    metadata
        What the format wants back on saving (headers); plain, picklable values.
    """

    data: Array
    grid: Grid
    channels: tuple[str, ...] = ()
    name: str = "image"
    source: str | None = None
    format: str | None = None
    rgb: bool = False
    is_labels: bool = False
    classes: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    display: tuple[Display, ...] = ()
    pyramid: tuple[Array, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if tuple(self.data.shape) != self.grid.shape:
            raise GridMismatchError(
                f"expected an array of {self.grid.shape} for axes {self.grid.axes}, "
                f"found {tuple(self.data.shape)}",
                path=self.source,
            )
        if self.classes:
            object.__setattr__(self, "is_labels", True)
        count = self.grid.length("C")
        if not self.channels:
            names = (self.name,) if count == 1 else tuple(f"channel {i + 1}" for i in range(count))
            object.__setattr__(self, "channels", names)
        if len(self.channels) != count:
            raise BadInputError(
                f"expected {count} channel names, found {len(self.channels)}", path=self.source
            )
        if self.display and len(self.display) != count:
            raise BadInputError(
                f"expected how {count} channels are shown, found {len(self.display)}",
                path=self.source,
            )
        for value, color in self.colors.items():
            if not _COLOR.fullmatch(color):
                raise BadInputError(
                    f"expected a colour as #RRGGBB for value {value}, found {color!r}",
                    path=self.source,
                )

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the voxels."""
        kind: np.dtype[Any] = np.dtype(self.data.dtype)
        return kind

    @property
    def synthetic(self) -> str | None:
        """What made the image up, as a sentence; None of one that was measured. Such an image never checks a model."""
        said = self.metadata.get(SYNTHETIC)
        if said:
            return str(said)
        is_named = any(named_synthetic(name) for name in (self.source or "", self.name))
        return "made up, as the name of the file says" if is_named else None

    @property
    def nbytes(self) -> int:
        """Size of all voxels in bytes, whether or not they are in memory."""
        return int(np.prod(self.grid.shape, dtype=np.int64)) * self.dtype.itemsize

    def numpy(self) -> NDArray[Any]:
        """Read all voxels into memory, in the order of ``grid.axes``."""
        return np.asarray(self.data)

    def frame(self, time: int = 0) -> Volume:
        """Return one time point as a volume without a time axis (lazy stays lazy)."""
        if "T" not in self.grid.axes:
            return self
        return self._taken(time, self.grid.without("T"))

    def channel_first(self) -> NDArray[Any]:
        """Read one frame's voxels as ``(C, *spatial)``; the volume must not have a time axis."""
        if "T" in self.grid.axes:
            raise BadInputError(
                "expected a single time point; call frame() first", path=self.source
            )
        array = self.numpy()
        return array if "C" in self.grid.axes else array[np.newaxis]

    def select(self, channels: tuple[int, ...]) -> Volume:
        """Keep the given channels, in that order; a single one loses the channel axis."""
        if "C" not in self.grid.axes:
            return self
        at = self.grid.axes.index("C")
        before = (slice(None),) * at
        names = tuple(self.channels[c] for c in channels)
        chosen: int | list[int]
        if len(channels) == 1:
            chosen, grid = channels[0], self.grid.without("C")
        else:
            chosen, grid = list(channels), self.grid.with_channels(len(channels))
        shown = tuple(self.display[c] for c in channels) if self.display else ()
        return self._taken((*before, chosen), grid, channels=names, display=shown, rgb=False)

    def _taken(self, key: Any, grid: Grid, **changes: Any) -> Volume:
        """The same part of every level."""
        levels = tuple(level[key] for level in self.pyramid)
        return replace(self, data=self.data[key], grid=grid, pyramid=levels, **changes)
