"""*Explain*: what can be asked, what it costs, and the map on the image."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests._small import make_spec

from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.session import explaining
from napari_apprentice.widgets.explain import ExplainDock
from napari_apprentice.widgets.predict import PredictDock


class Way:
    """Explains at once, or waits to be cancelled."""

    title, description, asks_class = "Evidence", "where it was", True

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.closed = False
        self.waits = False

    def problem(self, spec: Any) -> str | None:
        return None if spec.ndim == 2 else "explains planes"

    def predictions(self, grid: Any, spec: Any, config: Any) -> float:
        return 2.0

    def explain(self, volume: Any, model: Any, config: Any, image_class: str | None = None) -> Any:
        self.asked.append((volume.name, image_class))
        self.diameter = config.diameter
        try:
            yield Progress("explaining")
            while self.waits:
                yield Progress("explaining", 1, 9, "tile")
        finally:
            self.closed = True
        shape = volume.grid.spatial_shape
        return Prediction(
            volume.grid.spatial,
            image=np.full(shape, 0.5, np.float32),
            image_class=image_class,
            summary=f"evidence for {image_class}",
        )


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Way:
    made = Way()
    unsure = SimpleNamespace(**{n: getattr(made, n) for n in ("problem", "predictions", "explain")})
    unsure.title, unsure.description, unsure.asks_class = "Uncertainty", "doubt", False
    monkeypatch.setattr(explaining, "EXPLAINERS", {"gradcam": made, "uncertainty": unsure})
    monkeypatch.setattr("napari_apprentice.engine.loading.load_libraries", lambda **_: None)
    return made


@pytest.fixture
def dock(way: Way, viewer: Any, qtbot: Any) -> ExplainDock:
    made = ExplainDock(viewer)
    qtbot.addWidget(made)
    made.resize(380, 600)
    made.show()
    return made


def test_it_names_the_next_step(dock: ExplainDock) -> None:
    assert not dock.button.isEnabled()
    assert "select an image" in dock.button.toolTip()


def test_a_map_is_added_above_the_image(
    dock: ExplainDock, way: Way, viewer: Any, add_image: Callable[..., Any], idle: Any
) -> None:
    image = add_image((24, 32))
    assert "up to about 2 predictions" in dock.cost.text()
    dock.classes.setCurrentIndex(dock.classes.findText("debris"))
    dock.button.click()
    idle(dock.session)
    assert dock.session.status.error is None
    assert way.asked == [("nuclei", "debris")]
    added = viewer.layers[-1]
    assert added.name.startswith("nuclei ▸ nuclei v1")
    assert tuple(added.scale) == tuple(image.scale)
    assert tuple(added.contrast_limits) == (0, 1)
    assert dock.said.text() == "evidence for debris"
    assert dock.session.volume is not None
    assert dock.session.volume.name == "nuclei"  # the map is no image to work on
    dock.button.click()
    idle(dock.session)
    assert len({layer.name for layer in viewer.layers}) == 3
    assert [layer.visible for layer in viewer.layers] == [True, False, True]


def test_the_class_is_asked_only_where_it_matters(
    dock: ExplainDock, way: Way, add_image: Callable[..., Any], idle: Any
) -> None:
    add_image((24, 32))
    dock.classes.setCurrentIndex(1)
    assert dock.classes.isVisible()
    dock.ways.setCurrentIndex(dock.ways.findData("uncertainty"))
    assert not dock.classes.isVisible()
    assert dock.form.row("passes").visible
    dock.button.click()
    idle(dock.session)
    assert way.asked == [("nuclei", None)]


def test_the_size_of_objects_is_asked_only_where_the_model_wants_to_know(
    dock: ExplainDock, add_image: Callable[..., Any]
) -> None:
    add_image((24, 32))
    assert not dock.form.row("diameter").visible
    dock.session.store.save(make_spec("counting", task="instance"), {})
    dock.session.refresh_models()
    dock.session.use_model("counting")
    assert dock.form.row("diameter").visible
    assert dock.form.row("diameter").label == "Object diameter (µm)"
    assert dock.button.isEnabled()


def test_the_size_of_objects_is_one_answer_for_predict_and_explain(
    dock: ExplainDock, way: Way, add_image: Callable[..., Any], viewer: Any, qtbot: Any, idle: Any
) -> None:
    add_image((24, 32))
    dock.session.store.save(make_spec("counting", task="instance"), {})
    dock.session.refresh_models()
    dock.session.use_model("counting")
    predict = PredictDock(viewer)
    qtbot.addWidget(predict)
    predict.form.row("diameter").value = "12.5"
    assert dock.form.value().diameter == 12.5
    dock.button.click()
    idle(dock.session)
    assert way.diameter == 12.5
    dock.form.row("diameter").value = "0"  # no size: said here, and not handed on
    assert dock.form.problem is not None
    assert predict.form.value().diameter == 12.5
    dock.form.row("diameter").value = ""
    assert predict.form.value().diameter is None
    assert dock.session.diameter is None


def test_what_cannot_be_explained_says_why(
    dock: ExplainDock, add_image: Callable[..., Any]
) -> None:
    add_image((6, 24, 32))
    dock.session.use_model("brain")
    assert not dock.button.isEnabled()
    assert "explains planes" in dock.button.toolTip()
    assert dock.refusal.isVisible()


def test_it_can_be_cancelled_at_any_time(
    dock: ExplainDock, way: Way, viewer: Any, add_image: Callable[..., Any], idle: Any, qtbot: Any
) -> None:
    add_image((24, 32))
    way.waits = True
    dock.button.click()
    qtbot.waitUntil(lambda: bool(way.asked), timeout=5000)
    dock.session.cancel()
    idle(dock.session)
    assert way.closed
    assert len(viewer.layers) == 1
