"""Pictures through Pillow: their voxels, and which of their channels say something."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ._faults import MAX_DEFLATE_RATIO, check_claim, reading

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["is_picture", "picture_size", "picture_texts", "read_picture", "simplify"]

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_COLOURS = ("red", "green", "blue", "alpha")
_FORMATS = ("PNG", "JPEG", "BMP")


def is_picture(path: Path) -> bool:
    """Whether the first bytes are those of PNG, JPEG or BMP."""
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_MAGIC)
    except OSError:
        return False


def picture_size(path: Path) -> tuple[int, int] | None:
    """Height and width as the header says; None for what is no picture."""
    from PIL import Image

    if not is_picture(path):
        return None
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
    except Exception:  # noqa: BLE001  (Pillow raises many kinds on a broken header)
        return None
    return height, width


def picture_texts(path: Path) -> dict[str, str]:
    """Texts kept in a PNG before its pixels; none of what is broken or another format."""
    from PIL import Image

    if not is_picture(path):
        return {}
    try:
        with Image.open(path, formats=("PNG",)) as image:
            # Without pixels: texts that follow them, as other programs write them, are not waited for.
            return {str(k): str(v) for k, v in image.info.items() if isinstance(v, str)}
    except Exception:  # noqa: BLE001  (Pillow raises many kinds on a broken header)
        return {}


def read_picture(path: Path, *, palette_index: bool) -> tuple[NDArray[Any], str, dict[str, Any]]:
    """Array ``(Y, X)`` or ``(Y, X, samples)``, the kind of picture, and the texts kept in it."""
    from PIL import Image

    with reading(path, "picture"), warnings.catch_warnings():
        # Pillow only warns of a picture that would fill the memory.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=("PNG", "JPEG", "BMP")) as image:
            kind = str(image.format)
            if kind == "PNG":
                _check_png(path, image)
            text = getattr(image, "text", {}) if kind == "PNG" else {}
            deep = kind == "PNG" and _is_deep_colour(path)
            array = _deep_colour(path) if deep else _pixels(image, palette_index=palette_index)
    return array, kind, text


def _check_png(path: Path, image: Any) -> None:
    claimed = image.size[0] * image.size[1] // 8
    check_claim(path, claimed, path.stat().st_size, MAX_DEFLATE_RATIO)


def _is_deep_colour(path: Path) -> bool:
    """Whether a PNG has 16 bits and more than one sample, which Pillow would cut to 8 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] in (2, 4, 6)


def _deep_colour(path: Path) -> NDArray[Any]:
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(path.read_bytes()))


def _pixels(image: Any, *, palette_index: bool) -> NDArray[Any]:
    if image.mode in ("P", "PA") and not palette_index:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        image = image.convert("RGB")
    array = np.asarray(image)
    if array.dtype == bool:
        return array.astype(np.uint8)
    if image.mode == "I" and array.size and array.min() >= 0 and array.max() <= 65535:
        return array.astype(np.uint16)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def simplify(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Drop channels that carry nothing; return what is left with its channel names."""
    if array.ndim == 2:
        return array, ()
    has_alpha = array.shape[-1] in (2, 4)
    colours, alpha = (array[..., :-1], array[..., -1]) if has_alpha else (array, None)
    grey = bool((colours == colours[..., :1]).all())
    constant = alpha is None or bool((alpha == alpha.flat[0]).all())
    if grey and constant:
        return np.ascontiguousarray(colours[..., 0]), ()
    if colours.shape[-1] == 1:
        return array, ("grey", "alpha")
    if alpha is not None and constant and alpha.flat[0] == np.iinfo(alpha.dtype).max:
        return colours, _COLOURS[:3]
    return array, _COLOURS[: array.shape[-1]]
