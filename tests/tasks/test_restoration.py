"""Restoration and anomalies: what is asked of the network, and how its answer is read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.tasks import primary_of
from napari_apprentice.tasks.anomaly import TASK as ANOMALY
from napari_apprentice.tasks.restoration import TASK as RESTORATION

GRID = Grid.regular("YX", (24, 32), (0.5, 0.5), unit="um")


def spec_of(task: object, *, channels: int = 1, has_clean: bool = False):  # type: ignore[no-untyped-def]
    grid = GRID.with_channels(channels) if channels > 1 else GRID
    volume = Volume(np.zeros(grid.shape, np.uint16), grid)
    planned = task.default_spec("m", [volume], ())  # type: ignore[attr-defined]
    return task.planned(planned, has_clean=has_clean)  # type: ignore[attr-defined]


def test_what_is_learned_from_is_part_of_the_model() -> None:
    assert spec_of(RESTORATION, has_clean=True).task_args["lesson"] == "pairs"
    assert spec_of(RESTORATION).task_args["lesson"] == "hidden"
    assert spec_of(ANOMALY).task_args["lesson"] == "itself"
    with pytest.raises(BadInputError, match="normal images alone"):
        spec_of(ANOMALY, has_clean=True)


def test_scores_that_stand_in_for_the_main_one() -> None:
    assert primary_of(RESTORATION, {"ssim": 0.9, "psnr_db": 30.0}) == "psnr_db"
    assert primary_of(RESTORATION, {"hidden_psnr_db": 20.0}) == "hidden_psnr_db"
    assert primary_of(ANOMALY, {}) == "rebuilt_psnr_db"


@pytest.mark.parametrize("task", [RESTORATION, ANOMALY])
def test_what_is_not_a_number_is_not_asked(task) -> None:  # type: ignore[no-untyped-def]
    spec = spec_of(task)
    output = torch.zeros(1, 1, 4, 4, requires_grad=True)
    target = torch.ones(1, 1, 4, 4)
    target[..., 2:] = torch.nan
    loss = task.loss(output, target, spec)
    loss.backward()
    assert float(loss.detach()) == 1.0
    assert output.grad is not None
    assert not bool(output.grad[..., 2:].any())


def test_several_channels_have_an_axis_and_one_has_none() -> None:
    one = RESTORATION.decode(np.ones((1, 24, 32), np.uint16), GRID, spec_of(RESTORATION))
    assert one.image is not None
    assert (one.image.shape, one.grid.axes, one.image.dtype) == ((24, 32), "YX", np.uint16)
    spec = spec_of(RESTORATION, channels=3)
    three = RESTORATION.decode(np.ones((3, 24, 32), np.float32), GRID, spec)
    assert three.grid.axes == "CYX"
    said = Annotation.of_clean(GRID, np.random.default_rng(0).random((3, 24, 32)))
    assert RESTORATION.score(three, said)["psnr_db"] < 20


def test_nobody_knows_the_clean_image() -> None:
    with pytest.raises(BadInputError, match="expected a clean image to compare with"):
        RESTORATION.targets(Annotation.of_clean(GRID), spec_of(RESTORATION))


def test_an_anomaly_is_where_the_image_was_not_rebuilt() -> None:
    spec = spec_of(ANOMALY)
    rebuilt, seen = np.zeros((1, 24, 32), np.float32), np.zeros((1, 24, 32), np.float32)
    seen[0, 10:14, 20:24] = 5.0
    found = ANOMALY.image(rebuilt, seen, spec)
    assert np.unravel_index(found.argmax(), found.shape)[1:] in {
        (y, x) for y in range(10, 14) for x in range(20, 24)
    }
    assert found[0, 0, 0] == pytest.approx(0.0, abs=1e-6)
    normal = [np.full((1, 4, 4), score) for score in (0.1, 0.11, 0.12, 0.13, 0.14)]
    spec = ANOMALY.calibrated(normal, spec)
    strange = ANOMALY.decode(np.full((1, 24, 32), 0.5, np.float32), GRID, spec)
    assert strange.table["anomaly"] == pytest.approx(0.5)
    assert "above all 5 normal images that were held out" in strange.summary
    inside = ANOMALY.decode(np.full((1, 24, 32), 0.135, np.float32), GRID, spec)
    assert "above 50 % of normal images" in inside.summary  # five cannot tell more
    usual = ANOMALY.decode(np.full((1, 24, 32), 0.1, np.float32), GRID, spec)
    assert "as most normal images" in usual.summary
    assert ANOMALY.calibrated(normal[:2], spec) is spec  # too few to tell


def test_colours_keep_their_scale_and_grey_levels_do_not() -> None:
    grid = GRID.with_channels(3)
    grey = np.broadcast_to(np.arange(32, dtype=np.uint8), grid.shape)
    stained = grey * np.array([1, 2, 3], np.uint8).reshape(3, 1, 1)

    def planned(*images: np.ndarray, rgb: bool = True) -> tuple[str, float, float]:
        volumes = [Volume(image, grid, rgb=rgb) for image in images]
        how = ANOMALY.default_spec("m", volumes, ()).normalization
        return how.kind, how.low, how.high

    assert planned(grey, stained) == ("window", 0, 255)
    assert planned(grey, grey)[0] == "zscore"  # stored as colours
    assert planned(stained, rgb=False)[0] == "zscore"
    assert planned(stained.astype(np.uint16))[0] == "zscore"


def test_images_of_several_kinds_are_refused() -> None:
    flat, deep = (
        Volume(np.zeros(s), Grid.regular("ZYX"[-len(s) :], s)) for s in ((9, 9), (9, 9, 9))
    )
    for task in (RESTORATION, ANOMALY):
        with pytest.raises(BadInputError, match="images of one kind"):
            task.default_spec("m", [flat, deep], ())
        with pytest.raises(BadInputError, match="found"):
            task.default_spec("m", [], ())
