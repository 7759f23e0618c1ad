"""Maps of evidence: what they show, where they lie, and that they depend on what was learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.explain import ExplainConfig
from napari_apprentice.explain._cam import class_map, grad_cam, voxel_map
from napari_apprentice.models.networks import NETWORKS, answers_per_image
from napari_apprentice.models.networks._slices import RecurrentUNet, fold
from napari_apprentice.models.store import Model, build_network

CPU = ExplainConfig(device="cpu")
SMALL: dict[str, dict[str, Any]] = {
    "cnn": {"channels": [4, 8], "grid": 2, "dense": 8},
    "densenet": {"blocks": [1, 2], "init_features": 8, "growth": 4},
    "resnet": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8], "stem": "small"},
    "cnn_rnn": {"channels": [4, 8], "hidden": 8},
}


def model(network: str = "cnn", ndim: int = 2, seed: int = 0, **more: Any) -> Model:
    torch.manual_seed(seed)
    base: dict[str, Any] = {
        "name": "m",
        "task": "image_class",
        "network": network,
        "network_args": SMALL.get(network, {}),
        "ndim": ndim,
        "tile": (32,) * ndim,
        "classes": (ClassSpec(value=1, name="a"), ClassSpec(value=2, name="b")),
    }
    spec = ModelSpec(**base | more)
    return Model(spec, build_network(spec).state_dict())


def picture(shape: tuple[int, ...] = (40, 20)) -> Volume:
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    spacing = (3.0, 0.5, 0.5)[-len(shape) :]
    return Volume(data, Grid.regular("ZYX"[-len(shape) :], shape, spacing, unit="um"))


def test_the_map_of_a_network_that_only_looks_at_brightness_is_the_brightness() -> None:
    look = nn.Conv2d(1, 1, 1, bias=False)
    say = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        look.weight.fill_(1.0)
        say.weight.copy_(torch.tensor([[2.0], [-1.0]]))
    network = nn.Sequential(look, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), say)
    image = torch.rand(1, 1, 8, 8)
    seen = grad_cam(network, image, 0)
    torch.testing.assert_close(seen / seen.max(), image[:, 0] / image.max())
    assert float(grad_cam(network, image, 1).max()) == 0  # brightness speaks against it
    assert not any(m._forward_hooks for m in network.modules())


def test_every_network_of_whole_images_is_known_here() -> None:
    networks = {name for name, network in NETWORKS.items() if answers_per_image(network)}
    # Crops of objects are no images.
    assert networks == {*SMALL, "efficientnet", "object_net"}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_maps_lie_on_the_image_and_change_with_the_weights(name: str) -> None:
    volume = picture()
    one = run_to_end(class_map(volume, model(name), "A", CPU))
    assert one.image is not None
    assert (one.image.shape, one.grid) == ((40, 20), volume.grid)
    assert 0 <= one.image.min() <= one.image.max() <= 1
    assert (one.image_class, one.summary) == ("a", "evidence for a")
    # A map that survives random weights shows edges, not evidence (Adebayo et al., NeurIPS 2018).
    others = [run_to_end(class_map(volume, model(name, seed=s), "a", CPU)) for s in (1, 2, 3)]
    assert any(
        np.abs(one.image - other.image).mean() > 0.05 for other in others if other.image is not None
    )


def test_volumes_in_space_and_plane_by_plane() -> None:
    volume = picture((5, 40, 20))
    deep = run_to_end(class_map(volume, model(ndim=3), None, CPU))
    flat = run_to_end(class_map(volume, model(), None, CPU))
    for answer in (deep, flat):
        assert answer.image is not None
        assert answer.image.shape == (5, 40, 20)
        assert answer.image_class in ("a", "b")


class Sliced(RecurrentUNet):
    """Looks at the brightness of slices, as networks that read slices do."""

    def __init__(self, axis: int) -> None:
        super().__init__(1, 2, (4,), 0, axis)
        self.look, self.say = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            self.look.weight.fill_(1.0)
            self.say.weight.copy_(torch.tensor([[2.0], [-1.0]]))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.look(fold(volume, self.axis)).unflatten(0, (len(volume), -1))
        answer: torch.Tensor = self.say(seen.mean(dim=(1, 3, 4)))
        return answer


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_evidence_lies_in_the_slice_that_it_is_from(axis: int) -> None:
    volume = torch.rand(1, 1, 4, 5, 6)
    seen = grad_cam(Sliced(axis), volume, 0)
    torch.testing.assert_close(seen / seen.max(), volume[:, 0] / volume.max())


def test_voxels_of_a_network_that_reads_slices_are_explained() -> None:
    args = {"channels": [4, 8], "axis": 1}
    of = model("recurrent_unet", ndim=3, task="semantic", network_args=args, tile=(16, 6, 16))
    one = run_to_end(voxel_map(picture((16, 6, 16)), of, None, CPU))
    assert one.image is not None
    assert one.image.shape == (16, 6, 16)
    assert one.image.max() == pytest.approx(1)
    assert len({float(one.image[:, n].max()) for n in range(6)}) > 1  # slices differ


def test_what_cannot_be_explained_is_refused() -> None:
    with pytest.raises(BadInputError, match="expected one of a, b, found 'c'"):
        run_to_end(class_map(picture(), model(), "c", CPU))
    args = {"channels": [4, 8], "strides": [2]}
    dense = ModelSpec(
        name="d", task="semantic", network="unet", network_args=args, ndim=2, tile=(16, 16)
    )
    with pytest.raises(BadInputError, match="answers voxel by voxel"):
        run_to_end(class_map(picture(), Model(dense, {}), None, CPU))
    with pytest.raises(BadInputError, match="features that have places"):
        grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(1, 1, 2, 2), 0)
