"""Work on large annotations, beside the real window."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_apprentice.session import begun, beside

from ._correct_bench import DEEP, Bench


@pytest.fixture
def large(monkeypatch: Any) -> None:
    """Everything is large enough for a worker."""
    monkeypatch.setattr(beside, "QUICK", 0)


def numbered() -> np.ndarray:
    labels = np.zeros(DEEP.shape, np.int32)
    for number in range(1, 10):
        labels[1:4, 3 * number, 2:20] = number
    labels[5, 30, 30] = 10
    return labels


def test_a_prediction_becomes_an_annotation_and_is_edited_beside_the_window(
    large: None, viewer: Any, idle: Any, qtbot: Any
) -> None:
    bench = Bench(viewer, DEEP, numbered())
    bench.dock.beginning.correct.click()
    assert bench.state is None  # a worker copies it
    qtbot.waitUntil(lambda: bench.state is not None, timeout=20_000)
    idle(bench.session)
    assert np.array_equal(bench.layer.data, numbered())
    assert not bench.prediction.visible
    bench.dock.objects.smallest.setValue(1.0)
    bench.dock.objects.buttons["Shift+M"].click()
    qtbot.waitUntil(lambda: bench.state.can_undo, timeout=20_000)
    idle(bench.session)
    assert bench.state.index.numbers().tolist() == [*range(1, 10)]
    bench.dock.undo.click()
    assert np.array_equal(bench.layer.data, numbered())


def test_labels_below_zero_are_refused_where_the_button_is(
    large: None, viewer: Any, idle: Any
) -> None:
    labels = numbered()
    labels[0, 0, 0] = -1
    bench = Bench(viewer, DEEP, labels)
    bench.dock.beginning.correct.click()
    idle(bench.session)
    assert "found -1" in bench.dock.error.sentence.text()
    assert bench.state is None
    assert bench.dock.beginning.correct.isEnabled()


def test_what_is_being_restored_cannot_be_discarded(
    large: None, viewer: Any, idle: Any, qtbot: Any, monkeypatch: Any
) -> None:
    go, read = threading.Event(), begun.restore

    def slowly(folder: Path) -> Any:
        assert go.wait(20)
        return read(folder)

    monkeypatch.setattr(begun, "restore", slowly)
    bench = Bench(viewer, DEEP, numbered()).begin()
    qtbot.waitUntil(lambda: bench.state is not None, timeout=20_000)
    idle(bench.session)
    bench.stroke((3, 30, 30), value=11)
    said = bench.state.labels.copy()
    bench.state.autosave.close()
    bench.session.annotations.clear()
    annotator = bench.dock.annotator
    annotator._asked = ("", None)  # as after a restart
    annotator.restore()
    annotator.discard()
    assert "still at work" in bench.dock.error.sentence.text()
    go.set()
    qtbot.waitUntil(lambda: bench.state is not None, timeout=20_000)
    idle(bench.session)
    assert np.array_equal(bench.state.labels, said)
