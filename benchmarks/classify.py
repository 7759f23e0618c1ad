"""How well whole images are classified: accuracy on MedNIST with 1,000 and with 20 pictures per class.

The network is the one that the task plans for the pictures, taught with the settings below; nothing was chosen on the
validation split (settings for few pictures were chosen on training pictures that are not in the small set). Beside it the
nearest neighbour among the same pictures as 16 × 16 thumbnails, which any network has to clear by far.

::

    python benchmarks/classify.py --data DATA --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from _report import report

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from _mednist import mednist_items, small_set

from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.image_scores import scores_of
from napari_apprentice.engine.images import prepare_images
from napari_apprentice.engine.train import TrainItem, train
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

Row = dict[str, object]
TASK = "image_class"
GOALS = {"1,000 per class": 0.995, "20 per class": 0.98}
SETTINGS = {
    "1,000 per class": TrainConfig(device="cpu", steps=1500, held_out=0.1, checks=5, ema=0.995),
    "20 per class": TrainConfig(device="cpu", steps=600, held_out=0, checks=1),
}


def nearest(train_items: Sequence[TrainItem], val: Sequence[TrainItem]) -> float:
    """Accuracy of the nearest neighbour among 16 × 16 thumbnails."""
    seen, asked = _thumbnails(train_items), _thumbnails(val)
    distance = (seen**2).sum(axis=1) - 2 * asked @ seen.T
    found = [train_items[n].annotation.image_class for n in distance.argmin(axis=1)]
    return float(np.mean([f == i.annotation.image_class for f, i in zip(found, val, strict=True)]))


def _thumbnails(items: Sequence[TrainItem]) -> np.ndarray:
    small = [i.volume.numpy().reshape(16, 4, 16, 4).mean(axis=(1, 3)).ravel() for i in items]
    return np.array(small, dtype=np.float64)


def learned(items: Sequence[TrainItem], config: TrainConfig) -> tuple[Model, float, int]:
    """A model from nothing, the minutes and the steps it took."""
    with tempfile.TemporaryDirectory() as folder:
        job = train(items, init=None, config=config, folder=Path(folder), task=TASK, name="mednist")
        result = run_to_end(job)
    return Model(result.spec, result.state), result.seconds / 60, result.steps


def scored(model: Model, val: Sequence[TrainItem]) -> dict[str, float]:
    """Scores on the validation split."""
    task = TASKS[TASK]
    arrays, _ = run_to_end(prepare_images(val, task, model.spec))
    data = torch.from_numpy(np.stack([a.data for a in arrays]))
    scores = run_to_end(scores_of(model.network, data, "cpu"))
    truth = np.array([a.target for a in arrays])
    return dict(task.judge(scores, truth, model.spec))  # type: ignore[attr-defined]


def main() -> None:
    """Learn, score and append to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sizes", nargs="+", choices=sorted(GOALS), default=list(GOALS))
    given = parser.parse_args()
    val = mednist_items(given.data, "val")
    chosen = {"1,000 per class": None, "20 per class": small_set(given.data)}
    rows: list[Row] = []
    for size in given.sizes:
        items = mednist_items(given.data, "train", chosen[size])
        baseline = nearest(items, val)
        for seed in given.seeds:
            config = SETTINGS[size].model_copy(update={"seed": seed})
            model, minutes, steps = learned(items, config)
            scores = scored(model, val)
            rows.append(
                {
                    "pictures": size,
                    "seed": seed,
                    "accuracy": f"{scores['accuracy']:.4f}",
                    "goal": GOALS[size],
                    "nearest neighbour": f"{baseline:.4f}",
                    "errors / its errors": (1 - scores["accuracy"]) / (1 - baseline),
                    "ROC AUC": f"{scores['roc_auc']:.4f}",
                    "calibration error": scores["calibration_error"],
                    "steps": steps,
                    "minutes": round(minutes, 1),
                }
            )
            print(rows[-1], flush=True)
    report(
        "MedNIST: classes of whole pictures",
        rows,
        "1,200 validation pictures, 200 per class. Plain CNN with 155,000 weights from nothing, on the CPU.",
    )


if __name__ == "__main__":
    main()
