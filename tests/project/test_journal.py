"""The journal: after any crash the state before or after the interrupted edit, never a mixture."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import BadInputError, FormatError, JobError
from napari_apprentice.core.grid import Grid
from napari_apprentice.project import _frames
from napari_apprentice.project import journal as module
from napari_apprentice.project.journal import (
    Journal,
    Snapshot,
    free_slot,
    journals_of,
    prune_journals,
    recovery_folder,
)

SHAPE = (6, 40, 50)
CLASSES = (LabelClass(1, "Zelle ü'%"), LabelClass(2, "nucleus", "#010203"))


opened = []


def create(*args):
    opened.append(Journal.create(*args))
    return opened[-1]


@pytest.fixture(autouse=True)
def _closed():
    yield
    while opened:
        opened.pop().close()


def annotation(seed=0, shape=SHAPE, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, dtype)
    labels[1:3, 5:20, 5:20] = rng.integers(1, 60_000, (2, 15, 15))
    grid = Grid.regular("ZYX", shape, (2.0, 0.5, 0.5), origin=(-3.0, 1.0, 0.0), unit="um")
    return Annotation(grid, labels, CLASSES, Extent(slices=((0, 1),)))


def edits(count, seed=1, shape=SHAPE):
    """Yield random strokes and what the labels and painted voxels are after each."""
    rng = np.random.default_rng(seed)
    labels = annotation(shape=shape).labels.copy()
    painted = np.zeros(shape, bool)
    for i in range(count):
        start = tuple(int(rng.integers(0, n - 2)) for n in shape)
        box = tuple(
            slice(a, a + int(rng.integers(1, n - a + 1))) for a, n in zip(start, shape, strict=True)
        )
        after = np.full_like(labels[box], i + 1)
        brushed = np.ones(after.shape, bool)
        blocks = changed_blocks(start, labels[box], after, painted[box], painted[box] | brushed)
        labels[box], painted[box] = after, True
        yield Edit(f"Brush {i}", blocks), labels, painted


def is_same(snapshot, labels, painted):
    found = snapshot.annotation
    seen = np.zeros(labels.shape, bool) if found.painted is None else found.painted
    return np.array_equal(found.labels, labels) and np.array_equal(seen, painted)


def test_what_was_written_is_found(tmp_path):
    before = annotation()
    create(tmp_path / "j", Snapshot("image", before, 7)).close()
    found = Journal.recover(tmp_path / "j").snapshot
    assert found.name == "image"
    assert found.n_corrections == 7
    assert Journal.recover(tmp_path / "j").lost_bytes == 0
    assert found.annotation.grid == before.grid
    assert found.annotation.classes == CLASSES
    assert found.annotation.extent == before.extent
    assert found.annotation.labels.dtype == np.uint16
    assert is_same(found, before.labels, np.zeros(SHAPE, bool))


def test_edits_of_every_kind_are_replayed(tmp_path):
    journal = create(tmp_path / "j", Snapshot("image", annotation()))
    for count, (edit, labels, painted) in enumerate(edits(5), start=1):  # noqa: B007
        assert journal.append(edit, count)
    extent = Extent(boxes=(((0, 0, 0), (2, 3, 4)),), strokes=True)
    journal.append(Edit("Finish box", extent=(Extent(), extent)), count)
    more = (*CLASSES, LabelClass(3, "new"))
    journal.append(Edit("Add class", classes=(CLASSES, more)), count)
    found = Journal.recover(tmp_path / "j").snapshot
    assert is_same(found, labels, painted)
    assert found.annotation.extent == extent
    assert found.annotation.classes == more
    assert found.n_corrections == 5


def test_undo_is_written_as_its_inverse(tmp_path):
    start = annotation()
    journal = create(tmp_path / "j", Snapshot("image", start))
    done = [edit for edit, _, _ in edits(3)]
    for edit in done:
        journal.append(edit)
    for edit in reversed(done):
        journal.append(edit.inverse())
    assert is_same(Journal.recover(tmp_path / "j").snapshot, start.labels, np.zeros(SHAPE, bool))


def test_torn_anywhere_the_state_before_or_after_is_found(tmp_path):
    shape = (4, 10, 12)
    start = annotation().labels[:4, :10, :12].copy()
    grid = Grid.regular("ZYX", shape)
    journal = create(tmp_path / "j", Snapshot("image", Annotation(grid, start, CLASSES)))
    states, ends = [start], [journal.size]
    labels = start
    for value in (1, 2, 3):
        after = labels.copy()
        after[1, 2:5, 3:9] = value
        journal.append(Edit("Brush", changed_blocks((0, 0, 0), labels, after)), value)
        labels = after
        states.append(after)
        ends.append(journal.size)
    journal.close()
    path = tmp_path / "j" / "edits.journal"
    data = path.read_bytes()
    assert len(data) == ends[-1]
    for length in range(ends[0], len(data) + 1):
        path.write_bytes(data[:length])
        found = Journal.recover(tmp_path / "j")
        whole = sum(end <= length for end in ends) - 1
        assert np.array_equal(found.snapshot.annotation.labels, states[whole])
        assert found.lost_bytes == length - ends[whole]


def test_a_flipped_byte_costs_no_more_than_what_follows(tmp_path):
    journal = create(tmp_path / "j", Snapshot("image", annotation()))
    (first, labels, painted), second = ((e, a.copy(), p.copy()) for e, a, p in edits(2))
    journal.append(first)
    middle = journal.size
    journal.append(second[0])
    path = tmp_path / "j" / "edits.journal"
    data = bytearray(path.read_bytes())
    for at in np.linspace(middle, len(data) - 1, 25).astype(int):
        broken = data.copy()
        broken[at] ^= 0x10
        path.write_bytes(broken)
        assert is_same(Journal.recover(tmp_path / "j").snapshot, labels, painted)


@pytest.mark.parametrize("content", [b"", b"NAPJRNL1", b"NAPJRNL1FRAM", b"x" * 500])
def test_what_is_no_journal_is_refused(tmp_path, content):
    (tmp_path / "edits.journal").write_bytes(content)
    with pytest.raises(FormatError):
        Journal.recover(tmp_path)
    with pytest.raises(FormatError):
        Journal.recover(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"dtype": "|O"},
        {"dtype": "<f8"},
        {
            "grid": {
                "axes": "YX",
                "shape": [10**9, 10**9],
                "affine": np.eye(3).tolist(),
                "unit": "",
                "world": "LPS",
            }
        },
        {
            "grid": {
                "axes": "YX",
                "shape": [4, 4],
                "affine": np.zeros((3, 3)).tolist(),
                "unit": "",
                "world": "LPS",
            }
        },
        {"frames": 3},
        {"surprise": 1},
    ],
)
def test_beginnings_that_cannot_be_are_refused(tmp_path, change):
    description, arrays = next(iter(module.records_of(Snapshot("image", annotation()))))
    frame = _frames.encode(0, {**description, "frames": 0, **change}, arrays)
    (tmp_path / "edits.journal").write_bytes(_frames.SIGNATURE + frame)
    with pytest.raises(FormatError):
        Journal.recover(tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        {"start": [0, 0, 0], "shape": [9, 9, 9], "dtype": "<u2", "painted": False},
        {"start": [0, 0], "shape": [1, 1], "dtype": "<u2", "painted": False},
        {"start": [0, 0, 0], "shape": [1, 1, 1], "dtype": "|O", "painted": False},
        {"start": [0, 0, 0], "shape": [1, 1, 10**12], "dtype": "<u2", "painted": False},
        {"start": [0, 0, -1], "shape": [1, 1, 1], "dtype": "<u2", "painted": False},
        {"start": [0, 0, 0], "shape": [1, 1, 1], "dtype": "<i8", "painted": False},
    ],
)
def test_edits_that_cannot_be_are_refused(tmp_path, block):
    journal = create(tmp_path / "j", Snapshot("image", annotation()))
    journal.close()
    values = np.full(10**3, 70_000, np.int64)
    frames = sum(1 for _ in module.records_of(Snapshot("image", annotation())))
    with (tmp_path / "j" / "edits.journal").open("ab") as handle:
        handle.write(_frames.encode(frames, {"kind": "edit", "blocks": [block]}, [values]))
    with pytest.raises(FormatError):
        Journal.recover(tmp_path / "j")


def full_disk(*_args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("function", ["fsync", "write"])
def test_a_full_disk_is_told_once_and_leaves_what_was_there(tmp_path, monkeypatch, function):
    journal = create(tmp_path / "j", Snapshot("image", annotation()))
    (first, labels, painted), second, third = ((e, a.copy(), p.copy()) for e, a, p in edits(3))
    journal.append(first, 1)

    def half(handle, data):
        handle.write(data[: len(data) // 2])
        full_disk()

    with monkeypatch.context() as patch:
        if function == "fsync":
            patch.setattr(module.os, "fsync", full_disk)
        else:
            patch.setattr(module, "_write_all", half)
        with pytest.raises(JobError, match="No space left"):
            journal.append(second[0], 2)
        assert journal.append(third[0], 3) is False
        with pytest.raises(JobError, match="No space left"):
            journal.rewrite(Snapshot("image", annotation(), 3))
    assert is_same(Journal.recover(tmp_path / "j").snapshot, labels, painted)
    assert Journal.recover(tmp_path / "j").lost_bytes == 0

    now = annotation(seed=5)
    journal.rewrite(Snapshot("image", now, 3))
    assert not journal.broken
    journal.append(Edit("Finish", extent=(Extent(), Extent(whole=True))), 3)
    found = Journal.recover(tmp_path / "j").snapshot
    assert np.array_equal(found.annotation.labels, now.labels)
    assert found.annotation.extent.whole


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JobError, match="recovery copy"):
        create(tmp_path / "file" / "j", Snapshot("image", annotation()))


def test_compacting_keeps_the_state_and_saves_space(tmp_path):
    journal = create(tmp_path / "j", Snapshot("image", annotation()))
    for count, (edit, labels, painted) in enumerate(edits(30), start=1):  # noqa: B007
        journal.append(edit, count)
    size = journal.size
    journal.compact()
    assert journal.size < size / 2
    assert is_same(Journal.recover(tmp_path / "j").snapshot, labels, painted)
    journal.append(Edit("Finish", extent=(Extent(), Extent(whole=True))), 30)
    found = Journal.recover(tmp_path / "j").snapshot
    assert found.n_corrections == 30
    assert found.annotation.extent.whole


def test_two_windows_do_not_write_to_one_journal(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    first = create(free_slot("image"), Snapshot("image", annotation()))
    assert journals_of("image") == []
    with pytest.raises(BadInputError, match="in use"):
        create(first.folder, Snapshot("image", annotation()))
    second = create(free_slot("image"), Snapshot("image", annotation()))
    assert second.folder != first.folder
    first.close()
    assert journals_of("image") == [first.folder]
    second.discard()
    assert journals_of("image") == [first.folder]


def test_journals_nobody_came_back_for_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    ages = {"old": 90, "older": 100, "young": 1, "oldest": 200, "in use": 300}
    small = annotation(shape=(3, 20, 20))
    for key, days in ages.items():
        journal = create(free_slot(key), Snapshot(key, small))
        if key != "in use":
            journal.close()
        when = time.time() - 86400 * days
        os.utime(journal.folder / "edits.journal", (when, when))
    assert prune_journals(keep=2, days=30) == 2
    assert [key for key in ages if journals_of(key)] == ["old", "young"]
    assert (recovery_folder("in use") / "0" / "edits.journal").exists()
    assert not recovery_folder("oldest").exists()
    assert prune_journals(keep=0, days=95) == 0, "young work stays however much there is"
    assert prune_journals(keep=0, days=30) == 1
    assert [key for key in ages if journals_of(key)] == ["young"]


def test_slots_are_limited_and_freed(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    for _ in range(4):
        create(free_slot("image"), Snapshot("image", annotation())).close()
    with pytest.raises(BadInputError, match="Restore or discard"):
        free_slot("image")
    Journal.remove(journals_of("image")[0])
    assert free_slot("image")


def test_the_folder_does_not_tell_what_the_image_is_called(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    folder = recovery_folder("/data/患者 Müller/ct.nii.gz")
    assert folder.parent == tmp_path / "recovery"
    assert "M" not in folder.name
    assert folder != recovery_folder("other")


def written(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_a_stroke_writes_what_it_changed_not_the_volume(tmp_path):
    shape = (64, 512, 512)
    grid = Grid.regular("ZYX", shape)
    journal = create(
        tmp_path / "j", Snapshot("image", Annotation(grid, np.zeros(shape, np.uint8), CLASSES))
    )
    before = np.zeros((1, 60, 300), np.uint8)
    brushed = np.ones(before.shape, bool)
    blocks = changed_blocks((3, 50, 50), before, before + 1, ~brushed, brushed)
    empty = written(tmp_path / "j")
    for _ in range(5):
        journal.append(Edit("Brush", blocks))
    assert 0 < written(tmp_path / "j") - empty < 5 * 2_000


CHILD = """
import sys
from pathlib import Path
from test_journal import annotation, edits
from napari_apprentice.project.journal import Journal, Snapshot
journal = Journal.create(Path(sys.argv[1]), Snapshot("image", annotation()))
print("ready", flush=True)
for count, (edit, _, _) in enumerate(edits(100_000), start=1):
    journal.append(edit, count)
    if count % 40 == 0:
        journal.compact()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
