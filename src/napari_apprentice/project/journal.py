"""`Journal`: every edit of an annotation, on disk before the next one comes.

One folder per annotation holds one file: the annotation as it was when the file was begun, then a frame per edit,
each with its number and checksum and followed by ``fsync``. What a crash tore off at the end is left out on reading,
so that a person finds the state before or after the interrupted edit, never a mixture. A file is begun anew beside the
old one and then takes its place (`os.replace`), which is also how a journal is compacted.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ApprenticeError, BadInputError, FormatError, JobError
from napari_apprentice.core.home import user_folder
from napari_apprentice.io._atomic import sync_folder

from . import _frames, _lock
from ._records import Replay, Snapshot, begin, record_of, records_of

if TYPE_CHECKING:
    from io import RawIOBase
    from pathlib import Path

    from napari_apprentice.core.edit import Edit
    from napari_apprentice.core.grid import Grid

__all__ = [
    "KEPT",
    "KEPT_DAYS",
    "Journal",
    "Recovered",
    "Snapshot",
    "Summary",
    "free_slot",
    "journals_of",
    "prune_journals",
    "recovery_folder",
]

_FILE = "edits.journal"
_NEW = "edits.journal.new"
KEPT, KEPT_DAYS = 20, 30
_SLOTS = 4  # windows that may work on one image at the same time, each with its own journal


@dataclass(frozen=True, eq=False)
class Recovered:
    """What a journal holds.

    Parameters
    ----------
    snapshot
        The annotation after the last whole edit.
    lost_bytes
        Length of the torn end that was left out; 0 after an orderly end.
    saved
        When the last edit was written.
    """

    snapshot: Snapshot
    lost_bytes: int
    saved: datetime


@dataclass(frozen=True)
class Summary:
    """What a journal is about, read without replaying it.

    Parameters
    ----------
    folder
        Where it lies.
    name
        Name of the annotated image.
    grid
        Its grid.
    edits
        How many edits it holds; those that its beginning sums up count as the corrections, finished parts and locks left
        of them.
    saved
        When the last one was written.
    """

    folder: Path
    name: str
    grid: Grid
    edits: int
    saved: datetime


class Journal:
    """A journal that is being written; make one with `create` or go on with `reopen`.

    A failed write (a full disk) leaves what was written before intact and raises once; later edits are left out, since
    replaying them without the missing one would mix states, until `rewrite` brings a whole annotation.
    """

    def __init__(self, folder: Path, handle: RawIOBase, lock: _lock.Lock, frames: int) -> None:
        self.folder = folder
        self._handle = handle
        self._lock = lock
        self._frames = frames
        self._end = handle.tell()
        self.broken = False

    @classmethod
    def create(cls, folder: Path, snapshot: Snapshot) -> Journal:
        """Begin a journal with an annotation as it is now; one that lies there is replaced.

        Raises
        ------
        BadInputError
            Where another window writes to that folder.
        JobError
            Where the folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _lock.take(folder)
        except OSError as error:
            raise _cannot_write(error) from error
        try:
            frames = _write_new(folder, snapshot)
            return cls(folder, _put_in_place(folder), lock, frames)
        except OSError as error:
            lock.release()
            raise _cannot_write(error) from error
        except BaseException:
            lock.release()
            raise

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._end

    def append(self, edit: Edit, n_corrections: int = 0) -> bool:
        """Write one edit through to the disk; return whether it is there.

        Parameters
        ----------
        edit
            What was done.
        n_corrections
            Corrections in effect after it.

        Raises
        ------
        JobError
            The first time that writing fails; from then on the answer is False until `rewrite`.
        """
        if self.broken:
            return False
        frame = _frames.encode(self._frames, *record_of(edit, n_corrections))
        try:
            _write_all(self._handle, frame)
            os.fsync(self._handle.fileno())
        except OSError as error:
            self._take_back()
            raise _cannot_write(error) from error
        self._frames += 1
        self._end += len(frame)
        return True

    def _take_back(self) -> None:
        """Cut off half a frame; should that fail too, its checksum keeps it from being read."""
        self.broken = True
        with suppress(OSError):
            os.ftruncate(self._handle.fileno(), self._end)

    def rewrite(self, snapshot: Snapshot) -> None:
        """Replace the file by one that begins with an annotation as it is now.

        Raises
        ------
        JobError
            Where it cannot be written; the old file stays.
        """
        try:
            frames = _write_new(self.folder, snapshot)
            self._handle.close()  # Windows replaces no file that is open
            self._handle = _put_in_place(self.folder)
        except OSError as error:
            self.broken = True
            raise _cannot_write(error) from error
        self._frames, self._end = frames, self._handle.tell()
        self.broken = False

    def compact(self) -> None:
        """Replace all edits by the annotation they led to."""
        self.rewrite(Journal.recover(self.folder).snapshot)

    def close(self) -> None:
        """Stop writing; the file stays for the next time."""
        with suppress(OSError):
            self._handle.close()
        self._lock.release()

    def __del__(self) -> None:
        self.close()

    def discard(self) -> None:
        """Stop writing and remove the journal."""
        self.close()
        Journal.remove(self.folder)

    @staticmethod
    def recover(folder: Path) -> Recovered:
        """Read what a journal holds; a torn end is left out.

        Raises
        ------
        FormatError
            No journal, or one whose beginning is damaged.
        """
        try:
            return _replay(*_read(folder))
        except OSError as error:
            raise FormatError(f"expected a journal, found none ({error.strerror})") from error
        except (MemoryError, OverflowError) as error:
            raise FormatError("expected a journal that fits into memory") from error
        except FormatError:
            raise
        except ApprenticeError as error:
            raise FormatError(f"expected a whole journal: {error.message}") from error

    @staticmethod
    def peek(folder: Path) -> Summary:
        """Say what a journal is about; takes as long as reading the file.

        Raises
        ------
        FormatError
            No journal, or one whose beginning is damaged.
        """
        try:
            data, saved = _read(folder)
            start = begin(next(_frames.decode(data))[1])
        except (StopIteration, MemoryError, OSError) as error:
            raise FormatError("expected a journal, found none") from error
        since = max(0, _frames.count(data) - 1 - start.frames)
        return Summary(folder, start.name, start.grid, _summed_up(start) + since, saved)

    @staticmethod
    def remove(folder: Path) -> None:
        """Delete a journal that nobody writes to any more."""
        shutil.rmtree(folder, ignore_errors=True)


