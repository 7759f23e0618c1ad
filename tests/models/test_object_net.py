"""The network for objects: what is measured decides at once, convolutions add to it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.models.networks._logistic import Logistic, share_of_first


def examples(count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Numbers of which the first tells two classes apart; the second is noise, the third the same for all, the fourth unknown."""
    source = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 2
    values = 1e-6 * torch.randn(count, 4, generator=source)  # square millimetres, say
    values[:, 0] += 2e-6 * targets
    values[:, 2], values[:, 3] = 7.0, torch.nan
    return values, targets


def net(measures: int = 4, classes: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)
    args = {"channels": [4, 8], "measures": measures}
    return NETWORKS["object_net"].build(ndim=2, in_channels=2, out_channels=classes, args=args)


def test_a_few_numbers_decide_whatever_their_unit_and_unknown_ones_say_nothing() -> None:
    known = Logistic(4, 2)
    assert bool((known(examples()[0]) == 0).all())
    known.learn(*examples())
    values, targets = examples(200, seed=1)
    assert (known(values).argmax(1) == targets).float().mean() > 0.75
    assert bool((known.weight[:, 2:] == 0).all())
    unknown = torch.full((1, 4), torch.nan)
    assert torch.allclose(known(unknown), known.bias)
    far = torch.tensor([[1e9, -1e9, 0.0, torch.inf]])
    assert bool((known(far).abs() < 50).all())


def test_going_on_keeps_what_the_new_examples_do_not_speak_against() -> None:
    first = Logistic(4, 2)
    first.learn(*examples(200))
    mean, before = first.mean.clone(), first.weight.clone()
    values, targets = examples(4, seed=3)
    first.learn(values, targets)
    assert torch.equal(first.mean, mean)
    alone = Logistic(4, 2)
    alone.learn(values, targets)
    truth = examples(200, seed=4)
    right = [(k(truth[0]).argmax(1) == truth[1]).float().mean() for k in (first, alone)]
    assert right[0] >= right[1]
    assert 0 < (first.weight - before).norm() < before.norm()
    for _ in range(8):  # ever again against what it knows
        first.learn(values, 1 - targets)
    assert bool((first(values).argmax(1) == 1 - targets).all())


def test_the_witness_that_foretells_better_counts_more() -> None:
    values, targets = examples(120)
    noise = torch.randn(120, 6, generator=torch.Generator().manual_seed(5))
    pair = (Logistic(4, 2), Logistic(6, 2))
    assert share_of_first(pair, (values, noise), targets) > 0.6
    assert share_of_first(pair[::-1], (noise, values), targets) < 0.4
    one = torch.tensor([0, 1])  # one example of each: nothing can be left out
    assert share_of_first(pair, (values[:2], noise[:2]), one) == 0.5
    none = (Logistic(0, 2), pair[1])
    assert share_of_first(none, (values[:, :0], noise), targets) == 0


@pytest.mark.parametrize("measures", [0, 4])
def test_convolutions_are_silent_until_they_learn(measures: int) -> None:
    network = net(measures)
    crops = torch.randn(40, 2, 16, 16)
    crops[:, 1] = 0
    crops[:, 1, 4:12, 4:12] = 1
    values, targets = examples()
    network.learn_measures(crops, values[:, :measures], targets)
    network.eval()
    told = (values,) if measures else ()
    scores = network(crops, *told)
    for block in network.blocks:
        block.forward = None  # not even asked
    assert torch.equal(network(crops, *told), scores)
    if measures:
        assert (scores.argmax(1) == targets).float().mean() > 0.75
    assert not any(p is b for p in network.parameters() for b in network.table.buffers())


def test_steps_teach_convolutions_only() -> None:
    network = net()
    crops = torch.rand(8, 2, 16, 16).round()
    values, targets = examples(8)
    network.learn_measures(crops, values, targets)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network.train()
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(crops, values), targets).backward()
        optimizer.step()
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert {"seen.weight", "blocks.0.conv.weight"} <= changed
    assert not {k for k in changed if k.startswith(("table.", "crop."))}
