"""Heat map or anchors: our detector and MONAI's RetinaNet learn from nothing for the same minutes on the same nuclei.

::

    python benchmarks/retinanet.py --data DATA --minutes 8

Both see grey fluorescence zoomed so that the median nucleus of an image is 20 px wide (the true width is given to both), patches of
160², four at a time, AdamW with a cosine. RetinaNet (Lin et al., ICCV 2017) is `monai.apps.detection`'s, with the ATSS matcher and
the hard negative sampler of MONAI's LUNA16 tutorial, on a feature pyramid over MONAI's residual units, since its own extractors
need torchvision. The score from which on a box counts is chosen on training images for both.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _report import report
from detection import row_of
from instances import Field, fields
from monai.apps.detection.networks import retinanet_detector
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.networks.blocks import ResidualUnit
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from scipy import ndimage
from torch import nn

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, train
from napari_apprentice.models.store import Model, ModelStore
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH, _PATCH, _BATCH, _PEAK = 20.0, 160, 4, 2e-3
_DOUBTFUL = 0.05
_CHOOSING = 24
"""Training images on which the least score is chosen."""

Finder = Callable[[Field], Detections]


# -- both sides ---------------------------------------------------------------------------


def truth_of(field: Field) -> TrainItem:
    """The image with boxes around its nuclei."""
    task: Any = TASKS["detection"]
    labels = field.item.annotation
    said = task.places_in(
        Volume(labels.labels, labels.grid, is_labels=True), labels.grid, (LabelClass(1, "nucleus"),)
    )
    return TrainItem(field.item.name, field.item.volume, said, field.item.group)


def width_of(item: TrainItem) -> float:
    """Median side of its boxes in pixels."""
    return float(np.median(item.annotation.detections.sizes))


# -- ours ---------------------------------------------------------------------------------


def heat_map(items: Sequence[TrainItem], minutes: float) -> tuple[Finder, int, int]:
    """Our detector: how it finds, its steps and its weights."""
    spec = ModelStore().load("nuclei-centres").spec
    config = TrainConfig(minutes=minutes, held_out=0, checks=1, batch_size=_BATCH)
    with tempfile.TemporaryDirectory() as folder:
        job = train(items, init=spec, config=config, folder=Path(folder), task="detection")
        result = run_to_end(job)
    model = Model(result.spec, result.state)

    def find(field: Field) -> Detections:
        wanted = PredictConfig(
            device="cpu", least_score=_DOUBTFUL, diameter=width_of(truth_of(field))
        )
        answer = run_to_end(predict(field.item.volume, model, wanted)).detections
        assert answer is not None
        return answer

    return find, result.steps, sum(v.numel() for v in result.state.values())


# -- MONAI's ------------------------------------------------------------------------------


class Pyramid(nn.Module):
    """Features at a quarter and an eighth of the resolution."""

    out_channels = 64

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64, 128)
        self.levels = nn.ModuleList(
            ResidualUnit(2, a, b, strides=2, subunits=2, norm="INSTANCE")
            for a, b in itertools.pairwise(widths)
        )
        self.fpn = FeaturePyramidNetwork(2, [32, 64, 128], self.out_channels)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Maps by name, the finest first."""
        maps = []
        for level in self.levels:
            image = level(image)
            maps.append(image)
        found = self.fpn({str(n): one for n, one in enumerate(maps[1:])})
        return {name: found[name] for name in ("0", "1")}


def detector_of() -> RetinaNetDetector:
    """MONAI's detector, configured as in its tutorial but for the anchors' size."""
    anchors = AnchorGeneratorWithAnchorShape(
        feature_map_scales=(1, 2),
        base_anchor_shapes=((12.0, 12.0), (20.0, 20.0), (20.0, 13.0), (13.0, 20.0)),
    )
    # torchvision's matcher, which is not used, is asked for by name all the same.
    retinanet_detector.Matcher = type("Matcher", (), {})
    network = RetinaNet(2, 1, 4, Pyramid(), size_divisible=16)
    detector = RetinaNetDetector(network, anchors)
    detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
    detector.set_hard_negative_sampler(64, 0.3, pool_size=20, min_neg=16)
    detector.set_box_selector_parameters(
        score_thresh=_DOUBTFUL,
        topk_candidates_per_level=2000,
        nms_thresh=0.3,
        detections_per_img=1000,
    )
    return detector


