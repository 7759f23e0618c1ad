"""The session: which image, which model, one job, and what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import Extent, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import FinishReason, Job, Metric, Preview, Progress
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.split import Split
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.session import Session

from .conftest import FakeStore, make_spec, make_volume, prediction_of


def fake_predict(volume: Any, model: Any, config: PredictConfig) -> Job[Any]:
    yield Progress("predicting", 0, 1, "tile")
    return prediction_of(volume)


def fake_train(items: Any, *, init: Any, folder: Path, name: str, **how: Any) -> Job[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "last.safetensors").touch()
    yield Metric("loss", 1, 0.5, 0.1)
    yield Preview("held-out preview", np.zeros((12, 16), np.uint8), items[0].annotation.grid)
    yield Metric("held-out dice", 1, 0.88, 0.2)
    spec = make_spec(name)
    before = None if init is None else {"dice": 0.81}
    split = Split(tuple(items), tuple(items), "")
    return SimpleNamespace(spec=spec, state={}, before=before, after={"dice": 0.88}, split=split)


@pytest.fixture
def session(checkpoints: Path) -> Session:
    """A session that runs its jobs at once."""
    return Session(
        FakeStore(make_spec("nuclei v1"), make_spec("brain", 3)),
        lambda function: function(),
        predict=fake_predict,
        train=fake_train,
        folder=checkpoints,
    )


def annotate(session: Session, extent: Extent | None = None) -> AnnotationState:
    volume = make_volume()
    session.set_image(volume, "key")
    labels = np.zeros(volume.grid.shape, np.uint8)
    labels[2:9, 3:9] = 1
    state = AnnotationState(
        "nuclei", volume.grid, labels, (LabelClass(1, "nucleus"),), extent or Extent(whole=True)
    )
    session.annotations["key"] = state
    return state


def test_labels_of_an_image_that_is_not_open_are_not_laid_on_another(session: Session) -> None:
    session.set_image(make_volume(), "key")
    shown = []
    session.previewed.connect(lambda preview: shown.append(preview.of))
    labels = np.zeros((12, 16), np.uint8)
    for name in (None, session.volume.name, "in a folder"):
        session._on_job_happened(Preview("held-out preview", labels, session.volume.grid, of=name))
    assert shown == [None, session.volume.name]


def test_models_are_compared_with_an_image_once(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.set_image(make_volume(), "key")
    known = [(c.name, c.reason) for c in session.choices()]
    module = "napari_apprentice.session._state.model_choices"
    monkeypatch.setattr(module, lambda specs, volume: [])
    assert [(c.name, c.reason) for c in session.choices()] == known
    session.set_image(make_volume(), "another")
    assert session.choices() == []


def test_the_size_of_objects_is_forgotten_where_the_unit_is_another(session: Session) -> None:
    first, unit = make_volume(), make_volume().grid.unit
    session.set_image(first, "one")
    session.set_diameter(12.0)
    session.set_image(None)
    session.set_image(make_volume(), "two")
    assert session.diameter == 12.0
    told: list[float | None] = []
    session.diameter_changed.connect(lambda: told.append(session.diameter))
    other = "mm" if unit != "mm" else "um"
    grid = replace(first.grid, unit=other)
    session.set_image(replace(first, grid=grid), "three")
    assert told == [None]


def test_a_fitting_model_is_chosen_and_kept_while_it_fits(session: Session) -> None:
    assert session.predict_problem() == "Open or select an image first."
    session.set_image(make_volume())
    assert session.model == "nuclei v1"
    assert [c.reason for c in session.choices()] == [None, "expects 3-D"]
    session.set_image(make_volume((4, 12, 16), "stack"))
    assert session.model == "nuclei v1", "a 2-D model takes a stack plane by plane"
    session.use_model("no such model")
    assert session.model == "nuclei v1"
    session.use_model("brain")
    session.set_image(make_volume())
    assert session.model == "nuclei v1"


def test_predict_tells_its_result_once(session: Session) -> None:
    results: list[Any] = []
    session.predicted.connect(results.append)
    session.set_image(make_volume(), "key")
    assert session.predict(PredictConfig())
    assert [r.name for r in results] == ["nuclei ▸ nuclei v1"]
    assert results[0].key == "key"
    assert session.summary == "1 nucleus"
    assert session.status.reason is FinishReason.COMPLETED
    session.set_image(make_volume(name="other"), "other")
    assert session.summary == "", "a summary is that of its own image"


def test_what_cannot_start_says_why(session: Session) -> None:
    said: list[str] = []
    session.refused.connect(said.append)
    assert not session.predict(PredictConfig())
    assert not session.learn(TrainConfig(), None)
    assert not session.resume()
    assert said[0] == "Open or select an image first."
    assert said[1].startswith("Nothing to learn from yet")
    empty = Session(FakeStore(), lambda function: function())
    empty.set_image(make_volume())
    assert (
        empty.predict_problem()
        == "There is no model yet: annotate a little in Correct, then Learn."
    )


def test_an_error_ends_in_the_status(session: Session) -> None:
    def broken(volume: Any, model: Any, config: PredictConfig) -> Job[Any]:
        yield Progress("predicting")
        raise RuntimeError("shape mismatch")

    session._predict = broken
    session.set_image(make_volume())
    assert session.predict(PredictConfig())
    assert session.status.reason is FinishReason.ERRORED
    assert "shape mismatch" in str(session.status.error)
    assert session.predict_problem() is None, "the button can be pressed again"


def test_a_second_job_is_refused(
    start: Callable[..., None], threads: list[threading.Thread]
) -> None:
    free, said, results = threading.Event(), [], []

    def slow(volume: Any, model: Any, config: PredictConfig) -> Job[Any]:
        while not free.is_set():
            yield Progress("predicting")
        return prediction_of(volume)

    session = Session(FakeStore(make_spec("nuclei v1")), start, predict=slow)
    session.refused.connect(said.append)
    session.predicted.connect(results.append)
    session.set_image(make_volume())
    assert session.predict(PredictConfig())
    assert not session.predict(PredictConfig())
    assert said == ["Predicting nuclei is still at work: wait, or cancel it."]
    free.set()
    threads[0].join(5)
    assert len(results) == 1


def test_a_late_answer_is_not_lost(checkpoints: Path) -> None:
    queued: list[Callable[[], None]] = []
    session = Session(
        FakeStore(make_spec("nuclei v1")),
        lambda function: function(),
        queued.append,
        predict=fake_predict,
    )
    results: list[Any] = []
    session.predicted.connect(results.append)
    session.set_image(make_volume())
    session.predict(PredictConfig())
    session.predict(PredictConfig())
    assert results == []
    for action in queued:
        action()
    assert len(results) == 2


def test_a_closed_session_cancels_and_is_silent(
    start: Callable[..., None], threads: list[threading.Thread]
) -> None:
    started, statuses = threading.Event(), []

    def slow(volume: Any, model: Any, config: PredictConfig) -> Job[Any]:
        while True:
            yield Progress("predicting")
            started.set()

    session = Session(FakeStore(make_spec("nuclei v1")), start, predict=slow)
    session.set_image(make_volume())
    session.predict(PredictConfig())
    assert started.wait(5)
    session.close()
    session.status_changed.connect(statuses.append)
    threads[0].join(5)
    assert session.is_closed
    assert session.status.reason is FinishReason.CANCELLED
    assert statuses == []
    assert not session.predict(PredictConfig())


def test_learning_ends_with_a_decision(session: Session) -> None:
    annotate(session)
    curve: list[Metric] = []
    session.metric_added.connect(curve.append)
    assert session.material().describe() == "1 image"
    assert session.learn(TrainConfig(), "nuclei v1")
    assert [m.name for m in curve] == ["loss", "held-out dice"] == [m.name for m in session.curve]
    candidate = session.candidate
    assert candidate is not None
    assert candidate.name == "nuclei v2"
    assert candidate.describe() == "held-out Dice 0.81 → 0.88"
    assert "Decide first" in str(session.learn_problem())
    assert session.keep(use=True)
    assert session.model == "nuclei v2"
    assert session.candidate is None
    assert not candidate.request.folder.exists(), "checkpoints go with the decision"


def test_keep_both_stays_with_the_present_model(session: Session) -> None:
    annotate(session)
    session.learn(TrainConfig(), None)
    assert session.candidate is not None
    assert session.candidate.describe() == "held-out Dice 0.88"
    session.keep(use=False)
    assert session.model == "nuclei v1"
    assert "nuclei v1 2" in session.specs, "from nothing it is named after the image"


def test_discard_saves_nothing(session: Session) -> None:
    annotate(session)
    session.learn(TrainConfig(), "nuclei v1")
    session.discard()
    assert session.candidate is None
    assert list(session.specs) == ["nuclei v1", "brain"]
    assert not session.keep(use=True)


def test_stop_reaches_the_trainer_and_cancel_can_be_resumed(
    start: Callable[..., None], threads: list[threading.Thread], checkpoints: Path
) -> None:
    calls: list[bool] = []
    at_work = threading.Event()

    def patient(items: Any, *, folder: Path, name: str, stop: Any, resume: bool, **how: Any) -> Any:
        calls.append(resume)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "last.safetensors").touch()
        while not stop.is_set():
            yield Progress("learning")
            at_work.set()
        split = Split(tuple(items), (), "")
        return SimpleNamespace(
            spec=make_spec(name), state={}, before=None, after={"dice": 0.5}, split=split
        )

    session = Session(FakeStore(), start, train=patient, folder=checkpoints)
    annotate(session)
    assert session.learn(TrainConfig(), None)
    assert at_work.wait(5)
    assert session.is_learning
    assert not session.can_resume()
    session.cancel()
    threads[-1].join(5)
    assert session.can_resume()
    at_work.clear()
    assert session.resume()
    assert at_work.wait(5)
    session.stop()
    threads[-1].join(5)
    assert calls == [False, True]
    assert session.candidate is not None
    assert (
        session.candidate.describe() == "Dice 0.50, on what it learned from (nothing was held out)"
    )


def test_annotations_are_followed(session: Session) -> None:
    changes: list[int] = []
    session.annotations_changed.connect(lambda: changes.append(1))
    state = annotate(session, Extent())
    assert len(changes) == 1
    assert session.learn_problem() == (
        "Nothing is finished yet: finish a slice, a box or the whole image in Correct."
    )
    state.finish_all()
    assert len(changes) == 2
    assert session.learn_problem() is None
    assert session.split_note(TrainConfig()).startswith("too little is finished")
    del session.annotations["key"]
    assert session.learn_problem() is not None


def test_only_annotated_volumes_are_remembered(session: Session) -> None:
    annotate(session)
    session.set_image(make_volume(name="a"), "a")
    session.set_image(make_volume(name="b"), "b")
    assert set(session.volumes) == {"key", "b"}
    session.set_image(None)
    assert set(session.volumes) == {"key"}


def test_the_price_is_told_before(session: Session) -> None:
    assert session.cost(PredictConfig()) == ""
    session.set_image(make_volume())
    assert session.cost(PredictConfig(device="cpu")).endswith("GB")


def test_a_trainer_that_refuses_leaves_no_candidate(session: Session) -> None:
    def refusing(items: Any, **how: Any) -> Job[Any]:
        yield Progress("preparing")
        raise BadInputError("expected images of one kind")

    session._train = refusing
    annotate(session)
    assert session.learn(TrainConfig(), None)
    assert session.status.reason is FinishReason.ERRORED
    assert session.candidate is None
    assert not session.can_resume()


def test_a_score_says_on_how_many_images_of_their_own(session: Session) -> None:
    annotate(session)
    session.learn(TrainConfig(), "nuclei v1")
    candidate = session.candidate
    assert candidate is not None
    (item,) = candidate.result.split.train
    others = [replace(item, volume=replace(item.volume)) for _ in range(2)]
    for held, end in ((others, ", on 2 images"), (others[:1], ", on 1 image"), ([item], "")):
        split = replace(candidate.result.split, held_out=tuple(held))
        result: Any = SimpleNamespace(**{**vars(candidate.result), "split": split})
        one = replace(candidate, result=result)
        assert one.describe() == f"held-out Dice 0.81 → 0.88{end}"
