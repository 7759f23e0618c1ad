"""Heat map or anchors: both kinds of network of the task detection learn from nothing for the same minutes on the same nuclei.

::

    python benchmarks/retinanet.py --data DATA --minutes 5

Both take the normal path, of which nothing differs but the network: the same patches of 160², four at a time, varied alike, the
same rate, and images as they are (no width of the nuclei is given). The score from which on an object counts is chosen on
training images for each. `--network` runs one of them alone, so that the two can run at the same time on a busy machine.
The same in volumes: `retinanet_volumes.py`.
"""

from __future__ import annotations

import argparse
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

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, TrainResult, train
from napari_apprentice.models.store import Model, ModelStore, save_model
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec

_BATCH = 4
_DOUBTFUL = 0.05
_CHOOSING = 24
"""Training images on which the least score is chosen."""

Finder = Callable[[Volume], Detections]
"""From an image to what is found in it, down to what is hardly believed."""


# -- the images -----------------------------------------------------------------------------


def truth_of(field: Field) -> TrainItem:
    """The image with boxes around its nuclei."""
    task: Any = TASKS["detection"]
    labels = field.item.annotation
    said = task.places_in(
        Volume(labels.labels, labels.grid, is_labels=True), labels.grid, (LabelClass(1, "nucleus"),)
    )
    return TrainItem(field.item.name, field.item.volume, said, field.item.group)


# -- learning and finding -----------------------------------------------------------------


def spec_of(network: str) -> ModelSpec:
    """A new detector of nuclei: all as planned for the starter but for the network."""
    spec = ModelStore().load("nuclei-centres").spec
    if network == "unet":
        return spec
    args = {"diameter": 20.0, "boxes": True, "anchors": True}
    return spec.model_copy(update={"network": network, "network_args": {}, "task_args": args})


def learned(
    items: Sequence[TrainItem], init: ModelSpec | None, config: TrainConfig, keep: Path | None
) -> tuple[Finder, TrainResult]:
    """How a detector finds that has learned so; its model is kept in a folder, where one is named."""
    with tempfile.TemporaryDirectory() as folder:
        job = train(items, init=init, config=config, folder=Path(folder), task="detection")
        result = run_to_end(job)
    if keep is not None:
        save_model(result.spec, result.state, keep)
    return finder(Model(result.spec, result.state)), result


def finder(model: Model) -> Finder:
    """How a detector finds on the normal path."""
    wanted = PredictConfig(device="cpu", least_score=_DOUBTFUL)

    def find(volume: Volume) -> Detections:
        answer = run_to_end(predict(volume, model, wanted)).detections
        assert answer is not None
        return answer

    return find


# -- comparing ----------------------------------------------------------------------------


def best_least(f1: Callable[[float], float]) -> float:
    """The least score with the best F1."""
    return float(max(np.arange(1, 19) / 20, key=f1))


def _pairs(find: Finder, several: Sequence[Field]) -> list[tuple[Detections, Detections]]:
    """What was found and what there is."""
    found = [(find(field.item.volume), truth_of(field).annotation.detections) for field in several]
    return [(one, truth) for one, truth in found if truth is not None]


def main() -> None:
    """Teach both, mark both on the validation split and append the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--network", nargs="*", help="unet, retinanet; none: both in turn")
    parser.add_argument("--keep", type=Path, help="folder for the models")
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
    for network in given.network or ("unet", "retinanet"):
        config = TrainConfig(minutes=given.minutes, held_out=0, checks=1, batch_size=_BATCH)
        keep = given.keep and given.keep / network
        find, result = learned(items, spec_of(network), config, keep)
        known = _pairs(find, seen)
        least = best_least(lambda score, known=known: float(row_of("", known, score)["F1 radius"]))
        began = time.perf_counter()
        pairs = _pairs(find, splits[1])
        seconds = (time.perf_counter() - began) / len(pairs)
        weights = sum(v.numel() for v in result.state.values())
        facts = {
            "network": network,
            "weights": weights,
            "steps": result.steps,
            "least score": least,
        }
        rows.append({**facts, **row_of("fluorescence", pairs, least), "s per image": seconds})
        print(rows[-1], flush=True)
    report(
        f"Points and boxes from nothing: heat map (unet) against RetinaNet, {given.minutes:g} minutes each",
        rows,
        f"`retinanet.py`, {given.threads} thread, one seed. The least score of each was chosen on {len(seen)} training images.",
    )


if __name__ == "__main__":
    main()
