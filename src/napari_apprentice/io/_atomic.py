"""Write a complete file under its name, or leave what was there untouched."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ApprenticeError, BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["make_folder", "writing", "writing_folder"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_SUFFIX_LENGTH = 24


def make_folder(folder: Path) -> None:
    """Make the folder that results go to, with those above it.

    Raises
    ------
    BadInputError
        It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(
            f"the folder cannot be made ({error.strerror or error})",
            path=folder,
            remedy="Choose another folder.",
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; it takes the place of `path` when all went well.

    The bytes are on the disk (fsync) before the name changes, so that a crash leaves the old file or the new
    one. On any error the temporary file is removed.

    Parameters
    ----------
    path
        The file to write; its suffixes are kept on the temporary name, as writers choose by them.

    Raises
    ------
    BadInputError
        The folder is missing or may not be written to.
    ApprenticeError
        The disk is full, or another failure of the system.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{''.join(path.suffixes)[-_SUFFIX_LENGTH:]}")
    try:
        with temporary.open("xb"):
            pass
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it takes the place of `path` when all went well.

    A folder cannot be exchanged in one step: where `path` was there before, it is moved aside first, and moved
    back if the new one cannot take its place.

    Parameters
    ----------
    path
        The folder to write.

    Raises
    ------
    BadInputError
        The folder above is missing or may not be written to.
    ApprenticeError
        The disk is full, or another failure of the system.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    try:
        temporary.mkdir()
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        _exchange(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, path: Path) -> None:
    if not path.exists():
        new.replace(path)
        return
    old = path.with_name(f".{secrets.token_hex(8)}")
    path.replace(old)
    try:
        new.replace(path)
    except OSError:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the new name itself last through a power cut; not every system can open a folder, or sync one."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _explained(error: OSError, path: Path) -> ApprenticeError:
    if error.errno in _FULL:
        return ApprenticeError(
            "cannot be written: the disk is full",
            path=path,
            remedy="Free some space or save elsewhere; an older file of this name is untouched.",
        )
    if not path.parent.is_dir():
        return BadInputError(
            f"cannot be written: there is no folder {path.parent}",
            path=path,
            remedy="Create it first.",
        )
    if path.is_dir() and isinstance(error, IsADirectoryError):
        return BadInputError(
            "cannot be written: it is a folder", path=path, remedy="Add a file name."
        )
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return BadInputError(
            "cannot be written: the folder or file is read-only or in use",
            path=path,
            remedy="Save to another folder.",
        )
    return ApprenticeError(f"cannot be written: {error}", path=path, remedy="Save elsewhere.")
