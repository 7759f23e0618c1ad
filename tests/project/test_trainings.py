"""Interrupted trainings: found again with all they need, never where somebody is at work, and not for ever."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError, FormatError, JobError
from napari_apprentice.core.grid import Grid
from napari_apprentice.engine.checkpoints import LAST, write_checkpoint
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.project import _lock
from napari_apprentice.project.trainings import (
    Request,
    Source,
    find_interrupted,
    free_folder,
    held,
    mark,
    prune_trainings,
    read_annotations,
    write_training,
)

GRID = Grid.regular("ZYX", (3, 8, 9), (2.0, 0.5, 0.5), unit="um")


def said() -> Annotation:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1, 2:5, 3:7] = 2
    classes = (LabelClass(1, "cell"), LabelClass(2, "nucleus"))
    return Annotation(GRID, labels, classes, Extent(slices=((0, 1),), strokes=True), labels > 0)


def request(name: str = "nuclei v2") -> Request:
    source = Source(image=mark("/data/patient name.tif"), name="image", frame=3, channels=(1,))
    return Request(
        name=name,
        task="semantic",
        init="nuclei v1",
        config=TrainConfig(minutes=7),
        sources=(source,),
        pairs=((Path("a.tif"), Path("b.tif")),),
        began=datetime.now(UTC),
    )


def interrupted(root: Path, name: str = "nuclei v2", days_old: float = 0) -> Path:
    folder = free_folder(root, name)
    with held(folder):
        write_training(folder, request(name), [said()])
        write_checkpoint(folder / LAST, {"w": torch.zeros(3)}, {"elapsed": 61.5})
    when = datetime.now(UTC).timestamp() - 86400 * days_old
    os.utime(folder / LAST, (when, when))
    return folder


def test_what_was_asked_for_comes_back_whole(tmp_path: Path) -> None:
    folder = interrupted(tmp_path)
    (found,) = find_interrupted(tmp_path)
    assert found.folder == folder
    assert found.seconds == 61.5
    assert found.request.model_copy(update={"began": None}) == request().model_copy(
        update={"began": None}
    )
    (annotation,) = read_annotations(found)
    assert annotation.grid == GRID
    assert annotation.extent == said().extent
    assert annotation.classes == said().classes
    np.testing.assert_array_equal(annotation.labels, said().labels)
    np.testing.assert_array_equal(annotation.counts(), said().counts())


def test_no_path_of_an_image_lies_beside_the_checkpoints(tmp_path: Path) -> None:
    for file in interrupted(tmp_path).rglob("*"):
        assert file.is_dir() or b"patient" not in file.read_bytes()


def test_names_that_are_taken_get_a_number(tmp_path: Path) -> None:
    assert interrupted(tmp_path).name == "nuclei v2"
    assert interrupted(tmp_path).name == "nuclei v2 (2)"
    assert len(find_interrupted(tmp_path)) == 2


def test_where_somebody_is_at_work_nothing_is_offered(tmp_path: Path) -> None:
    folder = interrupted(tmp_path)
    with held(folder):
        assert find_interrupted(tmp_path) == []
        with pytest.raises(BadInputError, match="in use"), held(folder):
            pass
    assert len(find_interrupted(tmp_path)) == 1


def test_a_drive_without_locks_is_worked_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    folder = interrupted(tmp_path)
    monkeypatch.setattr(_lock, "_lock", no_locks)
    with held(folder):
        assert len(find_interrupted(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["request.json", LAST, "json", "annotation 0"])
def test_damage_is_no_crash(tmp_path: Path, damage: str) -> None:
    folder = interrupted(tmp_path)
    if damage == "json":
        (folder / "request.json").write_text('{"version": 2}')
    elif damage == "annotation 0":
        next((folder / damage).glob("*.journal")).write_bytes(b"no journal")
        with pytest.raises(FormatError):
            read_annotations(find_interrupted(tmp_path)[0])
        return
    else:
        (folder / damage).unlink()
    assert find_interrupted(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="beside the checkpoints"), held(tmp_path / "file" / "x"):
        pass


def test_the_newest_and_the_young_are_kept(tmp_path: Path) -> None:
    ages = {"a": 100, "b": 1, "c": 50, "d": 40, "e": 2}
    for name, days in ages.items():
        interrupted(tmp_path, name, days)
    assert prune_trainings(tmp_path, keep=3, days=30) == 2
    assert [one.request.name for one in find_interrupted(tmp_path)] == ["b", "e", "d"]
