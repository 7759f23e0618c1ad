"""Whether a name may be written in the pixels themselves, where no header tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._dicom_values import text, texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["burned_in"]

# Screens and films that are photographed with what is written on them; PS3.15 E.3.1 names ultrasound and secondary capture.
_LIKELY = {
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "XA": "angiography",
    "RF": "fluoroscopy",
    "ES": "endoscopy",
    "XC": "photography",
    "GM": "microscopy",
    "OT": "other",
    "SC": "secondary capture",
    "OP": "ophthalmic photography",
    "ECG": "ECG",
}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def burned_in(data: Dataset) -> str:
    """Say why text in the pixels cannot be excluded; empty where it can.

    Parameters
    ----------
    data
        Header with modality, SOP class, image type, *Burned In Annotation* and *Conversion Type*.
    """
    said = text(data, "BurnedInAnnotation").upper()
    if said == "NO":
        return ""
    if said == "YES":
        return "the file says that text is burned into its pixels"
    kind = _LIKELY.get(text(data, "Modality").upper())
    captured = text(data, "SOPClassUID").startswith(_CAPTURE) or text(data, "ConversionType")
    types = {part.upper() for part in texts(data, "ImageType")}
    if captured or types & {"SCREEN SAVE", "SCREENSHOT", "SECONDARY CAPTURE"}:
        kind = "secondary capture"
    if kind is None:
        return ""
    return (
        f"images of this kind ({kind}) often have text in their pixels, and the file does not say"
    )
