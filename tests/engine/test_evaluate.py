"""Scores of files against files: which classes, which grid, which sentence when they do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Progress, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.engine.evaluate import evaluate_cases
from napari_apprentice.engine.label_files import find_classes
from napari_apprentice.engine.scorers import scorer_of
from napari_apprentice.engine.scorers._labels import LabelScorer
from napari_apprentice.io import save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.measure.report import Report


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Save 3-D labels: boxes of the given values, one behind the other along the last axis."""

    def write(
        name: str, values: tuple[int, ...], classes: dict[int, str] | None = None, **grid: Any
    ) -> Path:
        labels = np.zeros((4, 6, 12), np.uint8)
        for number, value in enumerate(values):
            labels[1:3, 1:5, 3 * number : 3 * number + 2] = value
        grid = {"spacing": (2.0, 1.0, 1.0), "unit": "mm", "world": "LPS"} | grid
        volume = Volume(labels, Grid.regular("ZYX", labels.shape, **grid), classes=classes or {})
        save(volume, tmp_path / name)
        return tmp_path / name

    return write


def score(*pairs: tuple[Path, Path], **how: Any) -> tuple[Report, list[Event]]:
    events: list[Event] = []
    return run_to_end(report(pairs, **how), events.append), events


def report(
    pairs: Sequence[tuple[Path, Path]],
    *,
    task: str = "semantic",
    classes: Sequence[LabelClass] = (),
) -> Job[Report]:
    scorer = scorer_of(task)
    assert isinstance(scorer, LabelScorer)
    cases = yield from scorer.cases_of(pairs, classes)
    config = EvaluateConfig(resamples=0)
    return (yield from evaluate_cases(cases, task=task, config=config)).report


def test_every_case_is_scored_on_the_classes_of_all(write: Callable[..., Path]) -> None:
    one, two, empty = write("1.nii.gz", (1,)), write("2.nii.gz", (1, 2)), write("0.nii.gz", ())
    report, _ = score((one, one), (two, one), (empty, empty))
    first, second, third = (case.scores for case in report.cases)
    assert first["dice_class_1"] == second["dice_class_1"] == 1
    assert np.isnan(first["dice_class_2"])
    assert second["dice_class_2"] == 0
    assert np.isnan(third["dice"])
    assert report.mean["dice"] == pytest.approx((1 + 0.5) / 2)


def test_classes_are_named_by_any_of_the_files(write: Callable[..., Path]) -> None:
    truth = write("t.nii.gz", (1, 2))
    said = write("p.nii.gz", (1, 2), {1: "liver", 2: "spleen"})
    report, _ = score((truth, said))
    assert report.mean["dice_liver"] == report.mean["dice_spleen"] == 1


def test_given_classes_win(write: Callable[..., Path]) -> None:
    truth = write("t.nii.gz", (1, 2), {1: "liver"})
    report, _ = score((truth, truth), classes=(LabelClass(2, "spleen"),))
    assert report.mean["dice_spleen"] == 1
    assert "dice_liver" not in report.mean


def test_sizes_are_physical(write: Callable[..., Path]) -> None:
    truth = write("t.nii.gz", (1,))
    report, _ = score((truth, truth))
    assert report.mean["volume_mm3_class_1"] == pytest.approx(2 * 4 * 2 * 2.0)


def test_progress_comes_case_by_case(write: Callable[..., Path]) -> None:
    pair = (write("t.nii.gz", (1,)),) * 2
    _, events = score(pair, pair)
    done = [e.done for e in events if isinstance(e, Progress) and e.stage == "evaluating"]
    assert done == [0, 1, 2]


def test_a_file_without_a_voxel_size_takes_its_partners(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    truth = write("t.nii.gz", (1,))
    plain = write("p.tif", (1,), spacing=(1.0, 1.0, 1.0), unit="pixel", world="stage")
    for pair in ((truth, plain), (plain, truth)):
        report, events = score(pair)
        (log,) = (event for event in events if isinstance(event, Log))
        assert "p.tif" in log.message
        assert report.mean["volume_mm3_class_1"] == pytest.approx(32)


@pytest.mark.parametrize(
    "grid", [{"spacing": (2.0, 1.0, 1.5)}, {"origin": (0.0, 0.0, 5.0)}, {"unit": "um"}]
)
def test_another_place_is_refused(write: Callable[..., Path], grid: dict[str, Any]) -> None:
    pair = write("t.nii.gz", (1,)), write("p.nii.gz", (1,), **grid)
    with pytest.raises(GridMismatchError, match=r"p\.nii\.gz.*t\.nii\.gz.*spacing"):
        score(pair)


def test_only_background_is_refused(write: Callable[..., Path]) -> None:
    empty = write("0.nii.gz", ())
    with pytest.raises(BadInputError, match="only background"):
        score((empty, empty))


def test_object_numbers_are_not_taken_for_classes() -> None:
    labels = np.arange(400, dtype=np.uint16).reshape(20, 20)
    volume = Volume(labels, Grid.regular("YX", labels.shape), source="cells.tif")
    with pytest.raises(BadInputError, match="object numbers"):
        find_classes([volume])
