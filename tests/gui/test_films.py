"""Films: annotated frame by frame, each frame with its own annotation, journal and layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_apprentice.widgets.apprentice import ApprenticeDock

SHAPES = {"flat": (4, 24, 32), "deep": (4, 5, 24, 32)}


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> ApprenticeDock:
    made = ApprenticeDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def add_film(viewer: Any, kind: str) -> Any:
    shape = SHAPES[kind]
    frames = np.arange(shape[0], dtype=np.uint16).reshape(-1, *(1,) * (len(shape) - 1))
    axes = ("t", "z", "y", "x")[:1] + ("z", "y", "x")[-len(shape) + 1 :]
    return viewer.add_image(frames * np.ones(shape, np.uint16), name="film", axis_labels=axes)


def seen(viewer: Any) -> set[str]:
    return {layer.name for layer in viewer.layers if layer.visible}


@pytest.mark.parametrize("kind", SHAPES)
def test_each_frame_has_an_annotation_of_its_own(
    dock: ApprenticeDock, viewer: Any, idle: Callable[[Any], None], kind: str
) -> None:
    image = add_film(viewer, kind)
    labels = np.zeros(SHAPES[kind], np.uint8)
    labels[:, ..., 4:9, 4:9] = np.arange(1, 5).reshape(-1, *(1,) * (len(SHAPES[kind]) - 1)) % 2 + 1
    viewer.add_labels(labels, name="mine")
    viewer.layers.selection.active = image
    correct = dock.correct
    viewer.dims.set_current_step(0, 2)
    assert dock.session.frame == 2
    assert correct.beginning.correct.full == "Correct these labels"
    correct.beginning.correct.click()
    first = correct.annotator.layer
    assert first is not None
    np.testing.assert_array_equal(first.data, labels[2])
    assert seen(viewer) == {"film", "film · frame 2 ▸ annotation"}
    first.paint((*(0,) * (first.ndim - 2), 20, 20), 1)
    viewer.dims.set_current_step(0, 1)
    assert correct.annotator.state is None
    assert correct.pages.currentIndex() == 0, "nothing is annotated here yet"
    assert seen(viewer) == {"film", "mine"}
    assert viewer.layers.selection.active.name == "film", "no brush on a hidden layer"
    correct.beginning.start.click()
    viewer.dims.set_current_step(0, 2)
    assert correct.annotator.layer is first
    assert viewer.layers.selection.active.name == "film · frame 2 ▸ annotation"
    assert seen(viewer) == {"film", "film · frame 2 ▸ annotation"}


def test_finished_frames_are_learned_from(
    dock: ApprenticeDock, viewer: Any, idle: Callable[[Any], None]
) -> None:
    add_film(viewer, "flat")
    counting = dock.correct.counting
    viewer.dims.set_current_step(0, 0)
    for frame in (0, 1):
        dock.correct.beginning.start.click()
        state = dock.correct.annotator.state
        assert state is not None
        state.paint((2, 3), np.ones((8, 9), np.uint8))
        assert counting.slice.full == f"Finish frame {frame}"
        counting.slice.click()
        assert counting.slice.full == f"Reopen frame {frame}"
        counting.next.click()
        assert dock.session.frame == frame + 1
    assert dock.learn.material.text() == "2 images, 2 corrections"
    dock.learn.button.click()
    idle(dock.session)
    request = dock.session.candidate.request  # type: ignore[union-attr]
    assert [s.frame for s in request.plan.sources] == [0, 1]
    assert [int(i.volume.numpy().max()) for i in request.items()] == [0, 1]
    assert [i.name for i in request.items()] == ["film · frame 0", "film · frame 1"]


def test_slices_of_a_frame_count_too(dock: ApprenticeDock, viewer: Any) -> None:
    add_film(viewer, "deep")
    viewer.dims.set_current_step(0, 3)
    viewer.dims.set_current_step(1, 2)
    dock.correct.beginning.start.click()
    dock.correct.counting.slice.click()
    state = dock.correct.annotator.state
    assert state is not None
    assert state.extent.slices == ((0, 2),)
    assert "film · frame 3 ▸ not finished" in seen(viewer)
    viewer.dims.set_current_step(0, 0)
    assert seen(viewer) == {"film"}


def test_a_slice_of_points_in_a_film_is_finished_across_the_axis_on_show(
    dock: ApprenticeDock, viewer: Any
) -> None:
    viewer.layers.selection.active = add_film(viewer, "deep")
    viewer.dims.order = (0, 2, 1, 3)
    viewer.dims.set_current_step(0, 2)
    viewer.dims.set_current_step(2, 3)
    correct = dock.correct
    correct.beginning.mark.click()
    page = correct.points
    page.slice.click()
    state = correct.annotator.pointing.state
    assert state is not None
    assert [n for n in range(3) if state.is_finished(n, 3)] == [1]
    page.slice.click()
    assert not state.is_finished(1, 3)
    state.autosave.close()
