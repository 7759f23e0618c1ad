"""Explanations of networks that answer voxel by voxel, occlusion and uncertainty: what they show, cost, and depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine._find_size import Seen
from napari_apprentice.explain import EXPLAINERS, ExplainConfig
from napari_apprentice.explain._painted import Painted
from napari_apprentice.explain._varied import Variation, entropy, variations
from napari_apprentice.explain.occlusion import cells_of
from napari_apprentice.models.networks._anchors import anchors_of_level
from napari_apprentice.models.store import Model, build_network

CPU = ExplainConfig(device="cpu", passes=3)
CLASSES = (ClassSpec(value=1, name="spot"), ClassSpec(value=4, name="other"))
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"channels": [4, 8], "strides": [2], "num_res_units": 1},
    "cnn": {"channels": [4, 8], "grid": 2, "dense": 8},
    "segresnet": {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]},
    "retinanet": {
        "channels": [4, 8],
        "strides": [2, 2],
        "features": 8,
        "finest": 0,
        "anchors": [6.0],
    },
}
TASK = {
    "unet": "semantic",
    "segresnet": "semantic",
    "cnn": "image_class",
    "retinanet": "detection",
}
OBJECTS: dict[str, dict[str, Any]] = {
    "instance": {"task": "instance", "task_args": {"diameter": 8.0}},
    "centres": {"task": "detection", "task_args": {"boxes": False, "least_score": 0.05}},
    "boxes": {"task": "detection", "classes": CLASSES[:1], "task_args": {"least_score": 0.05}},
}


def model(network: str = "unet", ndim: int = 2, seed: int = 0, **more: Any) -> Model:
    torch.manual_seed(seed)
    base: dict[str, Any] = {
        "name": "m",
        "task": TASK[network],
        "network": network,
        "network_args": SMALL[network],
        "ndim": ndim,
        "tile": (16,) * ndim,
        "classes": CLASSES,
    }
    spec = ModelSpec(**base | more)
    return Model(spec, build_network(spec).state_dict())


def anchors(seed: int = 0, ndim: int = 2, **more: Any) -> Model:
    """One that answers box by box, and is surer than new ones are."""
    made = model("retinanet", ndim, seed, task_args={"anchors": True}, **more)
    state = {
        name: value * (100 if name == "classes.cls_logits.weight" else 1)
        for name, value in made.state.items()
    }
    state["classes.cls_logits.bias"] = torch.zeros(len(made.spec.classes))
    return Model(made.spec, state)


def picture(shape: tuple[int, ...] = (40, 20)) -> Volume:
    data = np.random.default_rng(0).random(shape).astype(np.float32)
    spacing = (3.0, 0.5, 0.5)[-len(shape) :]
    return Volume(data, Grid.regular("ZYX"[-len(shape) :], shape, spacing, unit="um"))


def explained(key: str, of: Model, volume: Volume, name: str | None = None, **how: Any) -> Any:
    config = CPU.model_copy(update=how)
    return run_to_end(EXPLAINERS[key].explain(volume, of, config, name))


class Bright(nn.Module):
    """Says *spot* where it is bright, around the place only."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        with torch.no_grad():
            self.look.weight.fill_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.look(x)
        return torch.cat([torch.ones_like(seen), seen, -seen], dim=1)


class Known(Model):
    """A model with a network of our own."""

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__(spec, network.state_dict())
        self._own = network

    @property
    def network(self) -> nn.Module:
        return self._own

    def build(self) -> nn.Module:
        return self._own


def spot() -> Volume:
    data = np.zeros((16, 16), np.float32)
    data[9:14, 2:7] = 1
    return Volume(data, Grid.regular("YX", data.shape))


def known(**more: Any) -> Known:
    window = {"kind": "window", "low": 0, "high": 1}
    return Known(Bright(), model(**{"normalization": window} | more).spec)


THREE = (ClassSpec(value=2, name="any"), *CLASSES)


