"""*Evaluate*: layers, folders and models are scored; cases open with their errors; two models are compared; reports are saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyqtgraph import TextItem
from qtpy.QtCore import Qt
from tests._small import make_spec

import napari_apprentice.engine.evaluate_model  # noqa: F401  # what the worker would import first takes a while
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import save
from napari_apprentice.measure.figures import Curve, Matrix, Plot
from napari_apprentice.widgets._evaluated_sources import FOLDERS, LAYERS, MODEL
from napari_apprentice.widgets._figure_view import FigureView
from napari_apprentice.widgets.evaluate import EvaluateDock

SHAPE = (3, 20, 24)
GRID = Grid.regular("ZYX", SHAPE, spacing=(2.0, 1.0, 1.0), unit="um")


def box(width: int, plane: int = 1) -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[plane, 4:12, 4 : 4 + width] = 1
    return labels


def put(path: Path, data: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    save(Volume(data, GRID), path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Truth, two predictions of which the second misses more, and images."""
    for n in range(3):
        put(tmp_path / "truth" / f"c{n}.tif", box(10))
        put(tmp_path / "good" / f"c{n}.tif", box(10 - n))
        put(tmp_path / "poor" / f"c{n}.tif", box(5 - n))
        put(tmp_path / "images" / f"c{n}.tif", box(10).astype(np.uint16) * 100)
    return tmp_path


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> EvaluateDock:
    made = EvaluateDock(viewer)
    qtbot.addWidget(made)
    made.resize(380, 700)
    made.show()
    return made


@pytest.fixture
def run(dock: EvaluateDock, idle: Callable[[Any], None]) -> Callable[[], None]:
    def run() -> None:
        assert dock.button.isEnabled(), dock.button.toolTip()
        dock.form.row("resamples").value = 20
        dock.button.click()
        idle(dock.session)
        assert dock.session.status.error is None

    return run


def choose(dock: EvaluateDock, mode: str) -> None:
    dock.sources.mode.setCurrentIndex(dock.sources.mode.findData(mode))


def score_folders(dock: EvaluateDock, folders: Path, name: str, run: Callable[[], None]) -> None:
    choose(dock, FOLDERS)
    dock.sources.truth.set_path(folders / "truth")
    dock.sources.prediction.set_path(folders / name)
    dock.sources.look_at.set_path(folders / "images")
    run()


def choose_files(dock: EvaluateDock, task: str, truth: Path, prediction: Path) -> None:
    choose(dock, FOLDERS)
    dock.sources.task.setCurrentIndex(dock.sources.task.findData(task))
    dock.sources.truth.set_path(truth)
    dock.sources.prediction.set_path(prediction)


def cell(view: Any, row: int, column: int) -> str:
    return str(view.cells.table.rows[row][column])


def test_it_names_the_next_step(dock: EvaluateDock, viewer: Any, folders: Path) -> None:
    assert "predict and annotate" in dock.summary.text()
    assert not dock.button.isEnabled()
    assert not dock.tabs.isVisible()
    labels = viewer.add_labels(box(3), name="truth")
    assert "one layer" in dock.summary.text()
    viewer.layers.remove(labels)
    choose(dock, FOLDERS)
    assert "Choose the truth" in dock.button.toolTip()
    dock.sources.truth.set_path(folders / "truth")
    assert "predictions" in dock.button.toolTip()
    choose(dock, MODEL)
    assert "images" in dock.button.toolTip()
    assert not dock.sources.prediction.isVisible()


def test_layers_are_scored_and_errors_added(
    dock: EvaluateDock, viewer: Any, run: Callable[[], None], idle: Any
) -> None:
    viewer.add_labels(box(10), name="mine")
    viewer.add_labels(
        box(8), name="said", metadata={"napari-apprentice": {"result": True, "axes": "ZYX"}}
    )
    assert dock.sources.mode.currentData() == LAYERS
    assert dock.sources.truth_layer.currentText() == "mine"
    assert dock.sources.prediction_layer.currentText() == "said"
    run()
    assert "said · 1 case · Dice 0.8889" in dock.summary.text()
    assert cell(dock.scores, 0, 2) == ""
    dock.cases.chosen.emit(0)
    idle(dock.session)
    assert [layer.name for layer in viewer.layers] == ["mine", "said", "said ▸ errors"]
    errors = viewer.layers[-1]
    assert sorted(np.unique(errors.data)) == [0, 2]
    assert "16 false negative" in dock.said.text()
    run()
    assert len(viewer.layers) == 2  # a new evaluation takes the layers of the old one away


def test_a_case_opens_with_its_image_at_the_worst_slice(
    dock: EvaluateDock, viewer: Any, folders: Path, run: Callable[[], None], idle: Any
) -> None:
    score_folders(dock, folders, "good", run)
    assert dock.cases.cells.rowCount() == 3
    dock.cases.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert dock.cases.order() == [2, 1, 0]
    dock.cases.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert dock.cases.order() == [0, 1, 2]
    viewer.dims.set_current_step(0, 0)
    index = dock.cases.model().index(2, 0)
    dock.cases.clicked.emit(index)
    idle(dock.session)
    names = [layer.name for layer in viewer.layers]
    assert names == ["c2", "c2.tif ▸ prediction", "c2.tif ▸ truth", "c2.tif ▸ errors"]
    assert tuple(viewer.layers[-1].scale) == (2.0, 1.0, 1.0)
    assert viewer.dims.current_step[0] == 1
    dock.open_case(0)
    idle(dock.session)
    assert {layer.name[:2] for layer in viewer.layers} == {"c0"}