def recovery_folder(key: str) -> Path:
    """Return the folder of the journals of one image; the key (a path, say) does not show in it."""
    return user_folder() / "recovery" / hashlib.sha256(key.encode()).hexdigest()[:24]


def journals_of(key: str) -> list[Path]:
    """Folders of the journals of one image that nobody writes to now, newest first."""
    found = [slot for slot in _slots(key) if (slot / _FILE).is_file() and not _lock.is_taken(slot)]
    return sorted(found, key=lambda slot: (slot / _FILE).stat().st_mtime, reverse=True)


def free_slot(key: str) -> Path:
    """Return a folder for a new journal of one image, beside those that wait to be restored.

    Raises
    ------
    BadInputError
        Where all are in use.
    """
    for slot in _slots(key):
        if not (slot / _FILE).exists():
            return slot
    raise BadInputError(
        f"expected at most {_SLOTS} journals of one image, found {_SLOTS}",
        remedy="Restore or discard one of them first.",
    )


def prune_journals(*, keep: int = KEPT, days: int = KEPT_DAYS) -> int:
    """Remove journals that wait to be restored, but neither the newest nor any that is young or in use; return how many.

    Parameters
    ----------
    keep
        So many of the newest stay, however old.
    days
        Work of so many days stays, however much there is.
    """
    root = user_folder() / "recovery"
    waiting = [(_saved(file), file.parent) for file in root.glob(f"*/*/{_FILE}")]
    waiting.sort(key=lambda one: one[0], reverse=True)
    oldest = time.time() - 86400 * days
    gone = [f for saved, f in waiting[keep:] if saved < oldest and not _lock.is_taken(f)]
    for folder in gone:
        Journal.remove(folder)
        with suppress(OSError):  # other slots of the same image may be in use
            folder.parent.rmdir()
    return len(gone)


def _saved(file: Path) -> float:
    """When a journal was written last; one that goes meanwhile counts as new."""
    try:
        return file.stat().st_mtime
    except OSError:
        return math.inf


def _slots(key: str) -> list[Path]:
    return [recovery_folder(key) / str(i) for i in range(_SLOTS)]


def _write_new(folder: Path, snapshot: Snapshot) -> int:
    """Write a whole journal beside the one that may be there; return the number of its frames."""
    new = folder / _NEW
    frames = 0
    try:
        with new.open("wb", buffering=0) as handle:
            _write_all(handle, _frames.SIGNATURE)
            for description, arrays in records_of(snapshot):
                _write_all(handle, _frames.encode(frames, description, arrays))
                frames += 1
            os.fsync(handle.fileno())
    except OSError:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    return frames


def _put_in_place(folder: Path) -> RawIOBase:
    """Let the new journal take the place of the old one and open it at its end."""
    (folder / _NEW).replace(folder / _FILE)
    sync_folder(folder)
    handle = (folder / _FILE).open("r+b", buffering=0)
    handle.seek(0, os.SEEK_END)
    return handle


def _write_all(handle: RawIOBase, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[handle.write(rest) or 0 :]


def _cannot_write(error: OSError) -> JobError:
    return JobError(
        f"expected to keep a recovery copy of the corrections, found: {error.strerror or error}",
        remedy="Save the annotation yourself; free some space on the disk.",
    )


def _summed_up(start: Replay) -> int:
    """What a beginning says already: a journal that was begun anew after a restore, say, holds it all there."""
    extent = start.extent
    finished = len(extent.slices) + len(extent.boxes) + extent.whole
    return start.n_corrections + finished + len(start.locked)


def _read(folder: Path) -> tuple[bytes, datetime]:
    path = folder / _FILE
    return path.read_bytes(), datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _replay(data: bytes, saved: datetime) -> Recovered:
    if not data.startswith(_frames.SIGNATURE):
        raise FormatError("expected a journal, found something else")
    frames = _frames.decode(data)
    first = next(frames, None)
    if first is None:
        raise FormatError("expected a journal, found a damaged beginning")
    end, description, _ = first
    replay = begin(description)
    count = 0
    for end, description, raw in frames:  # noqa: B007
        replay.step(description, raw)
        count += 1
    if count < replay.frames:
        raise FormatError("expected a journal, found a damaged beginning")
    lost = len(data) - end
    return Recovered(replay.snapshot(), lost, saved)