@pytest.mark.parametrize("key", ["gradcam", "occlusion"])
@pytest.mark.parametrize(
    "asked",
    [{}, {"task": "detection", "classes": THREE, "task_args": {"boxes": False}}],
    ids=["voxels", "centres"],
)
def test_a_class_is_explained_where_it_is(key: str, asked: dict[str, Any]) -> None:
    found = explained(key, known(**asked), spot(), "spot", cells=8)
    assert found.image is not None
    inside = found.image[9:14, 2:7].mean()
    outside = np.delete(np.delete(found.image, np.s_[7:16], 0), np.s_[0:9], 1).mean()
    assert inside > 5 * max(float(outside), 1e-9)
    assert found.image_class == "spot"
    assert np.count_nonzero(explained(key, known(**asked), spot(), "other").image) == 0


class BrightBoxes(nn.Module):
    """Says box by box that a *spot* four voxels wide is where it is bright."""

    finds_boxes = True

    def __init__(self) -> None:
        super().__init__()
        self.sure = nn.Parameter(torch.tensor(8.0))

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [nn.functional.avg_pool2d(image, 4)]

    def rows(self, features: list[torch.Tensor]) -> torch.Tensor:
        known = anchors_of_level(features[0].shape[2:], (4, 4), [(4.0, 4.0)])
        told = self.sure * (features[0].flatten(2).movedim(1, 2) - 0.5)
        places = torch.cat([known, torch.zeros(len(known), 4)], dim=1).expand(len(told), -1, -1)
        return torch.cat([places, told, -told.abs() - 9], dim=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.rows(self.features(image))


@pytest.mark.parametrize("key", ["gradcam", "occlusion"])
def test_boxes_are_explained_where_they_are(key: str) -> None:
    spec = anchors(normalization={"kind": "window", "low": 0, "high": 1}).spec
    data = np.zeros((16, 16), np.float32)
    data[8:12, 4:8] = 1
    seen = Volume(data, Grid.regular("YX", data.shape))
    found = explained(key, Known(BrightBoxes(), spec), seen, cells=4)
    assert found.image_class == "spot"
    inside = found.image[8:12, 4:8].mean()
    assert inside > 5 * max(float(found.image[:5].mean()), float(found.image[:, 11:].mean()), 1e-9)
    assert np.unravel_index(found.image.argmax(), data.shape) in set(
        zip(*np.nonzero(data), strict=True)
    )
    # The other class has no box that is told: there is nothing to explain.
    assert not explained(key, Known(BrightBoxes(), spec), seen, "other", cells=4).image.any()


def test_a_box_is_unsure_where_copies_tell_of_it_differently() -> None:
    spec = anchors(normalization={"kind": "window", "low": 0, "high": 1}).spec
    data = np.zeros((16, 16), np.float32)
    data[8:12, 4:8] = 1
    found = explained(
        "uncertainty", Known(BrightBoxes(), spec), Volume(data, Grid.regular("YX", data.shape)), passes=6
    )  # fmt: skip
    assert found.image[7:13, 3:9].max() > 0.3
    assert found.image[:4].max() < 0.02


def test_boxes_are_painted_in_the_class_of_the_surest() -> None:
    boxes = torch.zeros(3, 10)
    boxes[:, :4] = torch.tensor([[5.5, 5.5, 4, 4], [5.5, 8.5, 4, 6], [12.5, 12.5, 4, 4]])
    boxes[:, 8:] = torch.tensor([[2.0, -9], [-9, 1], [-9, -8]])

    class Fixed(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return boxes.expand(len(image), -1, -1)

    shares = Painted(Fixed(), anchors().spec)(torch.zeros(2, 1, 16, 16))
    assert shares.shape == (2, 3, 16, 16)
    painted = np.zeros((16, 16), int)
    painted[4:8, 6:12] = 2
    painted[4:8, 4:8] = 1
    np.testing.assert_array_equal(shares[1].argmax(dim=0), painted)
    assert torch.equal(shares.sum(dim=1), torch.ones(2, 16, 16))


@pytest.mark.parametrize("key", sorted(EXPLAINERS))
@pytest.mark.parametrize("kind", sorted([*SMALL, *OBJECTS]))
def test_maps_lie_on_the_image_and_change_with_the_weights(key: str, kind: str) -> None:
    volume = picture()

    def of(seed: int) -> Model:
        more = OBJECTS.get(kind, {})
        return (
            anchors(seed)
            if kind == "retinanet"
            else model("unet" if more else kind, seed=seed, **more)
        )

    one = explained(key, of(0), volume)
    assert one.image is not None
    assert (one.image.shape, one.grid, one.image.dtype) == ((40, 20), volume.grid, np.float32)
    assert 0 <= one.image.min() <= one.image.max() <= 1
    assert one.provenance is not None
    # A map that survives random weights shows edges, not evidence (Adebayo et al., NeurIPS 2018).
    others = [explained(key, of(seed), volume) for seed in (1, 2)]
    if EXPLAINERS[key].asks_class:
        assert one.image_class in {"spot", "other"}
    assert any(change(one, other) > 0.01 for other in others)


def change(one: Any, other: Any) -> float:
    """How far two explanations differ; of whole images, whose uncertainty is one number, how far the probabilities do."""
    tables = [abs(one.table[name] - other.table[name]) for name in one.table]
    return max(tables, default=float(np.abs(one.image - other.image).mean()))


@pytest.mark.parametrize("key", sorted(EXPLAINERS))
def test_volumes_plane_by_plane_and_in_patients_axes(key: str) -> None:
    for of in (model(), anchors()):
        flat = explained(key, of, picture((3, 20, 18)), cells=2)
        assert flat.image.shape == (3, 20, 18)
    grid = Grid(
        "ZYX", (18, 20, 16), Grid.freeze(np.diag([1.0, -1.0, 1.0, 1.0])[[2, 1, 0, 3]]), "mm", "LPS"
    )
    volume = Volume(np.random.default_rng(1).random(grid.shape).astype(np.float32), grid)
    for kind in (model, anchors):
        of = kind(ndim=3, orientation="LPS", spacing=(1.5,) * 3, unit="mm")
        deep = explained(key, of, volume, cells=2)
        assert (deep.image.shape, deep.grid) == (grid.shape, grid)
        assert deep.image.any()


def test_a_map_turns_with_the_image() -> None:
    data = spot().numpy()
    seen = explained("gradcam", known(), spot(), "spot").image
    turned = Volume(np.ascontiguousarray(data[::-1].T), spot().grid)
    assert np.allclose(explained("gradcam", known(), turned, "spot").image, seen[::-1].T, atol=1e-5)


def test_certainty_and_doubt() -> None:
    sure = np.zeros((3, 1, 1), np.float32)
    sure[1] = 1
    assert entropy(sure)[0, 0] == pytest.approx(0, abs=1e-5)
    assert entropy(np.full((3, 1, 1), 1 / 3, np.float32))[0, 0] == pytest.approx(1)
    found = explained("uncertainty", known(), spot(), passes=6)
    edge = found.image[8:15, 1:8].copy()
    edge[3:4, 3:4] = 0
    assert found.image[11, 4] < edge.max()  # the middle of a spot is surer than its border
    assert "6 passes" in found.summary


def test_variations_can_be_taken_back() -> None:
    data = np.random.default_rng(0).random((1, 12, 14)).astype(np.float32)
    change = Variation((1,), (2, -1), 1.0, 0.0)
    back = change.undo(change.apply(data))
    assert np.array_equal(back[:, :-2, 1:], data[:, :-2, 1:])
    assert variations(3, model().spec, (16, 16))[0].apply(data).tolist() == data.tolist()


def test_only_mirrors_that_the_model_allows() -> None:
    spec = model(mirror_axes=(1,)).spec
    made = variations(30, spec, (16, 16))
    assert {change.flips for change in made} == {(), (1,)}
    assert all(abs(step) <= 1 for change in made for step in change.shift)
    assert variations(5, spec, (16, 16), seed=1) != variations(5, spec, (16, 16), seed=2)


def test_a_whole_image_has_one_uncertainty_and_mean_probabilities() -> None:
    found = explained("uncertainty", model("cnn"), picture())
    assert found.image.min() == found.image.max()
    assert sum(found.table.values()) == pytest.approx(1)
    assert found.image_class in found.summary


def test_costs_are_said_before() -> None:
    grid, spec = picture((160, 160)).grid, model().spec
    cost = {key: e.predictions(grid, spec, ExplainConfig()) for key, e in EXPLAINERS.items()}
    assert cost["gradcam"] < 3
    assert cost["uncertainty"] < 3
    assert 10 < cost["occlusion"] < 65
    assert cells_of((32, 16, 16), ExplainConfig(cells=4)) == (4, 2, 2)
    fine = EXPLAINERS["occlusion"].predictions(grid, spec, ExplainConfig(cells=16))
    assert fine > 3.5 * cost["occlusion"]


@pytest.mark.parametrize("kind", ["unet", "cnn"])
@pytest.mark.parametrize("shape", [(8, 16), (16, 16), (6, 4)])
def test_occlusion_covers_the_image_and_not_what_is_added_around_it(
    kind: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counting(of: Model, device: str) -> Any:
        network = of.network.to(device).eval()

        def run(data: torch.Tensor) -> torch.Tensor:
            asked.append(len(data))
            answer: torch.Tensor = network(data)
            return answer

        return run

    monkeypatch.setattr("napari_apprentice.explain._cover.fast_network", counting)
    of, image = model(kind), picture(shape)
    told = EXPLAINERS["occlusion"].predictions(image.grid, of.spec, CPU)
    whole = EXPLAINERS["occlusion"].predictions(picture((16, 16)).grid, of.spec, CPU)
    assert told < whole or shape == (16, 16)
    answer = explained("occlusion", of, image, of.spec.classes[0].name)
    assert answer.image is not None
    assert answer.image.shape == shape
    assert sum(asked) in {told, 1}  # 1: nothing is given the class


def test_a_map_of_nothing_says_so_and_stays_dark() -> None:
    of = model("cnn")
    flat = {key: torch.zeros_like(value) for key, value in of.state.items()}
    answer = explained("occlusion", Model(of.spec, flat), picture(), "spot")
    assert "no single part" in answer.summary
    assert answer.image is not None
    assert not answer.image.any()


@pytest.mark.parametrize("key", sorted(EXPLAINERS))
def test_it_can_be_cancelled_early(key: str) -> None:
    job = EXPLAINERS[key].explain(picture((60, 60)), model(), CPU, "spot")
    for _ in range(4):
        assert isinstance(next(job), Progress)
    job.close()


@pytest.mark.parametrize("key", sorted(EXPLAINERS))
def test_other_answers_and_strange_classes_are_refused(key: str) -> None:
    spec = model().spec.model_copy(update={"task": "restoration", "classes": ()})
    assert EXPLAINERS[key].problem(spec) is not None
    with pytest.raises(BadInputError, match="cannot be explained this way"):
        run_to_end(EXPLAINERS[key].explain(picture(), Model(spec, {}), CPU))
    if EXPLAINERS[key].asks_class:
        with pytest.raises(BadInputError, match="expected one of spot, other, found 'liver'"):
            explained(key, model(), picture(), "liver")


@pytest.mark.parametrize("key", sorted(EXPLAINERS))
def test_objects_are_looked_at_in_the_size_the_model_knows(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbering, volume = model(**OBJECTS["instance"]), picture((3, 20, 16))
    seen = []

    class Eye(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.shape)
            return torch.cat([-x, x, x, x, -x], dim=1)

    eye = Known(nn.Sequential(nn.Conv2d(1, 1, 1), Eye()), numbering.spec)
    told = explained(key, eye, volume, diameter=2.0, cells=2)  # 4 voxels of 0.5 um; 8 are known
    assert told.grid == volume.grid
    assert told.provenance.notes == ()
    at_once = sum(shape[0] for shape in seen)
    seen.clear()

    def found(prepared: Any, *_: Any) -> Any:
        assert prepared.grid.shape == (3, 20, 16)
        yield Progress("looking")
        return Seen(2.0, 8.0, 1.0)

    monkeypatch.setattr("napari_apprentice.engine._find_size.finding_zoom", found)
    asked = explained(key, eye, volume, cells=2)
    assert asked.provenance.notes == ("objects taken to be about 2 µm wide",)
    assert np.allclose(asked.image, told.image, atol=1e-4)
    assert sum(shape[0] for shape in seen) == at_once
    seen.clear()
    explained(key, eye, volume, diameter=4.0, cells=2)
    assert 0 < sum(shape[0] for shape in seen) < at_once


def test_numbered_objects_are_unsure_at_their_border() -> None:
    found = explained("uncertainty", known(task="instance", classes=CLASSES[:1]), spot(), passes=6)
    assert found.image[11, 4] < 0.1 < found.image[8:15, 1:8].max()
