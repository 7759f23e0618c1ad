"""Compressed DICOM frames through imagecodecs, as a plug-in of pydicom's decoders.

pydicom knows what the decoded numbers mean (sign, unused bits, colour space) and imagecodecs how to decode them; other
plug-ins would be needed otherwise, the one for lossless JPEG under the GPL.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError, MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.pixels.decoders.base import Decoder, DecodeRunner

__all__ = ["decoder_for"]

_JPEG, _LOSSLESS, _JPEGLS, _JPEG2000 = "jpeg8", "ljpeg", "jpegls", "jpeg2k"
_PREFIX = "1.2.840.10008.1.2.4."
_CODECS = {
    f"{_PREFIX}50": _JPEG,
    f"{_PREFIX}51": _JPEG,
    f"{_PREFIX}57": _LOSSLESS,
    f"{_PREFIX}70": _LOSSLESS,
    f"{_PREFIX}80": _JPEGLS,
    f"{_PREFIX}81": _JPEGLS,
    f"{_PREFIX}90": _JPEG2000,
    f"{_PREFIX}91": _JPEG2000,
    f"{_PREFIX}201": _JPEG2000,
    f"{_PREFIX}202": _JPEG2000,
    f"{_PREFIX}203": _JPEG2000,
}
# What pydicom asks of a plug-in: which packages it needs, by transfer syntax.
DECODER_DEPENDENCIES = dict.fromkeys(_CODECS, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether this build of imagecodecs has the codec of a transfer syntax."""
    import imagecodecs

    return bool(getattr(imagecodecs, _CODECS[uid].upper()).available)


@cache
def decoder_for(syntax: str) -> Decoder:
    """Return pydicom's decoder of a transfer syntax, with imagecodecs behind it.

    A decoder of our own: those of pydicom are shared by everything in the process.

    Raises
    ------
    FormatError
        A transfer syntax that is not known, such as video.
    MissingDependencyError
        imagecodecs was built without the codec.
    """
    from pydicom.pixels.decoders.base import Decoder, get_decoder
    from pydicom.uid import UID

    uid = UID(syntax)
    if syntax not in _CODECS:
        try:
            return get_decoder(uid)
        except NotImplementedError as error:
            raise FormatError(
                f"the compression {uid.name} cannot be decoded",
                remedy="Export it uncompressed, or with JPEG 2000.",
            ) from error
    if not is_available(syntax):
        raise MissingDependencyError(
            f"imagecodecs with {_CODECS[syntax]} is needed to decode {uid.name}",
            remedy="Run: pip install --upgrade imagecodecs",
        )
    decoder = Decoder(uid)
    decoder.add_plugin("imagecodecs", (__name__, "decode"))
    return decoder


def decode(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame, after its own header was compared with the data set's."""
    _check_lengths(source, runner)
    array = _decoded(source, runner)
    expected = (runner.rows, runner.columns)
    if array.shape[:2] != expected or array.size != np.prod(expected) * runner.samples_per_pixel:
        raise ValueError(f"expected a frame of {expected}, found {array.shape}")
    runner.set_option("bits_allocated", array.dtype.itemsize * 8)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    return np.ascontiguousarray(array).tobytes()


def _decoded(source: bytes, runner: DecodeRunner) -> NDArray[Any]:
    import imagecodecs

    codec = _CODECS[str(runner.transfer_syntax)]
    colour = runner.samples_per_pixel > 1
    if codec == _JPEG2000:
        array = imagecodecs.jpeg2k_decode(source)
        if runner.photometric_interpretation in ("YBR_RCT", "YBR_ICT"):
            runner.set_option(
                "photometric_interpretation", "RGB"
            )  # undone by the codestream itself
        return np.asarray(array)
    if codec == _JPEGLS:
        return np.asarray(imagecodecs.jpegls_decode(source))
    if codec == _LOSSLESS:
        return np.asarray(imagecodecs.jpegsof3_decode(source))
    if not colour:
        return np.asarray(imagecodecs.jpeg8_decode(source))
    inside = "RGB" if runner.photometric_interpretation == "RGB" else "YCBCR"
    array = imagecodecs.jpeg8_decode(source, colorspace=inside, outcolorspace="RGB")
    runner.set_option("photometric_interpretation", "RGB")
    return np.asarray(array)


def _check_lengths(source: bytes, runner: DecodeRunner) -> None:
    """Refuse a frame that says it is larger than its image, before room is made for it."""
    found = _jpeg2000_size(source) or _jpeg_size(source)
    expected = (runner.rows, runner.columns)
    if found is not None and found != expected:
        raise ValueError(f"expected a frame of {expected}, found one of {found}")


def _jpeg2000_size(source: bytes) -> tuple[int, int] | None:
    at = source.find(b"\xff\x4f\xff\x51", 0, 256)
    if at < 0 or len(source) < at + 24:
        return None
    x1, y1, x0, y0 = (int.from_bytes(source[i : i + 4], "big") for i in range(at + 8, at + 24, 4))
    return y1 - y0, x1 - x0


def _jpeg_size(source: bytes) -> tuple[int, int] | None:
    """Lines and columns of the frame header (SOF) of JPEG and JPEG-LS."""
    at = 2
    while at + 9 <= len(source) and source[at] == 0xFF:
        marker, length = source[at + 1], int.from_bytes(source[at + 2 : at + 4], "big")
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return (
                int.from_bytes(source[at + 5 : at + 7], "big"),
                int.from_bytes(source[at + 7 : at + 9], "big"),
            )
        at += 2 + length
    return None