def test_two_models_are_compared_and_a_report_is_saved(
    dock: EvaluateDock,
    folders: Path,
    run: Callable[[], None],
    idle: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score_folders(dock, folders, "poor", run)
    assert not dock.against.isVisible()
    score_folders(dock, folders, "good", run)
    dock.against.setCurrentIndex(dock.against.findText("poor"))
    dock.against.activated.emit(dock.against.currentIndex())
    idle(dock.session)
    assert dock.scores.cells.table.heads == ("score", "good", "poor", "difference", "interval")
    assert cell(dock.scores, 0, 3).startswith("+")
    assert cell(dock.scores, 0, 3).endswith("*")
    assert "good minus poor on 3 cases" in dock.said.text()
    for button, name in ((dock.html, "report.html"), (dock.csv, "scores.csv")):
        monkeypatch.setattr(dock, "ask", lambda *_, name=name: folders / name)
        button.click()
        idle(dock.session)
        assert f"Written: {name}" in dock.said.text()
    assert "good against poor" in (folders / "report.html").read_text("utf-8")
    assert (folders / "scores.csv").read_text("utf-8").count("\n") == 5
    dock.against.setCurrentIndex(0)
    dock.against.activated.emit(0)
    assert dock.scores.cells.table.heads[:2] == ("score", "value")


def test_a_model_is_scored_on_a_folder(
    dock: EvaluateDock, viewer: Any, folders: Path, run: Callable[[], None], engine: Any, idle: Any
) -> None:
    engine.go.set()
    choose(dock, MODEL)
    dock.sources.models.setCurrentIndex(dock.sources.models.findData("brain"))
    assert not dock.sources.task.isVisible()
    dock.sources.images.set_path(folders / "images")
    dock.sources.truth.set_path(folders / "truth")
    run()
    assert dock.summary.text().startswith("brain · 3 cases · Dice")
    dock.open_case(1)
    idle(dock.session)
    assert "c1.tif ▸ truth" in [layer.name for layer in viewer.layers]


def test_a_model_is_told_the_diameter_that_predict_was_told(
    dock: EvaluateDock, folders: Path, run: Callable[[], None], engine: Any, add_image: Any
) -> None:
    add_image()
    dock.session.set_diameter(3.5)
    choose(dock, MODEL)
    dock.sources.models.setCurrentIndex(dock.sources.models.findData("brain"))
    dock.sources.images.set_path(folders / "images")
    dock.sources.truth.set_path(folders / "truth")
    run()
    assert [config.diameter for config in engine.configs] == [3.5] * 3


def test_class_folders_say_the_truth_themselves(dock: EvaluateDock, tmp_path: Path) -> None:
    choose(dock, MODEL)
    sources = dock.sources
    assert sources.truth.label.text() == "choose …"
    sources.set_models([make_spec("kinds", task="image_class", network="cnn")])
    assert sources.truth.label.text() == "the class folders"
    assert dock.problem() == "Choose the images that the model is to predict."
    sources.images.set_path(tmp_path)
    assert dock.problem() is None


def test_a_refusal_is_shown_and_nothing_changes(
    dock: EvaluateDock, folders: Path, idle: Any
) -> None:
    choose(dock, FOLDERS)
    (folders / "good" / "c2.tif").unlink()
    dock.sources.truth.set_path(folders / "truth")
    dock.sources.prediction.set_path(folders / "good")
    dock.button.click()
    idle(dock.session)
    assert "no partner" in str(dock.session.status.error)
    assert dock.shown is None


def test_nothing_is_wider_than_the_dock(
    dock: EvaluateDock, folders: Path, run: Callable[[], None], qtbot: Any
) -> None:
    score_folders(dock, folders, "good", run)
    qtbot.wait(20)
    assert dock.scroll.horizontalScrollBar().maximum() == 0


def test_figures_follow_theme_and_escape_names(qtbot: Any) -> None:
    view = FigureView()
    qtbot.addWidget(view)
    curve = Curve("<b>evil</b>", np.array([0.0, 1.0]), np.array([0.0, np.nan]), dots=True)
    matrix = Matrix("matrix", ("a" * 30, "b"), np.array([[3, 1], [0, 2]]))
    view.set_figures([Plot("ROC", "x", "y", (curve,), diagonal=True), matrix])
    assert "&lt;b&gt;evil" in view.legend.text()
    view.titles.setCurrentIndex(1)
    assert "percent" in view.legend.text()
    shares = {
        one.toPlainText(): one.color.name()
        for one in view.plot.getPlotItem().items
        if isinstance(one, TextItem)
    }
    dark = {text for text, color in shares.items() if color == "#000000"}
    assert dark == {"75", "100"}, "on the bright cells"
    many = Matrix("many", tuple("abcdefg"), np.eye(7, dtype=int))
    view.set_figures([many])
    below = view.plot.getAxis("bottom")._tickLevels[0]
    assert [text for _, text in below] == ["a", "\nb", "\n\nc", "d", "\ne", "\n\nf", "g"]
    view.set_theme("#ffffff", "#000000")
    view.set_figures([])
    assert view.legend.text() == ""


def test_points_that_went_wrong_are_shown_on_the_image(
    dock: EvaluateDock, viewer: Any, tmp_path: Path, run: Any, idle: Any
) -> None:
    grid = Grid.regular("YX", (40, 50), spacing=(0.5, 0.5), unit="um")
    for name, places in (("truth", [(5, 5), (20, 30)]), ("said", [(6, 5), (33, 9)])):
        (tmp_path / name).mkdir()
        rows = "".join(f"{n},{y},{x}\n" for n, (y, x) in enumerate(places))
        (tmp_path / name / "c.csv").write_text(f"index,axis-0,axis-1\n{rows}")
    (tmp_path / "images").mkdir()
    save(Volume(np.zeros((40, 50), np.uint16), grid), tmp_path / "images" / "c.tif")
    choose_files(dock, "detection", tmp_path / "truth", tmp_path / "said")
    dock.sources.look_at.set_path(tmp_path / "images")
    run()
    dock.open_case(0)
    idle(dock.session)
    assert dock.said.text() == "c.csv: 1 missed · 1 extra"
    _, said, true, errors = viewer.layers
    assert all(tuple(layer.scale) == (0.5, 0.5) for layer in viewer.layers)
    assert not said.visible
    assert true.face_color[:, 3].tolist() == [0, 0]  # rings: what lies beneath is seen
    assert errors.data.tolist() == [[33, 9], [20, 30]]
    assert len({str(symbol) for symbol in errors.symbol}) == 2


def test_points_on_screen_are_scored_where_they_lie(
    dock: EvaluateDock, viewer: Any, run: Any, idle: Any
) -> None:
    choose(dock, LAYERS)
    dock.sources.task.setCurrentIndex(dock.sources.task.findData("detection"))
    assert "no points or boxes" in dock.summary.text()
    mine = viewer.add_points([(5, 5), (20, 30)], name="mine", scale=(0.5, 0.5), translate=(7, 0))
    made = {"napari-apprentice": {"result": True}}
    said = viewer.add_points(  # the same world, other voxels
        [(3, 2.5), (9, 0), (10.1, 14.9)], name="said", translate=(7, 0), metadata=made
    )
    assert dock.sources.truth_layer.currentText() == "mine"
    assert dock.sources.prediction_layer.currentText() == "said"
    dock.form.row("distance").value = 1.5
    run()
    assert "said · 1 case · F1 0.8" in dock.summary.text()
    dock.open_case(0)
    idle(dock.session)
    assert dock.said.text() == "said: 1 extra"
    errors = viewer.layers[-1]
    assert np.allclose(errors.data_to_world(errors.data[0]), said.data_to_world(said.data[1]))
    mine.features = {"class": ["a", "b"]}
    said.features = {"class": ["a", "a", "b"]}
    run()
    assert "F1 0.8" in dock.summary.text()
    viewer.layers.remove(said)
    viewer.add_points(np.zeros((1, 3)), name="deep", metadata=made)
    dock.button.click()
    assert "expected places with 2 axes" in dock.refusal.sentence.text()


def test_boxes_on_screen_are_scored_as_boxes(dock: EvaluateDock, viewer: Any, run: Any) -> None:
    choose(dock, LAYERS)
    dock.sources.task.setCurrentIndex(dock.sources.task.findData("detection"))
    corners = np.array([(2, 2), (2, 8), (8, 8), (8, 2)], float)
    viewer.add_shapes([corners, corners + 20], name="mine")
    made = {"napari-apprentice": {"result": True}}
    viewer.add_shapes([corners + 0.5], name="said", metadata=made)
    run()
    assert dock.shown.report.mean["ap50"] == pytest.approx(0.5)


def test_a_restored_image_is_shown_beside_the_clean_one(
    dock: EvaluateDock, viewer: Any, tmp_path: Path, run: Any, idle: Any
) -> None:
    random = np.random.default_rng(0)
    for name, noise in (("clean", 0.0), ("said", 3.0)):
        data = np.full((40, 50), 100.0) + np.arange(50) + noise * random.normal(size=(40, 50))
        (tmp_path / name).mkdir()
        save(
            Volume(data.astype(np.float32), Grid.regular("YX", (40, 50))), tmp_path / name / "c.tif"
        )
    choose_files(dock, "restoration", tmp_path / "clean", tmp_path / "said")
    run()
    dock.open_case(0)
    idle(dock.session)
    assert [layer.name for layer in viewer.layers] == ["c.tif ▸ prediction", "c.tif ▸ truth"]
    assert viewer.layers["c.tif ▸ truth"].data[0].tolist() == list(range(100, 150))
    assert dock.said.text().startswith("c.tif: PSNR in dB ")
