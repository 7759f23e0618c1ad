"""What the network will see is what a training draws, filters and varies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import IGNORE, Extent
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.engine.arrays import prepare_items
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.glimpse import Glimpse, glimpse, mosaic
from napari_apprentice.engine.learner import Learner, numpy_generator
from napari_apprentice.engine.prepare import prepare
from napari_apprentice.engine.recipe import parse_filters, parse_normalization
from napari_apprentice.engine.retouch import retouching
from napari_apprentice.engine.sample import PatchSampler
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.tasks import TASKS

Make = Callable[..., TrainItem]


def look(items: list[TrainItem], spec: ModelSpec | None, count: int = 4, **more: object) -> Glimpse:
    config = TrainConfig.model_validate({"held_out": 0, "device": "cpu"} | more)
    return run_to_end(glimpse(items, init=spec, config=config, task="semantic", count=count))


def test_it_is_what_the_first_step_of_a_training_sees(
    tiny_spec: ModelSpec, make_item: Make
) -> None:
    items = [make_item(0), make_item(1)]
    config = TrainConfig(held_out=0, device="cpu", augment="strong", batch_size=3)
    seen = look(items, tiny_spec, 3, augment="strong")
    arrays, _ = run_to_end(prepare_items(items, TASKS["semantic"], tiny_spec))
    learner = Learner(
        network=torch.nn.Conv3d(1, 3, 1),
        task=TASKS["semantic"],
        spec=tiny_spec,
        config=config,
        sampler=PatchSampler(
            arrays, tiny_spec.tile, foreground=config.foreground, generator=numpy_generator(0)
        ),
        device=torch.device("cpu"),
        peak=1e-3,
        batch_size=3,
    )
    data, target = learner._batch()
    assert (seen.images == data.numpy()).all()
    assert seen.targets is not None
    assert (seen.targets == target.numpy()).all()


def test_strength_and_seed_are_seen(tiny_spec: ModelSpec, make_item: Make) -> None:
    items = [make_item(0)]
    none, light, strong, again, other = (
        look(items, tiny_spec, augment=a, seed=s).images
        for a, s in (("none", 1), ("light", 1), ("strong", 1), ("strong", 1), ("strong", 2))
    )
    assert (strong == again).all()
    assert not np.allclose(strong, other)
    assert np.abs(light - none).mean() > 0.01
    assert np.abs(strong - none).mean() > np.abs(light - none).mean()


def test_filters_and_normalisation_of_a_new_model_are_seen(make_item: Make) -> None:
    seen = look(
        [make_item(0)], None, filters="median", normalization="percentile:1:99", augment="none"
    )
    assert [f.name for f in seen.spec.filters] == ["median"]
    assert seen.images.min() >= 0
    assert seen.images.max() <= 1


@pytest.mark.parametrize("count", [1, 4, 7])
def test_a_mosaic_shows_every_patch_once(tiny_spec: ModelSpec, make_item: Make, count: int) -> None:
    seen = look([make_item(0)], tiny_spec, count)
    images, labels, grid = mosaic(seen)
    side = int(np.ceil(np.sqrt(count)))
    assert images.shape[0] == 1
    assert images.shape[1] == 16
    assert images.shape[-1] == side * 18 - 2
    assert labels is not None
    assert labels.shape == images.shape[1:] == grid.shape
    assert (grid.spacing, grid.unit) == ((1, 1, 1), "mm")
    assert (images[0, :, :16, :16] == seen.images[0, 0]).all()
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert labels.sum() == np.where(seen.targets == IGNORE, 0, seen.targets).sum()


def test_nothing_annotated_is_said(tiny_spec: ModelSpec, make_item: Make) -> None:
    with pytest.raises(BadInputError):
        look([make_item(0, extent=Extent())], tiny_spec)
    with pytest.raises(BadInputError, match="1 to 100"):
        look([make_item(0)], tiny_spec, 0)


def test_a_retouched_image_is_what_a_new_network_sees(
    tiny_spec: ModelSpec, make_item: Make
) -> None:
    volume = make_item(0).volume
    steps, how = parse_filters("median"), parse_normalization("percentile:1:99")
    spec = tiny_spec.model_copy(update={"filters": steps, "normalization": how})
    result = run_to_end(retouching(volume, steps, how))
    assert result.grid == volume.grid
    assert (result.numpy() == prepare(volume, spec).data[0]).all()
    plain = run_to_end(retouching(volume, (), None))
    np.testing.assert_allclose(plain.numpy(), volume.numpy())
