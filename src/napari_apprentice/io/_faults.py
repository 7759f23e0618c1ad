"""Whatever a library raises on a broken file becomes one `FormatError` that names the file."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import (
    ApprenticeError,
    BadInputError,
    FormatError,
    MissingDependencyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["available_memory", "check_claim", "human_bytes", "reading"]

MAX_DEFLATE_RATIO = 1032
"""Deflate cannot shrink data further than this (zlib, technical details)."""


@contextmanager
def reading(path: Path | str, what: str) -> Iterator[None]:
    """Turn every failure of a reading library into a `FormatError`.

    Parameters
    ----------
    path
        The file being read.
    what
        What it is read as: ``"TIFF"``.
    """
    remedy = "The file is damaged or not finished copying; copy or export it again."
    try:
        yield
    except MissingDependencyError as error:
        error.path = error.path or str(path)
        raise
    except BadInputError as error:
        if error.path is not None:
            raise
        raise FormatError(error.message, path=path, remedy=error.remedy or remedy) from error
    except ApprenticeError:
        raise
    except MemoryError as error:
        raise FormatError(
            f"not enough memory to read this {what}",
            path=path,
            remedy="Close other programs, or crop the image first.",
        ) from error
    except PermissionError as error:
        raise FormatError(
            "no permission to read", path=path, remedy="Ask for the right to read it, or copy it."
        ) from error
    except RecursionError as error:
        raise FormatError(f"nested too deeply for a {what}", path=path, remedy=remedy) from error
    except Exception as error:
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(
            f"cannot be read as {what}: {detail}", path=path, remedy=remedy
        ) from error


def check_claim(path: Path | str, claimed: int, available: int, ratio: float = 1.0) -> None:
    """Refuse a header that claims more voxels than the file can hold.

    Parameters
    ----------
    path
        The file.
    claimed
        Bytes that the header says the voxels take.
    available
        Bytes that the file has for them.
    ratio
        The most the file's compression can shrink data; 1 without compression.

    Raises
    ------
    FormatError
        With both sizes.
    """
    if claimed <= available * ratio:
        return
    squeezed = f" compressed at most {ratio:g} times" if ratio > 1 else ""
    raise FormatError(
        f"expected {human_bytes(claimed)} of voxels as its header says, "
        f"found {human_bytes(available)}{squeezed}",
        path=path,
        remedy="The file is cut off or its header is damaged; copy or export it again.",
    )


def human_bytes(count: float) -> str:
    """Say a number of bytes for people: ``"1.5 MB"``."""
    power = 0
    while count >= 1000 and power < 4:
        count /= 1000
        power += 1
    unit = ("bytes", "kB", "MB", "GB", "TB")[power]
    return f"{count:.0f} {unit}" if power == 0 else f"{count:.3g} {unit}"


def available_memory() -> int | None:
    """Bytes of memory that can be used without swapping, or None where the system does not say (only Linux does)."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        line = next(row for row in text.splitlines() if row.startswith("MemAvailable"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        return None
