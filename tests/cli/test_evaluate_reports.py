"""How sure scores are, two models against each other, and the page about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Four images with a square each; found well by *good*, half of it by *poor*."""
    for folder in ("truth", "good", "poor"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        truth = np.zeros((20, 20), np.uint8)
        truth[2:12, 2 : 10 + number] = 1
        half = truth.copy()
        half[7:] = 0
        for folder, labels in (("truth", truth), ("good", truth), ("poor", half)):
            save(Volume(labels, Grid.regular("YX", (20, 20))), tmp_path / folder / f"s{number}.tif")
    return tmp_path


def test_evaluate_tells_how_sure_it_is(call: Callable[..., Any], squares: Path) -> None:
    ask = ("evaluate", "--truth", "truth", "--prediction", "poor", "--resamples", "50")
    answer = call(*ask, "--json").json
    low, high = answer["intervals"]["mean"]["dice"]
    assert low <= answer["mean"]["dice"] <= high
    assert (answer["intervals"]["resamples"], answer["intervals"]["units"]) == (50, 4)
    assert "50 bootstrap resamples of 4 cases" in call(*ask).out
    assert "intervals" not in call(*ask[:-1], "0", "--json").json


def test_evaluate_draws_whole_groups(call: Callable[..., Any], squares: Path) -> None:
    (squares / "g.csv").write_text("name,group\ns0,a\ns1,a\ns2,b\n", encoding="utf-8")
    ask = ("evaluate", "--truth", "truth", "--prediction", "poor", "--resamples", "50")
    grouped = call(*ask, "--groups", "g.csv", "--json").json
    assert (grouped["intervals"]["units"], grouped["intervals"]["grouped"]) == (3, True)
    assert [case.get("group") for case in grouped["cases"]] == ["a", "a", "b", None]
    (squares / "g.csv").write_text("name,group\ns9,a\n", encoding="utf-8")
    assert "s9" in call(*ask, "--groups", "g.csv").error


def test_evaluate_compares_two_models_and_writes_a_report(
    call: Callable[..., Any], squares: Path
) -> None:
    ask = ("evaluate", "--truth", "truth", "--prediction", "good", "--against", "poor")
    answer = call(*ask, "--resamples", "50", "--report", "r.html", "--json")
    assert answer.code == 0, answer.err
    found = answer.json["differences"]["dice"]
    assert found["difference"] == pytest.approx(1 / 3)
    assert found["low"] == pytest.approx(1 / 3)
    assert answer.json["against"]["mean"]["dice"] == pytest.approx(2 / 3)
    text = (squares / "r.html").read_text("utf-8")
    assert "good against poor" in text
    assert str(squares) not in text
    assert text.count("<svg") == 4
    assert "+0.3333" in call(*ask, "--resamples", "50").out


def test_a_report_under_another_ending_is_refused_before_any_work(
    call: Callable[..., Any],
) -> None:
    answer = call("evaluate", "--truth", "no", "--prediction", "no", "--report", "r.pdf")
    assert answer.code == 2
    assert ".html" in answer.error
