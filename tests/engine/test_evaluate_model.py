"""A model scored on images: whose classes, which label values, what is left out, and how a cancel is heard."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests._small import make_spec

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, JobError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Job, Log, Progress, run_to_end
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.engine.evaluate_model import aligned, evaluate_model, with_classes
from napari_apprentice.io import save

GRID = Grid.regular("YX", (12, 12))
QUICK = EvaluateConfig(resamples=10)
LIVER, SPLEEN = ClassSpec(value=1, name="liver"), ClassSpec(value=2, name="spleen")


def model(**more: Any) -> Any:
    return SimpleNamespace(spec=make_spec("m", 2, **{"classes": (LIVER, SPLEEN)} | more))


def square(value: int) -> np.ndarray:
    labels = np.zeros((12, 12), np.uint8)
    labels[2:8, 2:8] = value
    return labels


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for n in range(3):
        for folder, data in (("images", square(1) * (n + 1)), ("truth", square(1))):
            (tmp_path / folder).mkdir(exist_ok=True)
            save(Volume(data, GRID), tmp_path / folder / f"{n}.tif")
    return tmp_path


def said(volume: Volume, model: Any, config: Any) -> Job[Prediction]:
    """Liver where the image is bright; spleen in the third."""
    yield Progress("predicting", 0, 1, "tile")
    value = 2 if volume.numpy().max() == 3 else 1
    return Prediction(volume.grid, square(value), classes=model.spec.label_classes)


def test_every_image_is_predicted_and_scored(folders: Path) -> None:
    events: list[Any] = []
    job = evaluate_model(model(), folders / "images", folders / "truth", config=QUICK, apply=said)
    found = run_to_end(job, events.append)
    assert [round(c.scores["dice_liver"], 3) for c in found.report.cases] == [1, 1, 0]
    assert found.report.cases[2].scores["dice_spleen"] == 0  # told where there is none
    assert [e.done for e in events if isinstance(e, Progress) and e.stage == "predicting"] == [
        *(0, 0, 1, 1, 2, 2)
    ]
    assert [c.image.name for c in found.cases if c.image] == ["0.tif", "1.tif", "2.tif"]
    opened = found.cases[2].open()
    assert np.array_equal(opened.prediction.labels, square(2))
    assert np.array_equal(opened.annotation.labels, square(1))


def test_an_image_that_fails_is_named_and_left_out(folders: Path) -> None:
    def fails(volume: Volume, model: Any, config: Any) -> Job[Prediction]:
        if volume.numpy().max() == 2:
            raise JobError("the network failed")
        return (yield from said(volume, model, config))

    events: list[Any] = []
    job = evaluate_model(model(), folders / "images", folders / "truth", config=QUICK, apply=fails)
    found = run_to_end(job, events.append)
    assert len(found.cases) == 2
    assert any(
        isinstance(e, Log) and "left out: 1: the network failed" in e.message for e in events
    )


def test_nothing_that_works_is_an_error(folders: Path) -> None:
    def fails(volume: Volume, model: Any, config: Any) -> Job[Prediction]:
        yield Progress("predicting")
        raise BadInputError("expects 3-D")

    job = evaluate_model(model(), folders / "images", folders / "truth", apply=fails)
    with pytest.raises(BadInputError, match="expects 3-D"):
        run_to_end(job)


def test_patients_are_told_apart(folders: Path) -> None:
    groups = {"0": "ann", "1": "ann", "2": "bob"}
    job = evaluate_model(
        model(), folders / "images", folders / "truth", groups=groups, config=QUICK, apply=said
    )
    known = run_to_end(job).report.uncertainty
    assert known is not None
    assert (known.units, known.grouped) == (2, True)


def test_a_cancel_is_heard_between_tiles(folders: Path) -> None:
    closed = []

    def endless(volume: Volume, model: Any, config: Any) -> Job[Prediction]:
        try:
            while True:
                yield Progress("predicting", 1, 9, "tile")
        finally:
            closed.append(True)

    job = evaluate_model(model(), folders / "images", folders / "truth", apply=endless)
    for _ in range(9):
        next(job)
    job.close()
    assert closed


def test_label_values_follow_the_names_of_classes() -> None:
    truth = Annotation(GRID, square(7), (LabelClass(7, "Liver"), LabelClass(1, "other")))
    full = with_classes(truth, model().spec)
    assert [(c.value, c.name) for c in full.classes] == [(7, "Liver"), (1, "other"), (2, "spleen")]
    labels = square(1)
    labels[0, 0] = 2
    answer = aligned(Prediction(GRID, labels, classes=model().spec.label_classes), full)
    assert answer.labels is not None
    assert (answer.labels[3, 3], answer.labels[0, 0], answer.labels[11, 11]) == (7, 2, 0)
    same = Prediction(GRID, labels, classes=model().spec.label_classes)
    assert aligned(same, with_classes(Annotation(GRID, square(1), ()), model().spec)) is same


def test_a_class_takes_a_free_value_where_its_own_is_taken() -> None:
    truth = Annotation(GRID, square(2), (LabelClass(2, "kidney"),))
    found = {c.name: c.value for c in with_classes(truth, model().spec).classes}
    assert found["kidney"] == 2
    assert len(set(found.values())) == 3
