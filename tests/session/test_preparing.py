"""Recipes and previews without a window."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests._small import make_volume

from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.jobs import Job, Preview, Progress, run_to_end
from napari_apprentice.core.spec import FilterSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.session import preparing
from napari_apprentice.session._launcher import Launcher
from napari_apprentice.session.preparing import Previewer, Recipe, prepare_job, preview_job


def test_a_recipe_is_read_and_described() -> None:
    recipe = Recipe("median:radius=2", "brain")
    assert recipe.read() == (
        (FilterSpec(name="median", args={"radius": 2}),),
        Normalization(kind="window", low=0, high=80),
    )
    assert recipe.describe() == "median:radius=2, then brain"
    assert Recipe().read() == ((), None)
    assert Recipe().describe() == ""
    with pytest.raises(BadInputError, match="medain"):
        Recipe("medain").read()


def test_a_preview_begins_with_the_plane_on_show() -> None:
    volume = make_volume((5, 12, 10))
    events: list[Any] = []
    whole = run_to_end(preview_job(volume, Recipe("gaussian"), 3), events.append)
    (plane,) = [e for e in events if isinstance(e, Preview)]
    assert plane.grid == volume.grid.crop((3, 0, 0), (4, 12, 10))
    np.testing.assert_array_equal(plane.data[0], whole.numpy()[3])
    assert whole.grid == volume.grid


def test_of_an_image_too_large_only_the_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "_MOST_VOXELS", 100)
    shown = run_to_end(preview_job(make_volume((5, 12, 10)), Recipe("median"), 99))
    assert shown.grid.shape == (1, 12, 10)


def test_all_channels_and_frames_are_prepared() -> None:
    data = np.random.default_rng(0).normal(size=(2, 3, 8, 9)).astype(np.float32)
    grid = make_volume((8, 9)).grid
    from napari_apprentice.core.grid import Grid

    film = Volume(data, Grid("TCYX", data.shape, grid.affine, grid.unit), name="film")
    made = run_to_end(prepare_job(film, Recipe("", "zscore")))
    assert made.name == "film ▸ prepared"
    assert made.grid == film.grid
    np.testing.assert_allclose(made.numpy().mean(axis=(2, 3)), 0, atol=1e-5)


@pytest.fixture
def threads() -> Any:
    """Starts functions in threads; joined after the test."""
    started: list[threading.Thread] = []

    def start(function: Callable[[], None]) -> None:
        started.append(threading.Thread(target=function))
        started[-1].start()

    yield start
    for thread in started:
        thread.join(10)


def test_the_newest_wish_is_shown_and_older_ones_are_given_up(
    threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, done = threading.Event(), threading.Event()

    def slow(volume: Volume, recipe: Recipe, at: int) -> Job[Volume]:
        while recipe.filters == "median":
            at_work.set()
            yield Progress("filtering")
        return volume

    monkeypatch.setattr(preparing, "preview_job", slow)
    previewer = Previewer(Launcher(threads, lambda action: action()))
    shown: list[Volume] = []
    previewer.shown.connect(lambda volume: (shown.append(volume), done.set()))
    first, second = make_volume(name="first"), make_volume(name="second")
    previewer.ask(first, Recipe("median"))
    assert at_work.wait(10)
    previewer.ask(second, Recipe("gaussian"))
    assert done.wait(10)
    assert [v.name for v in shown] == ["second"]
    previewer.close()


def test_an_error_is_told_once(threads: Any) -> None:
    told = threading.Event()
    previewer = Previewer(Launcher(threads, lambda action: action()))
    errors: list[ApprenticeError] = []
    previewer.failed.connect(lambda error: (errors.append(error), told.set()))
    previewer.ask(make_volume(), Recipe("medain"))
    assert told.wait(10)
    assert "median" in str(errors[0])
    previewer.close()
