"""Whether something is DICOM, asked often and therefore without pydicom."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["dicom_files", "is_dicom", "looks_like_dicom_folder"]

_DEEPEST = 8
_SNIFFED = 24


def is_dicom(path: Path) -> bool:
    """Whether a file starts with a preamble and the letters DICM; never raises."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def dicom_files(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted; links to folders are not followed, pipes and devices left out."""
    for root, folders, names in os.walk(folder, followlinks=False):
        depth = len(Path(root).relative_to(folder).parts)
        folders[:] = sorted(n for n in folders if not n.startswith(".")) if depth < _DEEPEST else []
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and name.upper() != "DICOMDIR" and path.is_file():
                yield path


def looks_like_dicom_folder(folder: Path) -> bool:
    """Whether most of the first files are DICOM; looks into folders below only where a folder holds no file."""
    try:
        for _ in range(_DEEPEST):
            entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
            files = [e for e in entries if e.is_file()]
            if any(e.name.upper() == "DICOMDIR" for e in files):
                return any(is_dicom(path) for path in islice(dicom_files(folder), _SNIFFED))
            if files:
                looked = files[:_SNIFFED]
                found = sum(is_dicom(Path(e.path)) for e in looked)
                return 2 * found > len(looked)
            below = sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
            if not below:
                return False
            folder = Path(below[0])
    except OSError:
        return False
    return False
