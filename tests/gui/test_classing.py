"""*Classify the rest* in the Correct dock, in a real viewer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tests._small import make_spec

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.session import classing as module

from ._correct_bench import CLASSES, Bench

FLAT = Grid.regular("YX", (64, 64), (0.5, 0.5), unit="um")


@pytest.fixture
def bench(make_napari_viewer, tmp_path, monkeypatch):
    """Sixteen objects, found by a model; classing is done by what the test says."""
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    labels = np.zeros(FLAT.shape, np.uint32)
    for n in range(16):
        y, x = 16 * (n // 4) + 3, 16 * (n % 4) + 3
        labels[y : y + 9, x : x + 9] = 500 + n

    def job(volume, said, start, name):
        """As the engine answers: even numbers are cells, 507 is the most doubtful."""
        yield Progress("classifying", 0, 1, "object")
        numbers = np.arange(500, 516)
        doubt = np.where(numbers == 507, 0.95, 0.1)
        objects = {"label": numbers, "class": 1 + numbers % 2}
        objects |= {"score": 1 - doubt / 2, "uncertainty": doubt}
        prediction = Prediction(
            volume.grid, said.labels, classes=CLASSES, objects=objects, summary="8 cells · 8 nuclei"
        )
        model = SimpleNamespace(spec=make_spec(name, task="object_class"))
        return module.Classed(model, prediction, len(said.object_classes))

    monkeypatch.setattr(module, "classing_job", job)
    b = Bench(make_napari_viewer(), FLAT, labels, CLASSES).begin()
    yield b
    b.state.autosave.close()


def pick(b, number, key):
    b.layer.selected_label = number
    b.key(key)


def test_a_few_are_classed_and_one_button_classes_the_rest(bench, qtbot):
    b, row = bench, bench.dock.classing
    assert row.isVisibleTo(b.dock)
    assert not row.button.isEnabled()
    assert "say of which class" in row.button.toolTip()
    b.dock.objects._doubted = (0.99, 1)  # the person has looked through doubtful ones before
    b.key("Shift-C")
    assert "say of which class" in row.summary.text()
    pick(b, 500, "Control-1")
    assert "one class" in row.button.toolTip()
    pick(b, 502, "Control-2")  # against what the network will say
    assert row.button.isEnabled()
    row.button.click()
    qtbot.waitUntil(lambda: "14 objects classed" in row.summary.text(), timeout=10_000)
    assert b.state.notes[502].kind == 2
    assert b.state.notes[507].kind == 2
    qtbot.waitUntil(lambda: "uncertainty" in b.layer.features, timeout=5_000)
    table = b.layer.features.set_index("index")
    assert table.loc[507, "class"] == "nucleus"
    assert table.loc[507, "class by"] == "network"
    assert table.loc[507, "uncertainty"] == pytest.approx(0.95)
    assert table.loc[502, "class by"] == "person"
    assert np.isnan(table.loc[502, "uncertainty"])

    assert "now 7 cell · 9 nucleus" in row.summary.text()
    coloring = b.dock.objects.coloring.choice
    coloring.setCurrentIndex(coloring.findData("class"))
    shown = b.layer.get_color(507)
    assert shown is not None
    np.testing.assert_allclose(shown[:3], np.array([0x56, 0xB4, 0xE9]) / 255, atol=0.01)

    b.key("Shift-Down")  # the most doubtful
    assert b.layer.selected_label == 507
    assert "nucleus 0.5" in b.dock.objects.title.text()
    b.key("Control-1")
    b.key("Shift-Down")
    assert b.layer.selected_label not in (500, 502, 507)

    row.button.click()  # the next round leaves the correction alone
    qtbot.waitUntil(lambda: "learned from 3" in row.summary.text(), timeout=10_000)
    assert b.state.notes[507].kind == 1
    b.layer.undo()  # the second round changed nothing; the correction is taken back
    assert b.state.notes[507].kind == 2
    assert row.keep.isEnabled()


def test_annotations_of_classes_have_no_such_row(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    b = Bench(make_napari_viewer(), FLAT, classes=(LabelClass(1, "a"), LabelClass(2, "b"))).begin()
    assert not b.dock.classing.isVisibleTo(b.dock)
    b.state.autosave.close()
