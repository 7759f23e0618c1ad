"""What `Network` promises, asked of every network that is registered."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from napari_apprentice.core.errors import ModelError
from napari_apprentice.models.networks import (
    NETWORKS,
    answers_per_image,
    finds_boxes,
    makes_pictures,
)

# Small enough for a test; a network that is not listed is asked with its defaults.
SMALL: dict[str, list[dict[str, Any]]] = {
    "unet": [
        {"channels": [4, 4, 8], "strides": [2, 2]},
        {"channels": [4, 4, 8], "strides": [2, 1], "num_res_units": 0, "norm": "batch"},
        {"channels": [3, 5], "strides": [3], "norm": "group", "dropout": 0.1},
    ],
    "dynunet": [
        {"channels": [4, 4, 8], "strides": [2, 2]},
        {"channels": [4, 4, 8], "strides": [1, 2], "kernels": [1, 3, 5], "residual": True},
        {"channels": [4, 4, 8], "strides": [4, 1], "dropout": 0.1},
    ],
    "basic_unet": [
        {"channels": [4, 4, 4, 4, 8, 4]},
        {"channels": [4, 4, 4, 4, 8, 4], "norm": "batch", "upsample": "nontrainable"},
    ],
    "segresnet": [
        {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
        {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1], "dropout": 0.1},
    ],
    "attention_unet": [
        {"channels": [4, 8, 8], "strides": [2, 2]},
        {"channels": [4, 8], "strides": [3]},
    ],
    "cnn": [
        {"channels": [4, 8], "dense": 8},
        {"channels": [4], "norm": "none", "grid": 2, "dense": 4, "dropout": 0.0},
        {"channels": [4, 4], "norm": "instance", "dense": 8},
    ],
    "cnn_rnn": [
        {"channels": [4, 8], "hidden": 4},
        {"channels": [4], "cell": "lstm", "hidden": 4, "dropout": 0.0, "axis": 2},
    ],
    "recurrent_unet": [
        {"channels": [4, 8]},
        {"channels": [4, 4], "recurrent": 0, "axis": 1},
        {"channels": [4, 4], "recurrent": 8, "axis": 2},
    ],
    "autoencoder": [{"channels": [4, 8], "bottleneck": 2}, {"channels": [4, 4, 4]}],
    "restoring_unet": [
        {"channels": [4, 8], "strides": [2]},
        {"channels": [4, 4, 8], "strides": [1, 2]},
    ],
    "gan": [{"channels": [4, 8], "latent": 5}, {"channels": [4, 4, 4], "latent": 3}],
    "object_net": [
        {"channels": [4, 8]},
        {"channels": [4, 8, 8], "norm": "instance", "dropout": 0.0},
    ],
    "retinanet": [
        {"channels": [4, 8], "strides": [2, 2], "features": 8},
        {"channels": [4, 4], "strides": [2, 1], "features": 8, "finest": 0, "anchors": [5.0]},
    ],
    "densenet": [{"blocks": [1, 2], "init_features": 8, "growth": 4}],
    "resnet": [
        {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8], "stem": "small"},
        {"layers": [1, 1, 1, 1], "channels": [4, 4, 4, 4], "block": "bottleneck", "dropout": 0.1},
    ],
}
ANISOTROPIC: dict[str, dict[str, Any]] = {
    "unet": {"channels": [4, 4, 8], "strides": [[1, 2, 2], [2, 2, 3]]},
    "dynunet": {
        "channels": [4, 4, 8],
        "strides": [[1, 2, 2], [2, 2, 1]],
        "kernels": [[1, 3, 3], [1, 3, 3], 3],
    },
    "retinanet": {
        "channels": [4, 8],
        "strides": [[1, 2, 2], [2, 2, 1]],
        "features": 8,
        "anchors": [[4.0, 8.0, 8.0]],
    },
}
CASES = [(name, args) for name in NETWORKS.names() for args in SMALL.get(name, [{}])]


def smallest(divisor: tuple[int, ...]) -> tuple[int, ...]:
    """One voxel at the bottom cannot be normalised: two."""
    return (*divisor[:-1], 2 * divisor[-1])


def assert_sizes(name: str, ndim: int, args: dict[str, Any]) -> None:
    network = NETWORKS[name]
    divisor = network.divisor(ndim=ndim, args=args)
    assert len(divisor) == ndim
    module = network.build(ndim=ndim, in_channels=2, out_channels=3, args=args)
    for multiples in ((1,) * ndim, (3,) + (1,) * (ndim - 1), (1,) * (ndim - 1) + (3,)):
        shape = tuple(d * m for d, m in zip(smallest(divisor), multiples, strict=True))
        for training in (True, False):
            module.train(training)
            output = module(torch.randn(1, 2, *shape))
            assert isinstance(output, torch.Tensor)
            assert output.isfinite().all()
            if finds_boxes(network):
                assert_rows(output.detach(), shape)
                continue
            once = answers_per_image(network) or makes_pictures(network)
            assert output.shape == ((1, 3) if once else (1, 3, *shape))


def assert_rows(output: torch.Tensor, shape: tuple[int, ...]) -> None:
    """A row per anchor, whose middle lies in the image; those of one shape together."""
    n = len(shape)
    assert output.shape[::2] == (1, 4 * n + 3)
    middles, lengths = output[0, :, :n], output[0, :, n : 2 * n]
    assert bool(((middles >= -0.5) & (middles <= torch.tensor(shape) - 0.5)).all())
    assert float(lengths.min()) > 0
    together = torch.unique_consecutive(lengths, dim=0)
    assert len(together) == len(torch.unique(lengths, dim=0))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("name", "args"), CASES)
def test_answers_on_the_grid_it_was_asked_on_or_once_per_image(
    name: str, args: dict[str, Any], ndim: int
) -> None:
    assert_sizes(name, ndim, args)


@pytest.mark.parametrize("name", sorted(ANISOTROPIC))
def test_levels_may_differ_by_axis(name: str) -> None:
    args = ANISOTROPIC[name]
    assert_sizes(name, 3, args)
    with pytest.raises(ModelError, match="expected 2 numbers per level in strides, found"):
        NETWORKS[name].divisor(ndim=2, args=args)
    with pytest.raises(ModelError, match="expected 2 numbers per level in"):
        NETWORKS[name].build(ndim=2, in_channels=1, out_channels=2, args=args)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("name", "args"), CASES)
def test_every_weight_learns(name: str, args: dict[str, Any], ndim: int) -> None:
    network = NETWORKS[name]
    module = network.build(ndim=ndim, in_channels=1, out_channels=2, args=args).train()
    shape = network.divisor(ndim=ndim, args=args)
    output = module(torch.randn(2, 1, *(2 * s for s in shape)))
    answer = (output * torch.randn_like(output)).sum()
    if makes_pictures(network):
        made = module.make(torch.randn(2, module.latent), torch.arange(2))
        answer = answer + (made * torch.randn_like(made)).sum()
    answer.backward()
    idle = [
        key for key, p in module.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    assert idle == []
    assert any(bool(p.grad.abs().sum() > 0) for p in module.parameters() if p.grad is not None)


@pytest.mark.parametrize(("name", "args"), CASES)
def test_batch_items_do_not_disturb_each_other(name: str, args: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]
    module = network.build(ndim=2, in_channels=1, out_channels=2, args=args).eval()
    # Eight voxels at the bottom: normalising two would blow up rounding.
    images = torch.randn(2, 1, *(4 * d for d in network.divisor(ndim=2, args=args)))
    with torch.inference_mode():
        together = module(images)
        alone = torch.cat([module(images[:1]), module(images[1:])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


MAKERS = [case for case in CASES if makes_pictures(NETWORKS[case[0]])]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("name", "args"), MAKERS)
def test_made_up_images_have_the_size_asked_for_and_depend_on_numbers_and_kind_alone(
    name: str, args: dict[str, Any], ndim: int
) -> None:
    network = NETWORKS[name]
    size = [n * d for n, d in zip((3, 2, 4), network.divisor(ndim=ndim, args=args), strict=False)]
    module = network.build(ndim=ndim, in_channels=2, out_channels=3, args={**args, "size": size})
    latent, kinds = torch.randn(3, module.latent), torch.tensor([0, 2, 2])
    for training in (True, False):
        made = module.train(training).make(latent, kinds).detach()
        assert made.shape == (3, 2, *size)
        assert 0 <= float(made.min()) < float(made.max()) <= 1
    with torch.inference_mode():
        alone = torch.cat([module.make(latent[n : n + 1], kinds[n : n + 1]) for n in range(3)])
        other = module.make(latent, torch.tensor([0, 2, 1]))
        assert module(made).shape == (3, 3)
    torch.testing.assert_close(made, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made[:2], other[:2], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(made[2], other[2])
    assert not any(p is q for p in module.rival.parameters() for q in module.maker.parameters())
    with pytest.raises(ModelError, match=r"expected a size of \d multiples of"):
        network.build(ndim=ndim, in_channels=1, out_channels=1, args={**args, "size": [3] * ndim})


@pytest.mark.parametrize("name", NETWORKS.names())
def test_arguments_are_a_frozen_config_that_explains_itself(name: str) -> None:
    network = NETWORKS[name]
    assert network.title
    args = network.Args()
    for key, info in network.Args.model_fields.items():
        assert info.title, key
        assert info.description, key
    with pytest.raises(ValidationError, match="frozen"):
        setattr(args, next(iter(network.Args.model_fields)), 1)
    stored = json.loads(json.dumps(args.model_dump(mode="json")))
    assert network.Args.model_validate(stored) == args


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NETWORKS.names())
def test_defaults_make_a_network(name: str, ndim: int) -> None:
    network = NETWORKS[name]
    assert min(network.divisor(ndim=ndim, args={})) >= 1
    with torch.device("meta"):
        module = network.build(ndim=ndim, in_channels=1, out_channels=2, args={})
    assert sum(p.numel() for p in module.parameters()) > 10_000


@pytest.mark.parametrize("name", NETWORKS.names())
def test_unknown_arguments_are_refused_by_name(name: str) -> None:
    with pytest.raises(ModelError, match=r"'chanels'.*found 3.*Known arguments: "):
        NETWORKS[name].build(ndim=2, in_channels=1, out_channels=2, args={"chanels": 3})


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        (
            "unet",
            {"channels": [8, 16, 32], "strides": [2]},
            "expected 2 strides for 3 levels, found 1",
        ),
        ("unet", {"channels": [8, 100_000], "strides": [2]}, "channels.1"),
        ("unet", {"channels": [8, 8], "strides": [0]}, "strides.0"),
        ("unet", {"dropout": 1.0}, "dropout"),
        ("dynunet", {"channels": [8, 8], "strides": [2]}, "expected at least 3 levels"),
        ("dynunet", {"kernels": [3, 3]}, "expected 4 kernels for 4 levels, found 2"),
        ("dynunet", {"kernels": [3, 3, 2, 3]}, "expected odd kernel sizes"),
        ("dynunet", {"strides": [2, 2, 4], "residual": True}, r"at level 3 .* found \[4, 4\]"),
        (
            "dynunet",
            {"strides": [4, 2, 2], "kernels": [3, 1, 3, 3]},
            r"at most \[2, 2\] at level 1",
        ),
        ("basic_unet", {"channels": [8, 8]}, "channels"),
        ("segresnet", {"init_filters": 12}, "multiple of 8, found 12"),
        (
            "segresnet",
            {"blocks_down": [1, 1]},
            "expected 1 decoder levels for 2 encoder levels, found 3",
        ),
        ("retinanet", {"strides": [2]}, "expected 4 strides for 4 levels, found 1"),
        ("retinanet", {"finest": 4}, "expected a finest level below 4, found 4"),
        ("retinanet", {"features": 12}, "features"),
        ("retinanet", {"anchors": [[4.0, 4.0, 4.0]]}, "expected 2 numbers per level in anchors"),
        ("attention_unet", {"strides": [2]}, "expected 3 strides for 4 levels, found 1"),
    ],
)
def test_arguments_that_make_no_network_are_refused(
    name: str, args: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        NETWORKS[name].build(ndim=2, in_channels=1, out_channels=2, args=args)


def test_listing_and_describing_networks_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from napari_apprentice.models.networks import NETWORKS\n"
        "print([n.title and n.divisor(ndim=3, args={}) for _, n in NETWORKS.items()])\n"
        "sys.exit(bool({'torch', 'monai'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_building_a_network_prints_nothing() -> None:
    code = (
        "from napari_apprentice.models.networks import NETWORKS\n"
        "NETWORKS['segresnet'].build(ndim=2, in_channels=1, out_channels=2, args={})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ("", "")
