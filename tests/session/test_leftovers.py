"""A training that an earlier session left is offered for its image, and goes on with what it began with."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import Extent, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Job, Progress
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.checkpoints import LAST, write_checkpoint
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.split import Split
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.session import Session

from .conftest import FakeStore, make_spec, make_volume


class Trainer:
    """Leaves a checkpoint and is interrupted, until it may end."""

    def __init__(self) -> None:
        self.may_end = False
        self.calls: list[dict[str, Any]] = []

    def __call__(self, items: Any, *, folder: Path, name: str, **how: Any) -> Job[Any]:
        self.calls.append({"items": items, "folder": folder, "name": name, **how})
        yield Progress("learning")
        write_checkpoint(folder / LAST, {}, {"elapsed": 65.0})
        if not self.may_end:
            raise KeyError("as if the computer had stopped here")
        split = Split(tuple(items), (), "")
        return SimpleNamespace(spec=make_spec(name), state={}, before=None, after={}, split=split)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer()


@pytest.fixture
def new_session(trainer: Trainer, checkpoints: Path) -> Any:
    def make() -> Session:
        store = FakeStore(make_spec("nuclei v1"))
        return Session(store, lambda do: do(), train=trainer, folder=checkpoints)

    return make


def film() -> Volume:
    grid = replace(Grid.regular("YX", (12, 16), (0.25, 0.25), unit="um"))
    grid = Grid("TYX", (4, 12, 16), grid.affine, "um", time_step=1.0)
    return Volume(np.arange(4 * 12 * 16, dtype=np.uint16).reshape(4, 12, 16), grid, name="film")


def annotate(session: Session, volume: Volume, key: str, frame: int | None = None) -> None:
    session.set_image(volume, key)
    if frame is not None:
        session.set_frame(frame)
    assert session.annotation_key is not None
    grid = volume.grid.spatial
    labels = np.eye(*grid.shape[-2:], dtype=np.uint8)
    state = AnnotationState(
        volume.name, grid, labels, (LabelClass(1, "nucleus"),), Extent(whole=True)
    )
    session.annotations[session.annotation_key] = state


def test_it_is_offered_for_its_image_and_goes_on(new_session: Any, trainer: Trainer) -> None:
    first = new_session()
    annotate(first, make_volume(), "one layer")
    first.learn(TrainConfig(minutes=3), "nuclei v1")
    assert first.can_resume()
    first.annotations["one layer"].paint((0, 0), np.ones((4, 4), np.uint8))
    first.close()

    second = new_session()
    assert second.leftover() is None
    second.set_image(make_volume(name="another"), "x")
    assert second.leftover() is None
    second.set_image(make_volume(), "another layer")
    left = second.leftover()
    assert left is not None
    assert left.problem is None
    assert left.describe().startswith("A training of nuclei v2 was interrupted on ")
    assert left.describe().endswith(", after 65 s of 3 min.")
    trainer.may_end = True
    assert len(trainer.calls) == 1, "nothing goes on by itself"
    assert second.resume_leftover()
    began, resumed = trainer.calls
    assert resumed["resume"] is True
    assert resumed["folder"] == began["folder"]
    assert resumed["config"] == TrainConfig(minutes=3)
    assert resumed["init"].spec.name == "nuclei v1"
    np.testing.assert_array_equal(
        resumed["items"][0].annotation.labels, began["items"][0].annotation.labels
    )
    assert not resumed["items"][0].annotation.labels[0, 1], "as it was when it began"
    assert second.candidate is not None
    assert second.leftover() is None
    second.keep(use=True)
    assert second.model == "nuclei v2"
    assert not resumed["folder"].exists()


def test_another_learning_leaves_it_alone_and_discard_deletes_it(
    new_session: Any, trainer: Trainer
) -> None:
    first = new_session()
    annotate(first, make_volume(), "key")
    first.learn(TrainConfig(), "nuclei v1")
    second = new_session()
    annotate(second, make_volume(), "key")
    trainer.may_end = True
    second.learn(TrainConfig(), "nuclei v1")
    assert trainer.calls[1]["folder"] != trainer.calls[0]["folder"]
    second.discard()
    left = second.leftover()
    assert left is not None
    assert left.found.folder == trainer.calls[0]["folder"]
    second.discard_leftover()
    assert second.leftover() is None
    assert not trainer.calls[0]["folder"].exists()
    assert not second.resume_leftover()


def test_the_one_that_is_gone_on_with_is_not_tidied_away_before(
    new_session: Any, trainer: Trainer, checkpoints: Path
) -> None:
    first = new_session()
    annotate(first, make_volume(), "key")
    assert first.learn(TrainConfig(), "nuclei v1")
    old = trainer.calls[0]["folder"]
    for n in range(4):
        shutil.copytree(old, checkpoints / f"newer {n}")
    os.utime(old / LAST, (1e9, 1e9))
    trainer.may_end = True
    assert first.resume()
    assert trainer.calls[-1]["folder"] == old
    assert trainer.calls[-1]["resume"]
    assert first.candidate is not None
    assert (old / "request.json").is_file()


def test_all_its_images_must_be_open(new_session: Any, trainer: Trainer) -> None:
    first = new_session()
    annotate(first, make_volume(name="a"), "a")
    annotate(first, make_volume(name="b"), "b")
    first.learn(TrainConfig(), None)
    trainer.may_end = True
    second = new_session()
    second.set_image(make_volume(name="b"), "b")
    left = second.leftover()
    assert left is not None
    assert str(left.problem).endswith("select each once: a.")
    assert not second.resume_leftover()
    second.set_image(make_volume(name="a"), "a")
    assert second.leftover().problem is None
    assert second.resume_leftover()
    assert [i.name for i in trainer.calls[1]["items"]] == ["a", "b"]


def test_frames_of_a_film(new_session: Any, trainer: Trainer) -> None:
    first = new_session()
    annotate(first, film(), "film", 1)
    annotate(first, film(), "film", 3)
    assert set(first.annotations) == {"film · frame 1", "film · frame 3"}
    first.learn(TrainConfig(), None)
    trainer.may_end = True
    second = new_session()
    second.set_image(film(), "film")
    assert second.resume_leftover()
    for call in trainer.calls:
        values = [int(np.asarray(i.volume.data).min()) for i in call["items"]]
        assert values == [192, 3 * 192]
        assert {i.group for i in call["items"]} == {None}, "whole frames can be held out"


def test_a_training_without_a_checkpoint_leaves_nothing(
    new_session: Any, checkpoints: Path
) -> None:
    def refusing(items: Any, **how: Any) -> Job[Any]:
        yield Progress("preparing")
        raise KeyError("no")

    session = new_session()
    session._train = refusing
    annotate(session, make_volume(), "key")
    session.learn(TrainConfig(), None)
    assert list(checkpoints.iterdir()) == []
