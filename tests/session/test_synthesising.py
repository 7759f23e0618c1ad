"""What images can be made up from, and what a dock says about it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import SYNTHETIC, Volume
from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.io import save
from napari_apprentice.session.choice import model_choices, network_choices
from napari_apprentice.session.evaluating import layers_job
from napari_apprentice.session.samples import Sample
from napari_apprentice.session.synthesising import picture_items, picture_problem, picture_text
from napari_apprentice.session.text import describe_volume, is_less_better, score_title

from .._small import make_spec, make_volume  # noqa: TID252  # one set of small parts


def image(number: int = 0) -> Volume:
    data = np.full((9, 9), number, np.uint8)
    return Volume(data, Grid.regular("YX", (9, 9)), name=f"image {number}")


def test_folders_and_open_images_are_counted(tmp_path: Path) -> None:
    assert picture_problem(None, (), is_folder=True) == "Choose the folder."
    assert picture_problem(None, (), is_folder=False) == "Open some flat images first."
    assert "no image" in str(picture_problem(tmp_path, (), is_folder=True))
    assert "few dozen" in picture_text(None, (), is_folder=True)
    for name in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(image(), tmp_path / name)
    assert picture_text(tmp_path, (), is_folder=True) == "3 images of 2 classes: 2 a, 1 b"
    assert picture_text(tmp_path / "b", (), is_folder=True) == "1 image, as one class."
    assert [i.annotation.image_class for i in picture_items(tmp_path, ())()] == ["a", "a", "b"]
    samples = [Sample("x", image)]
    assert picture_text(None, samples, is_folder=False) == "1 open image, as one class."
    (one,) = picture_items(None, samples)()
    assert (one.name, one.annotation.image_class) == ("x", "image")


def test_models_that_make_images_up_are_offered_for_no_image() -> None:
    maker = make_spec("coins", task="synthesis", network="gan")
    (choice,) = model_choices({"coins": maker}, make_volume())
    assert choice.reason == "makes images up"
    assert [n for _, n in network_choices("synthesis")] == ["gan"]


def test_a_made_up_image_is_called_so_and_scores_nothing() -> None:
    made = Volume(np.ones((9, 9), np.uint8), Grid.regular("YX", (9, 9)), metadata={SYNTHETIC: "x"})
    assert describe_volume(made)[1].endswith("uint8 · synthetic")
    job = layers_job(image(1), image(1), made, "semantic", EvaluateConfig())
    with pytest.raises(BadInputError, match="found a made-up one"):
        run_to_end(job)


def test_of_distances_less_is_better() -> None:
    for name in ("held-out kernel_distance", "frechet_distance on what it learned from"):
        assert is_less_better(name)
        assert is_less_better(score_title(name))
    assert not is_less_better("held-out dice")
