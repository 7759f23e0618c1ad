"""Heat map or anchors: both kinds of network of the task detection learn from nothing for the same minutes on the same nuclei.

::

    python benchmarks/retinanet.py --data DATA --minutes 5

Both take the normal path, of which nothing differs but the network: the same patches of 160², four at a time, varied alike, the
same rate, and images as they are (no width of the nuclei is given). The score from which on an object counts is chosen on
training images for each. `--network` runs one of them alone, so that the two can run at the same time on a busy machine.
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

Finder = Callable[[Field], Detections]


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
    items: Sequence[TrainItem], network: str, minutes: float, keep: Path | None
) -> tuple[Finder, TrainResult]:
    """How a detector finds that has learned for so long."""
    config = TrainConfig(minutes=minutes, held_out=0, checks=1, batch_size=_BATCH)
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            items, init=spec_of(network), config=config, folder=Path(folder), task="detection"
        )
        result = run_to_end(job)
    model = Model(result.spec, result.state)
    if keep is not None:
        save_model(result.spec, result.state, keep / network)

    def find(field: Field) -> Detections:
        wanted = PredictConfig(device="cpu", least_score=_DOUBTFUL)
        answer = run_to_end(predict(field.item.volume, model, wanted)).detections
        assert answer is not None
        return answer

    return find, result


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
        find, result = learned(items, network, given.minutes, given.keep)
        least = least_score(find, seen)
        began = time.perf_counter()
        pairs = [(find(field), truth_of(field).annotation.detections) for field in splits[1]]
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
