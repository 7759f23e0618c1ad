"""DICOM through pydicom: a file, a folder, or one of several series in a folder; labels as DICOM-SEG.

- A folder is known by what its files are, not by their names. Files in folders below it belong to it.
- Slices are ordered by *Image Position* and *Image Orientation*; instance numbers and slice thickness place nothing.
  The world is LPS in mm; a slice is where its file says, within 1e-4 mm.
- A missing slice is shown empty at its place, a gantry tilt becomes a sheared grid, copies and files that cannot be read
  are left out: `warnings` says so. Uneven spacing and two images at one place are refused.
- Several images at each place (time points, b-values) become the time axis; other image types and echoes are series of
  their own.
- Stored numbers become values with each slice's own slope and intercept. The scanner's window becomes the contrast.
- Grey, RGB, YBR and palette colours; enhanced multi-frame files; RLE, JPEG, lossless JPEG, JPEG-LS and JPEG 2000.
- A film, or images without a place (ultrasound, photographs), have a time axis and the pixel size, where it is given.
- Labels are written as DICOM-SEG that refers to the series they were drawn on, with names and colours, and are read back
  onto its grid. Images are not written as DICOM, except as de-identified copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

    from ._format import Series

__all__ = ["FORMAT", "DicomFormat"]


class DicomFormat:
    """The format of hospitals. pydicom is imported when a file is opened: it takes half a second."""

    name = "dicom"
    title = "DICOM"
    suffixes = (".dcm", ".dicom")
    writes = (".dcm",)

    def sniff(self, path: Path) -> bool:
        """Whether a file starts like DICOM, or the first files of a folder do."""
        from ._dicom_sniff import is_dicom, looks_like_dicom_folder

        return looks_like_dicom_folder(path) if path.is_dir() else is_dicom(path)

    def open(self, path: Path) -> Volume:
        """Open the one image of a file or folder."""
        from ._dicom_volume import open_chosen

        return open_chosen(path, None)

    def open_series(self, path: Path, series: str) -> Volume:
        """Open one of several series of a folder."""
        from ._dicom_volume import open_chosen

        return open_chosen(path, series)

    def open_files(self, paths: Sequence[Path]) -> list[Volume]:
        """Open files given together, one volume per series."""
        from ._dicom_volume import open_together

        return open_together(paths)

    def list_series(self, path: Path) -> list[Series]:
        """List the series of a folder or file."""
        from ._dicom_volume import scan_path

        return [group.series for group in scan_path(path).groups]

    def check(self, volume: Volume) -> str | None:
        """Return why these labels cannot be written as DICOM-SEG."""
        from ._dicom_seg import why_not

        return why_not(volume)

    def save(self, volume: Volume, path: Path) -> None:
        """Write labels as DICOM-SEG."""
        from ._dicom_seg import write_segmentation

        write_segmentation(volume, path)


FORMAT = DicomFormat()
