"""A lock on a folder that the operating system lifts when its process dies, however it dies."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "lock"
_HELD = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK}
"""What a system says of a lock that somebody holds; anything else says that there are no locks."""


class Lock:
    """A lock that is held until `release`, or until the process ends."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle

    def release(self) -> None:
        """Give it back; once more does nothing."""
        with suppress(OSError):
            self._handle.close()


def take(folder: Path) -> Lock:
    """Lock a folder that exists.

    Raises
    ------
    BadInputError
        Somebody else holds the lock.
    OSError
        The folder cannot be written to.

    Notes
    -----
    Where the file system knows no locks (some network drives), work goes on without one: two windows on one image are
    rarer there than a home that lies there.
    """
    handle = (folder / _FILE).open("a+b")
    try:
        _lock(handle)
    except OSError as error:
        if error.errno not in _HELD:
            return Lock(handle)
        handle.close()
        raise BadInputError(
            "expected a journal that no other window writes to, found one in use",
            remedy="Close the other window, or work on there.",
        ) from error
    return Lock(handle)


def is_taken(folder: Path) -> bool:
    """Whether somebody holds the lock of a folder."""
    if not (folder / _FILE).exists():
        return False
    try:
        take(folder).release()
    except BadInputError:
        return True
    except OSError:
        return False
    return False


def _lock(handle: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