def prepared(item: TrainItem) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The image at working size, its boxes as corners there, and the zoom."""
    data = np.asarray(item.volume.numpy(), np.float32)
    if "C" in item.volume.grid.axes:
        data = data.mean(axis=item.volume.grid.axes.index("C"))
    low, high = np.percentile(data, (0.5, 99.8))
    zoom = _WIDTH / width_of(item)
    small = ndimage.zoom(
        (data - low) / max(high - low, 1e-6), zoom, order=1, grid_mode=True, mode="nearest"
    )
    places = item.annotation.detections
    half = places.sizes / 2
    corners = (np.hstack([places.centres - half, places.centres + half]) + 0.5) * zoom
    return small.astype(np.float32), corners.astype(np.float32), zoom


def patch(
    image: NDArray[np.float32], boxes: NDArray[np.float32], chance: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A random patch, turned and mirrored, of varied brightness, with the boxes that have their middle in it."""
    start = [int(chance.integers(0, max(n - _PATCH, 0) + 1)) for n in image.shape]
    part = image[start[0] : start[0] + _PATCH, start[1] : start[1] + _PATCH]
    part = np.pad(part, [(0, _PATCH - n) for n in part.shape])
    own = boxes - np.array([*start, *start], np.float32)
    middle = (own[:, :2] + own[:, 2:]) / 2
    own = np.clip(own[((middle > 0) & (middle < _PATCH)).all(axis=1)], 0, _PATCH)
    for axis in (0, 1):
        if chance.random() < 0.5:
            part = np.flip(part, axis)
            own[:, [axis, axis + 2]] = _PATCH - own[:, [axis + 2, axis]]
    if chance.random() < 0.5:
        part, own = part.T, own[:, [1, 0, 3, 2]]
    part = part * chance.uniform(0.8, 1.2) + chance.normal(0, 0.05, part.shape)
    own = own[(own[:, 2:] - own[:, :2]).min(axis=1, initial=np.inf) >= 2] if len(own) else own
    return torch.from_numpy(part[None].astype(np.float32)), torch.from_numpy(own)


def retinanet(items: Sequence[TrainItem], minutes: float) -> tuple[Finder, int, int]:
    """MONAI's detector: how it finds, its steps and its weights."""
    torch.manual_seed(0)
    chance = np.random.default_rng(0)
    ready = [prepared(item) for item in items]
    detector = detector_of()
    optimizer = torch.optim.AdamW(detector.network.parameters(), lr=_PEAK, weight_decay=1e-2)
    began, steps = time.perf_counter(), 0
    detector.train()
    while (share := (time.perf_counter() - began) / (60 * minutes)) < 1:
        rate = _PEAK * min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        drawn = [patch(*ready[int(chance.integers(len(ready)))][:2], chance) for _ in range(_BATCH)]
        targets = [
            {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.long)}
            for _, boxes in drawn
        ]
        losses = detector(torch.stack([image for image, _ in drawn]), targets)
        loss = losses["classification"] + losses["box_regression"]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.network.parameters(), 12.0)
        optimizer.step()
        steps += 1
    detector.eval()

    def find(field: Field) -> Detections:
        image, _, zoom = prepared(truth_of(field))
        with torch.inference_mode():
            said = detector(torch.from_numpy(image[None, None]))[0]
        corners = said["boxes"].numpy() / zoom - 0.5
        low, high = corners[:, :2], corners[:, 2:]
        scores = said["labels_scores"].numpy()
        return Detections.of((low + high) / 2, high - low, np.ones(len(scores), np.int32), scores)

    return find, steps, sum(p.numel() for p in detector.network.parameters())


# -- comparing ----------------------------------------------------------------------------


def least_score(find: Finder, seen: Sequence[Field]) -> float:
    """The score with the best F1 on images that were learned from."""
    pairs = [(find(field), truth_of(field).annotation.detections) for field in seen]
    choices = np.arange(1, 19) / 20
    return float(max(choices, key=lambda least: float(row_of("", pairs, least)["F1 radius"])))  # type: ignore[arg-type]


def main() -> None:
    """Teach both, mark both on the validation split and append the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--most", type=int, default=10_000, help="images of each split, for a try")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    splits = [
        [f for f in fields(given.data, [name]) if f.modality.startswith("fluo")][: given.most]
        for name in ("train", "val")
    ]
    items = [truth_of(field) for field in splits[0]]
    seen = splits[0][:: max(1, len(splits[0]) // _CHOOSING)]
    rows = []
    for name, side in (("heat map (ours)", heat_map), ("RetinaNet (MONAI)", retinanet)):
        find, steps, weights = side(items, given.minutes)
        least = least_score(find, seen)
        began = time.perf_counter()
        pairs = [(find(field), truth_of(field).annotation.detections) for field in splits[1]]
        seconds = (time.perf_counter() - began) / len(pairs)
        facts = {"detector": name, "weights": weights, "steps": steps, "least score": least}
        rows.append({**facts, **row_of("fluorescence", pairs, least), "s per image": seconds})
        print(rows[-1], flush=True)
    report(
        f"Points and boxes from nothing: heat map against RetinaNet, {given.minutes:g} minutes each",
        rows,
        f"`retinanet.py`, {given.threads} thread, one seed, one after the other. The true median width is given to both; the least "
        f"score of each was chosen on {len(seen)} training images.",
    )


if __name__ == "__main__":
    main()
