"""What each task's answers score, alone and together, and where they are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, run_to_end
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.engine.evaluate import compare, evaluate_cases, evaluate_files, in_groups
from napari_apprentice.engine.scorers import SCORERS, Case, Compared, scorer_of
from napari_apprentice.measure.classification import classification_scores
from napari_apprentice.measure.figures import Matrix, Plot
from napari_apprentice.measure.instances import score_instances
from napari_apprentice.measure.probabilities import probability_scores
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from pathlib import Path

GRID = Grid.regular("YX", (20, 30), spacing=(0.5, 0.5), unit="um")
TISSUES = (LabelClass(1, "liver"), LabelClass(2, "spleen"))
KINDS = (LabelClass(1, "cat"), LabelClass(2, "dog"))
FEW = EvaluateConfig(resamples=50)


def boxes(*places: tuple[int, int, int]) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    for y, x, value in places:
        labels[y : y + 6, x : x + 6] = value
    return labels


def labels_case(name: str, said: np.ndarray, true: np.ndarray, **how: Any) -> Case:
    extent = how.pop("extent", Extent(whole=True))
    prediction = Prediction(GRID, labels=said, classes=TISSUES)
    annotation = Annotation(GRID, true, TISSUES, extent=extent)
    return Case(name, name, lambda: Compared(prediction, annotation), **how)


def class_case(number: int, true: str, cat: float) -> Case:
    grid = Grid.regular("YX", (1, 1))
    said = "cat" if cat >= 0.5 else "dog"
    prediction = Prediction(grid, table={"cat": cat, "dog": 1 - cat}, image_class=said)
    annotation = Annotation.of_image(grid, true, KINDS)
    return Case(f"{number}.png", str(number), lambda: Compared(prediction, annotation))


def evaluated(cases: list[Case], task: str, config: EvaluateConfig = FEW) -> Any:
    return run_to_end(evaluate_cases(cases, task=task, config=config))


@pytest.fixture
def objects() -> list[Case]:
    true = boxes((0, 0, 1), (0, 10, 2), (10, 0, 3))
    return [
        labels_case("a", true, true),
        labels_case("b", boxes((0, 0, 1), (10, 20, 2)), true),
        labels_case("c", boxes((0, 0, 7)), boxes((0, 0, 1))),
    ]


@pytest.fixture
def images() -> list[Case]:
    rng = np.random.default_rng(0)
    kinds = ["cat", "dog"] * 20
    return [
        class_case(n, kind, float(np.clip((kind == "cat") * 0.4 + rng.random() * 0.6, 0, 1)))
        for n, kind in enumerate(kinds)
    ]


def test_scorers_are_named_after_tasks() -> None:
    assert set(SCORERS) <= set(TASKS)
    with pytest.raises(BadInputError, match="no task"):
        scorer_of("semntic")


def test_means_have_intervals_that_hold_them(objects: list[Case]) -> None:
    report = evaluated(objects, "semantic").report
    low, high = report.uncertainty.mean["dice"]
    assert low <= report.mean["dice"] <= high
    assert low < high
    assert report.uncertainty.units == 3
    assert report.to_dict()["intervals"]["mean"]["dice"] == [low, high]


def test_one_case_or_no_wish_has_no_interval(objects: list[Case]) -> None:
    assert evaluated(objects[:1], "semantic").report.uncertainty is None
    assert evaluated(objects, "semantic", EvaluateConfig(resamples=0)).report.uncertainty is None


def test_one_patient_has_no_interval(objects: list[Case]) -> None:
    grouped = in_groups(objects, dict.fromkeys("abc", "p1"))
    assert evaluated(grouped, "semantic").report.uncertainty is None
    two = in_groups(objects, {"a": "p1", "b": "p1"})
    report = evaluated(two, "semantic").report
    assert (report.uncertainty.units, report.uncertainty.grouped) == (2, True)
    assert report.cases[0].facts == {"group": "p1"}


def test_a_group_of_nobody_is_refused(objects: list[Case]) -> None:
    with pytest.raises(BadInputError, match=r"group of x\."):
        in_groups(objects, {"x": "p1"})


def test_objects_are_pooled_as_if_in_one_image(objects: list[Case]) -> None:
    report = evaluated(objects, "instance").report
    opened = [case.open() for case in objects]
    together = score_instances(
        np.concatenate([c.prediction.labels for c in opened]),
        np.concatenate(
            [c.annotation.labels + 10 * (c.annotation.labels > 0) * n for n, c in enumerate(opened)]
        ),
    ).to_dict()
    assert report.pooled["truth_count"] == together["truth_count"] == 7
    low, high = report.uncertainty.pooled["ap50"]
    assert low < report.pooled["ap50"] < high
    assert {type(figure) for figure in report.figures} == {Plot}


def test_drawing_every_case_once_is_the_score_itself(
    objects: list[Case], images: list[Case]
) -> None:
    for cases, task in ((objects, "instance"), (images, "image_class")):
        judged = evaluated(cases, task).judged
        pooled = scorer_of(task).pool(judged)
        twice = pooled.scores(np.full(len(cases), 2.0))
        once = pooled.scores(np.ones(len(cases)))
        rates = [name for name in once if "count" not in name and name not in ("splits", "merges")]
        assert [twice[n] for n in rates] == pytest.approx([once[n] for n in rates], nan_ok=True)


def test_rates_of_classes_are_those_of_the_set(images: list[Case]) -> None:
    done = evaluated(images, "image_class")
    shares = np.array([[c.evidence[2]["cat"], c.evidence[2]["dog"]] for c in done.judged])
    true = np.array([0 if c.evidence[0] == "cat" else 1 for c in done.judged])
    rates = classification_scores(shares.argmax(axis=1), true, (0, 1)).flat({0: "cat", 1: "dog"})
    expected = {**rates, **probability_scores(shares, true).flat()}
    report = done.report
    assert {n: report.mean[n] for n in expected} == pytest.approx(expected)
    assert 0.5 < report.mean["roc_auc_cat"] < 1
    assert report.confusion[0] == ("cat", "dog")
    low, high = report.uncertainty.mean["roc_auc_cat"]
    assert low < report.mean["roc_auc_cat"] < high
    assert [f.title for f in report.figures if isinstance(f, Plot)] == [
        "ROC",
        "Precision and recall",
        "Reliability",
    ]


def test_a_class_may_be_written_in_other_letters() -> None:
    case = class_case(0, "cat", 0.9)
    opened = case.open()
    shouted = Annotation.of_image(opened.annotation.grid, "CAT", (LabelClass(1, "CAT"),))
    judged = scorer_of("image_class").judge(opened.prediction, shouted)
    assert judged.scores == {"accuracy": 1.0, "probability": 0.9}


def test_voxels_of_all_cases_make_one_matrix(objects: list[Case]) -> None:
    true = boxes((0, 0, 1), (0, 10, 2))
    cases = [labels_case("a", true, true), labels_case("b", boxes((0, 0, 2)), true)]
    (matrix,) = (f for f in evaluated(cases, "semantic").report.figures if isinstance(f, Matrix))
    assert matrix.names == ("background", "liver", "spleen")
    assert matrix.counts.tolist() == [[2 * 600 - 144, 0, 0], [0, 36, 36], [36, 0, 36]]
    assert matrix.shares[1].tolist() == [0, 0.5, 0.5]


def test_errors_of_classes_are_of_three_kinds_and_only_where_it_counts() -> None:
    said, true = boxes((0, 0, 1), (0, 10, 1)), boxes((0, 10, 2), (10, 0, 1))
    scorer = scorer_of("semantic")
    case = labels_case("a", said, true).open()
    found = scorer.errors(case.prediction, case.annotation)
    assert [int(found.labels[at]) for at in ((2, 2), (2, 12), (12, 2), (19, 29))] == [1, 3, 2, 0]
    assert found.summary == "36 false positive · 36 false negative · 36 wrong class voxels"
    half = labels_case("a", said, true, extent=Extent(boxes=(((0, 0), (8, 8)),))).open()
    assert set(np.unique(scorer.errors(half.prediction, half.annotation).labels)) == {0, 1}


def test_errors_of_objects_have_names(objects: list[Case]) -> None:
    case = objects[1].open()
    found = scorer_of("instance").errors(case.prediction, case.annotation)
    assert found.summary == "2 missed · 1 extra"
    assert [c.name for c in found.classes][:2] == ["false positive", "false negative"]
    right = objects[0].open()
    assert (
        "every object" in scorer_of("instance").errors(right.prediction, right.annotation).summary
    )


def test_two_models_are_compared_on_shared_cases_in_one_order(objects: list[Case]) -> None:
    worse = [
        labels_case(c.name, np.zeros(GRID.shape, np.uint8), c.open().annotation.labels)
        for c in objects
    ]
    first = evaluated(objects, "instance")
    second = evaluated([worse[2], worse[0]], "instance")
    logs: list[Any] = []
    found = run_to_end(compare(first, second, ("new", "old"), FEW), logs.append)
    assert [c.name for c in found.first.cases] == [c.name for c in found.second.cases] == ["a", "c"]
    assert any(isinstance(e, Log) and "1 cases that only new" in e.message for e in logs)
    assert found.differences["ap50"] == found.differences["ap50 (pooled)"] == 1.0
    assert found.is_clear("ap50")
    plain = found.to_dict()
    assert plain["differences"]["ap50"] == {"difference": 1.0, "low": 1.0, "high": 1.0}
    assert plain["against"]["mean"]["ap50"] == 0


def test_what_cannot_be_compared_is_refused(objects: list[Case], images: list[Case]) -> None:
    one = evaluated(objects, "instance")
    with pytest.raises(BadInputError, match="one task"):
        run_to_end(compare(one, evaluated(images, "image_class"), ("a", "b")))
    other = evaluated([labels_case("z", boxes(), boxes())], "instance")
    with pytest.raises(BadInputError, match="both a and b have"):
        run_to_end(compare(one, other, ("a", "b")))


def test_no_case_is_refused() -> None:
    with pytest.raises(BadInputError, match="at least one case"):
        evaluated([], "semantic")


def test_a_case_that_cannot_be_scored_is_named(objects: list[Case]) -> None:
    bad = Case(
        "bad.png", "bad", lambda: Compared(Prediction(GRID), Annotation(GRID, boxes(), TISSUES))
    )
    with pytest.raises(BadInputError, match=r"bad\.png"):
        evaluated([*objects, bad], "semantic")


def test_files_without_a_partner_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "p").mkdir()
    with pytest.raises(BadInputError):
        run_to_end(evaluate_files(tmp_path / "t", tmp_path / "p"))