@pytest.mark.parametrize("delay", [0.02, 0.11, 0.23])
def test_killed_in_mid_stroke(tmp_path, delay):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    folder = tmp_path / "j"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
    found = Journal.recover(folder).snapshot
    labels, painted = annotation().labels, np.zeros(SHAPE, bool)
    for _, labels, painted in edits(found.n_corrections):  # noqa: B007
        pass
    assert is_same(found, labels, painted)
    journal = create(folder, found)
    assert journal.append(Edit("Finish", extent=(Extent(), Extent(whole=True))))


def test_a_summary_needs_no_replay(tmp_path):
    fresh = replace(annotation(), extent=Extent(strokes=True))
    journal = create(tmp_path / "j", Snapshot("image", fresh))
    assert Journal.peek(tmp_path / "j").edits == 0
    for edit, _, _ in edits(4):
        journal.append(edit)
    summary = Journal.peek(tmp_path / "j")
    assert summary.edits == 4
    assert summary.name == "image"
    assert summary.grid == annotation().grid
    assert abs(summary.saved.timestamp() - time.time()) < 60
    with pytest.raises(FormatError):
        Journal.peek(tmp_path)


def test_a_summary_counts_what_the_beginning_sums_up(tmp_path):
    said = replace(annotation(), extent=Extent(slices=((0, 1), (0, 2))))
    journal = create(tmp_path / "j", Snapshot("image", said, 3, locked=frozenset({1})))
    assert Journal.peek(tmp_path / "j").edits == 6
    journal.append(next(edits(1))[0])
    assert Journal.peek(tmp_path / "j").edits == 7
