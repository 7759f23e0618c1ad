"""PNG, JPEG and BMP pictures through Pillow: 2-D, without a voxel size.

What the channels become:

- grey stays one channel; grey stored as RGB or RGBA (all colours equal, alpha constant) becomes one channel;
- an alpha that is opaque everywhere carries nothing and is left out;
- colours become the channel axis with ``rgb=True``; palettes are looked up — except for labels, where the
  palette index is the label;
- 16-bit pictures keep their 16 bits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import SYNTHETIC, Volume

from ._atomic import writing
from ._colors import by_value
from ._names import bare_name
from ._pictures import is_picture, picture_texts, read_picture, simplify

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["FORMAT", "ImageFormat"]

_CLASSES_KEY = "napari-apprentice:classes"
_COLORS_KEY = "napari-apprentice:colors"
_SYNTHETIC_KEY = "napari-apprentice:synthetic"


class ImageFormat:
    """PNG, JPEG and BMP; PNG can be written."""

    name = "images"
    title = "PNG, JPEG or BMP picture"
    suffixes = (".png", ".jpg", ".jpeg", ".bmp")
    writes = (".png",)

    def synthetic(self, path: Path) -> str | None:
        """What the file says that made its image up; see `MarksSynthetic`."""
        return picture_texts(path).get(_SYNTHETIC_KEY)

    def sniff(self, path: Path) -> bool:
        """Whether the first bytes are those of one of the formats."""
        return is_picture(path)

    def open(self, path: Path) -> Volume:
        """Read a picture; these formats cannot be read in part."""
        return _volume(path, *read_picture(path, palette_index=False))

    def open_labels(self, path: Path) -> Volume:
        """Read a picture as labels: the indices of a palette, not its colours."""
        return _volume(path, *read_picture(path, palette_index=True))

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot become a PNG."""
        grid = volume.grid
        if grid.ndim != 2 or "T" in grid.axes:
            return f"a PNG holds one plane, found axes {grid.axes}"
        if volume.dtype.kind not in "biu":
            return f"a PNG holds whole numbers from 0 to 65535, found {volume.dtype}"
        if grid.unit != "pixel":
            size = " × ".join(f"{s:g}" for s in grid.spacing)
            return f"a PNG loses the voxel size ({size} {grid.unit})"
        if "C" in grid.axes and not (volume.rgb and volume.dtype == np.uint8):
            return (
                f"a PNG holds one channel or 8-bit colours, found {len(volume.channels)} channels"
            )
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write a PNG of 8 or 16 bits; class names go into a text chunk."""
        from PIL import Image, PngImagePlugin

        if path.suffix.lower() != ".png":
            raise FormatError(
                f"only PNG can be written, found {path.suffix}", path=path, remedy="Save as .png."
            )
        array = _for_png(volume, path)
        info = PngImagePlugin.PngInfo()
        if volume.classes:
            for key, texts in ((_CLASSES_KEY, volume.classes), (_COLORS_KEY, volume.colors)):
                by_text = {str(value): text for value, text in texts.items()}
                info.add_itxt(key, json.dumps(by_text, ensure_ascii=False))
        if volume.synthetic is not None:
            info.add_itxt(_SYNTHETIC_KEY, volume.synthetic)
        with writing(path) as temporary:
            Image.fromarray(array).save(temporary, format="PNG", pnginfo=info)


FORMAT = ImageFormat()


def _note(text: dict[str, Any], key: str) -> dict[int, str]:
    try:
        return {int(k): str(v) for k, v in json.loads(str(text.get(key, "{}"))).items()}
    except (ValueError, AttributeError):
        return {}


def _made_by(text: dict[str, Any]) -> dict[str, str]:
    said = str(text.get(_SYNTHETIC_KEY, ""))
    return {SYNTHETIC: said} if said else {}


def _volume(path: Path, array: NDArray[Any], kind: str, text: dict[str, Any]) -> Volume:
    array, channels = simplify(array)
    colour = len(channels) > 2
    if array.ndim == 3:
        array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return Volume(
        array,
        Grid.regular("CYX" if array.ndim == 3 else "YX", array.shape),
        channels=channels,
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=colour,
        classes=_note(text, _CLASSES_KEY),
        colors=by_value(_note(text, _COLORS_KEY)),
        metadata={"kind": kind, **_made_by(text)},
    )


def _for_png(volume: Volume, path: Path) -> NDArray[Any]:
    array = volume.numpy()
    if "C" in volume.grid.axes:
        return np.ascontiguousarray(np.moveaxis(array, 0, -1))
    if array.dtype == bool or array.dtype == np.uint8:
        return array.astype(np.uint8)
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 65535:
        raise FormatError(
            f"a PNG holds whole numbers from 0 to 65535, found {array.dtype} "
            f"from {array.min()} to {array.max()}",
            path=path,
            remedy="Save as .tif.",
        )
    return array.astype(np.uint16)
