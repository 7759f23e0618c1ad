"""*Prepare*: a recipe is edited and seen live, made into a layer, used for new models; patches as a network sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_apprentice.engine.filters import filtered
from napari_apprentice.engine.recipe import parse_filters
from napari_apprentice.session.preparing import Recipe
from napari_apprentice.widgets.classify import ClassifyDock
from napari_apprentice.widgets.layers import facts_of, volume_of
from napari_apprentice.widgets.learn import LearnDock
from napari_apprentice.widgets.prepare import PrepareDock

from ._fakes import annotate


@pytest.fixture
def make_dock(viewer: Any, qtbot: Any, idle: Callable[[Any], None]) -> Any:
    def make() -> PrepareDock:
        dock = PrepareDock(viewer)
        qtbot.addWidget(dock)
        dock.show()
        return dock

    return make


@pytest.fixture
def dock(make_dock: Any, add_image: Callable[..., Any]) -> PrepareDock:
    add_image((24, 32))
    return make_dock()  # type: ignore[no-any-return]


def choose(dock: PrepareDock, *names: str) -> None:
    for name in names:
        dock.recipe.more.activated.emit(dock.recipe.more.findData(name))


def previews(viewer: Any) -> list[Any]:
    return [o for o in viewer.layers if facts_of(o).get("recipe") == "preview"]


def settle(dock: PrepareDock, qtbot: Any) -> None:
    """Wait for the preview of what is asked for now."""
    qtbot.waitUntil(lambda: not dock._soon.isActive(), timeout=10_000)
    qtbot.waitUntil(lambda: not dock.previewer.is_busy, timeout=10_000)
    qtbot.wait(20)


def test_filters_are_added_ordered_set_and_removed(dock: PrepareDock) -> None:
    form = dock.recipe
    choose(dock, "median", "gaussian")
    assert form.value() == Recipe("median, gaussian")
    form.args.row("sigma").value = "2.5"  # type: ignore[union-attr]
    assert form.list.item(1).text() == "Gaussian blur · sigma=2.5"
    assert form.list.isVisibleTo(dock)
    form.up.click()
    assert form.value().filters == "gaussian:sigma=2.5, median"
    assert not form.up.isEnabled()
    form.remove.click()
    assert form.value().filters == "median"
    form.args.row("radius").value = 3  # type: ignore[union-attr]
    assert form.value().filters == "median:radius=3"


def test_normalisations_are_chosen_and_bad_limits_said(dock: PrepareDock) -> None:
    form = dock.recipe
    form.kinds.setCurrentIndex(form.kinds.findData("lung"))
    assert form.value().normalization == "lung"
    assert not form.low.isVisible()
    form.kinds.setCurrentIndex(form.kinds.findData("percentile"))
    form.low.setText("5")
    assert form.value().normalization == "percentile:5:99.5"
    form.low.setText("99.9")
    assert "low must be below high" in (form.problem or "")
    assert dock.refusal.isVisible()
    assert not dock.make.isEnabled()
    form.set_value(Recipe("median:radius=2", "window:-5:5"))
    assert form.value() == Recipe("median:radius=2", "window:-5:5")
    form.set_value(Recipe("", "window:1234567:1234568.25"))
    assert form.value() == Recipe("", "window:1234567:1234568.25")


def test_the_preview_follows_the_recipe_and_keeps_the_place(
    dock: PrepareDock, viewer: Any, qtbot: Any
) -> None:
    source = viewer.layers["nuclei"]
    source.translate = (3, 7)
    viewer.layers.selection.active = source
    dock.live.setChecked(True)
    choose(dock, "gaussian")
    qtbot.waitUntil(lambda: len(previews(viewer)) == 1, timeout=10_000)
    settle(dock, qtbot)
    (layer,) = previews(viewer)
    array = source.data[None].astype(np.float32)
    expected = filtered(array, parse_filters("gaussian"), ndim=2)[0]
    np.testing.assert_allclose(layer.data, expected, rtol=1e-5)
    assert tuple(layer.scale) == tuple(source.scale)
    assert tuple(layer.translate) == (3, 7)
    assert layer.units == source.units
    assert viewer.layers.selection.active.name == "nuclei"
    dock.recipe.kinds.setCurrentIndex(dock.recipe.kinds.findData("zscore"))
    qtbot.waitUntil(lambda: abs(float(np.mean(previews(viewer)[0].data))) < 1e-4, timeout=10_000)
    assert [o.unique_id for o in previews(viewer)] == [layer.unique_id]
    dock.live.setChecked(False)
    assert previews(viewer) == []


def test_of_a_volume_the_plane_on_show_comes_first(
    make_dock: Any, add_image: Callable[..., Any], viewer: Any, qtbot: Any
) -> None:
    add_image((6, 20, 20))
    viewer.dims.set_point(0, viewer.layers[0].data_to_world((4, 0, 0))[0])
    dock = make_dock()
    shown: list[Any] = []
    dock.previewer.shown.connect(shown.append)
    choose(dock, "median")
    dock.live.setChecked(True)
    qtbot.waitUntil(lambda: len(shown) == 2, timeout=10_000)
    plane, whole = shown
    source = volume_of(viewer.layers["nuclei"])
    assert plane.grid == source.grid.crop((4, 0, 0), (5, 20, 20))
    assert whole.grid == source.grid
    assert (plane.numpy()[0] == whole.numpy()[4]).all()
    (layer,) = previews(viewer)
    assert layer.data.shape == (6, 20, 20)
    dock.hide()
    assert previews(viewer) == []


def test_an_error_stands_where_the_fault_is(
    dock: PrepareDock, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    dock.live.setChecked(True)
    choose(dock, "bias_field")
    qtbot.waitUntil(lambda: "pip install" in dock.refusal.sentence.text(), timeout=10_000)
    assert previews(viewer) == []


def test_a_layer_is_made_on_the_same_grid(
    dock: PrepareDock, viewer: Any, idle: Callable[[Any], None]
) -> None:
    choose(dock, "median")
    dock.recipe.kinds.setCurrentIndex(dock.recipe.kinds.findData("zscore"))
    dock.make.click()
    idle(dock.session)
    made = viewer.layers["nuclei ▸ prepared"]
    assert abs(float(made.data.mean())) < 1e-4
    assert volume_of(made).grid == volume_of(viewer.layers["nuclei"]).grid
    assert dock.session.volume is not None
    assert dock.session.volume.name == "nuclei ▸ prepared"


def test_new_models_use_it(dock: PrepareDock, viewer: Any, qtbot: Any) -> None:
    learn = LearnDock(viewer)
    qtbot.addWidget(learn)
    choose(dock, "median")
    dock.recipe.kinds.setCurrentIndex(dock.recipe.kinds.findData("percentile"))
    dock.use.click()
    assert dock.session.recipe == Recipe("median", "percentile")
    assert dock.used.text() == "New models: median, then percentile"
    assert not dock.use.isEnabled()
    assert learn.form.value().filters == "median"
    assert learn.form.value().normalization == "percentile"
    for kind in (LearnDock, ClassifyDock):
        later = kind(viewer)
        qtbot.addWidget(later)
        assert later.form.value().filters == "median"


def test_what_the_network_will_see(
    dock: PrepareDock, viewer: Any, idle: Callable[[Any], None], qtbot: Any
) -> None:
    assert not dock.show_patches.isEnabled()
    assert "Nothing to learn from" in dock.show_patches.toolTip()
    annotate(dock.session)
    choose(dock, "gaussian")
    dock.count.setValue(4)
    for strength in ("none", "strong", "strong"):
        dock.strength.setCurrentText(strength)
        dock.show_patches.click()
        # The first time loads torch.
        qtbot.waitUntil(lambda: not dock.session.status.is_running, timeout=60_000)
        idle(dock.session)
    shown = [o for o in viewer.layers if facts_of(o).get("recipe") == "patches"]
    assert [o.name for o in shown] == [
        "patches · none",
        "patches · none · said",
        "patches · strong",
        "patches · strong · said",
    ]
    assert [type(o) for o in shown] == [Image, Labels, Image, Labels]
    assert not np.allclose(shown[0].data, shown[2].data)
    source = viewer.layers["nuclei"]
    assert tuple(shown[0].scale) == tuple(source.scale)
    assert shown[0].extent.world[0][1] > source.extent.world[1][1]
    assert shown[1].contour == 1
    assert shown[1].data.max() > 0
    assert dock.session.volume is not None
    assert dock.session.volume.name == "nuclei"


@pytest.mark.parametrize(
    ("button", "name", "shape"),
    [
        ("left", "turned left", (32, 24)),
        ("right", "turned right", (32, 24)),
        ("across", "flipped", (24, 32)),
        ("upside", "upside down", (24, 32)),
    ],
)
def test_turning_makes_a_layer(
    dock: PrepareDock,
    viewer: Any,
    idle: Callable[[Any], None],
    button: str,
    name: str,
    shape: tuple[int, ...],
) -> None:
    getattr(dock.geometry_tools, button).click()
    idle(dock.session)
    made, source = viewer.layers[f"nuclei ▸ {name}"], viewer.layers["nuclei"]
    assert made.data.shape == shape
    np.testing.assert_allclose(made.extent.world.mean(0), source.extent.world.mean(0))


def test_a_drawn_box_and_labels_crop(
    dock: PrepareDock, viewer: Any, idle: Callable[[Any], None], qtbot: Any
) -> None:
    source = viewer.layers["nuclei"]
    tools = dock.geometry_tools
    tools.draw.click()
    shapes = viewer.layers["draw a box"]
    shapes.add_rectangles([[4.6, 9.5], [4.6, 20.4], [12.4, 20.4], [12.4, 9.5]])
    qtbot.waitUntil(lambda: "nuclei ▸ cropped" in viewer.layers, timeout=10_000)
    idle(dock.session)
    made = viewer.layers["nuclei ▸ cropped"]
    assert (made.data == source.data[5:13, 10:21]).all()
    np.testing.assert_allclose(made.data_to_world((0, 0)), source.data_to_world((5, 10)))
    viewer.layers.selection.active = source
    tools.fit.click()
    assert "no labels" in dock.refusal.sentence.text()
    labels = np.zeros((24, 32), np.uint8)
    labels[3:6, 2:9] = 1
    viewer.add_labels(labels, scale=source.scale, units=source.units)
    viewer.layers.selection.active = source
    tools.fit.click()
    idle(dock.session)
    assert viewer.layers["nuclei ▸ cropped [1]"].data.shape == (3, 7)


def test_resampling_makes_a_layer_and_says_what_it_needs(
    dock: PrepareDock, viewer: Any, idle: Callable[[Any], None]
) -> None:
    tools = dock.geometry_tools
    assert tools.spacing.placeholderText() == "0.25 × 0.25 µm"
    tools.spacing.setText("coarse")
    tools.resample.click()
    assert "expected the size of a voxel, one number or 2" in dock.refusal.sentence.text()
    tools.spacing.setText("0.5 × 0.25")
    tools.resample.click()
    idle(dock.session)
    made = viewer.layers["nuclei ▸ resampled"]
    assert made.data.shape == (12, 32)
    # Outer faces stay; extents run from the centres of the first voxels to those of the last.
    faces = [
        o.extent.world + np.array([[-0.5], [0.5]]) * o.scale
        for o in (made, viewer.layers["nuclei"])
    ]
    np.testing.assert_allclose(*faces)


def test_without_an_image_everything_says_so(make_dock: Any) -> None:
    dock = make_dock()
    for button in (dock.make, dock.show_patches, dock.geometry_tools.left):
        assert not button.isEnabled()
        assert button.toolTip() == "Open or select an image first."
