"""Points from opening an image to the use of what was learned from them, in a real window with the real engine."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.models.store import build_network
from napari_apprentice.widgets import layers as adapt
from napari_apprentice.widgets.apprentice import ApprenticeDock

pytestmark = pytest.mark.gui
PLACES = [(8, 8), (8, 24), (24, 8), (24, 24)]
ANCHORS = {"channels": [4, 4], "strides": [2, 2], "features": 8, "anchors": [8.0]}


def spots() -> Volume:
    image = np.random.default_rng(0).normal(0, 9, (32, 32)).astype(np.float32)
    for y, x in PLACES:
        image[y - 2 : y + 3, x - 2 : x + 3] += 200
    return Volume(image, Grid.regular("YX", (32, 32)), name="spots")


def tiny() -> ModelSpec:
    args = {"diameter": 8.0, "boxes": True, "anchors": True, "least_score": 0.001}
    return ModelSpec(
        name="tiny", task="detection", network="retinanet", network_args=ANCHORS, ndim=2,
        tile=(32, 32), task_args=args, classes=({"value": 1, "name": "cell"},),
    )  # fmt: skip


def test_corrected_points_are_learned_from_and_what_was_learned_is_used(
    make_napari_viewer, qtbot, idle, monkeypatch, tmp_path
):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer()
    ((array, state, _),) = adapt.layer_tuples(spots())
    viewer.add_image(array, **state)
    dock = ApprenticeDock(viewer)
    qtbot.addWidget(dock)
    session, pointing = dock.session, dock.correct.annotator.pointing
    spec = tiny()
    session.store.save(spec, build_network(spec).state_dict())
    session.refresh_models()
    session.use_model("tiny")
    dock.predict.button.click()
    idle(session)
    assert session.status.error is None
    (shown,) = pointing.predictions()
    assert shown.name == "spots ▸ tiny"

    dock.show_step(1)
    dock.correct.beginning.correct.click()
    pointing.layer.selected_data = set(range(len(pointing.layer.data)))
    pointing.layer.remove_selected()
    pointing.layer.add(np.array(PLACES, float))
    dock.correct.points.whole.click()
    dock.show_step(2)
    dock.learn.form.set_fields({"minutes": "0.01", "device": "cpu", "held_out": "0"})
    assert dock.learn.button.isEnabled(), dock.learn.button.toolTip()
    dock.learn.button.click()
    idle(session)
    assert session.status.error is None
    dock.learn.card.use.click()
    idle(session)
    assert session.model == "tiny v2"
    assert session.specs["tiny v2"].training["steps"] > 0

    dock.show_step(0)
    dock.predict.button.click()
    idle(session)
    assert session.status.error is None
    assert "spots ▸ tiny v2" in [layer.name for layer in pointing.predictions()]
    for one in session.annotations.values():
        one.autosave.close()
