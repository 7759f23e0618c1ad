"""How like real images made-up ones become, and whether a classifier gains from them.

``distance`` teaches a network two or more kinds of MedNIST pictures and follows the distance of its images to held-out real
ones, from the first epoch to the end; beside it the distance of as many real training pictures, which nothing can pass.
``classify`` teaches a network the 20 pictures per class of ``folders/``, makes more of each class, and teaches a classifier
with and without them, for the same minutes (or the same number of steps); both are scored on the validation split.

::

    python benchmarks/synthesis.py distance --data DATA
    python benchmarks/synthesis.py classify --data DATA --seeds 0 1 2 --minutes 2
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import report
from classify import scored

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from _mednist import CLASSES, mednist_items, small_set

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Metric, Progress, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.contest import parts_of
from napari_apprentice.engine.contest_check import PictureChecker
from napari_apprentice.engine.images import prepare_images
from napari_apprentice.engine.made import latent_of, made_images
from napari_apprentice.engine.train import TrainItem, TrainResult, train
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

Row = dict[str, object]
TASK = TASKS["synthesis"]
_BATCH = 16


def distance(data: Path, kinds: Sequence[str], steps: int, seed: int) -> list[Row]:
    """Learn, and follow the distance to the pictures that were held out."""
    items = _only(mednist_items(data, "train"), kinds)
    per_epoch = round(0.8 * len(items) / _BATCH)
    config = TrainConfig(device="cpu", steps=steps, checks=max(1, steps // per_epoch), seed=seed)
    curve: list[Metric] = []

    def listen(event: Event) -> None:
        if isinstance(event, Metric) and event.name != "loss":
            curve.append(event)
            print(f"step {event.step}: {event.value:.2f}, {event.seconds:.0f} s", flush=True)

    result = _learned(items, config, listen)
    end = result.after[TASK.primary]
    real = _real_distance(result)
    return [
        {
            "kinds": ", ".join(kinds),
            "seed": seed,
            "first epoch": curve[0].value,
            "end": end,
            "first epoch / end": curve[0].value / end,
            "goal": 10,
            "real pictures": real,
            "variety": result.after["variety"],
            "steps": result.steps,
            "minutes": round(result.seconds / 60, 1),
        }
    ]


def _learned(items: Sequence[TrainItem], config: TrainConfig, listen: Any = None) -> TrainResult:
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            items,
            init=None,
            config=config,
            folder=Path(folder),
            task="synthesis",
            name="mednist pictures",
        )
        return run_to_end(job, listen)


def _real_distance(result: TrainResult) -> float:
    """Distance of real pictures that were learned from to those that were held out."""
    arrays, _ = run_to_end(prepare_images(result.split.held_out, TASK, result.spec, parts_of))
    judge: Any = TASK
    checker = PictureChecker(arrays, TASK, judge, result.spec, is_held_out=True)
    learned, _ = run_to_end(prepare_images(result.split.train, TASK, result.spec, parts_of))
    by_kind = [np.stack([a.data for a in learned if a.target == k]) for k in range(2 * len(CLASSES))
               if any(a.target == k for a in learned)]  # fmt: skip
    turn = iter(range(10**9))

    class Real(torch.nn.Module):
        latent = 1

        def make(self, latent: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
            chosen = [by_kind[int(k)][next(turn) % len(by_kind[int(k)])] for k in kinds]
            return torch.from_numpy(np.stack(chosen))

    return run_to_end(checker.run(Real(), "cpu")).scores[TASK.primary]


def _only(items: Sequence[TrainItem], kinds: Sequence[str]) -> list[TrainItem]:
    """Pictures of some kinds, which are all the kinds there are."""
    classes = tuple(LabelClass(n, name) for n, name in enumerate(kinds, start=1))
    return [
        replace(i, annotation=Annotation.of_image(i.volume.grid, i.annotation.image_class, classes))
        for i in items
        if i.annotation.image_class in kinds
    ]


def classify(
    data: Path, seeds: Sequence[int], steps: int, taught: TrainConfig, count: int
) -> list[Row]:
    """Accuracy of a classifier from 20 pictures per class, with and without made-up ones."""
    real = mednist_items(data, "train", small_set(data))
    val = mednist_items(data, "val")
    result = _learned(
        real, TrainConfig(device="cpu", steps=steps, held_out=0, checks=4, augment="strong")
    )
    print(f"made-up images: {result.after}, {result.seconds / 60:.1f} minutes", flush=True)
    made = _made(Model(result.spec, result.state), count)
    rows: list[Row] = []
    for seed in seeds:
        config = taught.model_copy(update={"seed": seed})
        for side, items in (("without", real), ("with", [*real, *made])):
            learned = _classifier(items, config)
            scores = scored(Model(learned.spec, learned.state), val)
            rows.append(
                {
                    "made-up pictures": side,
                    "seed": seed,
                    "pictures": len(items),
                    "accuracy": f"{scores['accuracy']:.4f}",
                    "log loss": scores["log_loss"],
                    "ROC AUC": f"{scores['roc_auc']:.4f}",
                    "steps": learned.steps,
                    "minutes": round(learned.seconds / 60, 2),
                }
            )
            print(rows[-1], flush=True)
    for side in ("without", "with"):
        own = [float(str(r["accuracy"])) for r in rows if r["made-up pictures"] == side]
        mean = {"made-up pictures": side, "seed": "mean", "accuracy": f"{np.mean(own):.4f}"}
        rows.append({**mean, "pictures": ""})
    return rows


def _classifier(items: Sequence[TrainItem], config: TrainConfig) -> TrainResult:
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            items, init=None, config=config, folder=Path(folder), task="image_class", name="mednist"
        )
        return run_to_end(job)


def _made(model: Model, count: int) -> list[TrainItem]:
    network, items = model.build(), []
    for position, kind in enumerate(model.spec.classes):
        latent = np.stack([latent_of(network, seed) for seed in range(count)])
        kinds = np.full(count, position)
        images = run_to_end(made_images(network, latent, kinds, "cpu", Progress("making")))
        for number, image in enumerate(images):
            grid = Grid.regular("YX", image.shape[1:])
            answer = TASK.decode(image, grid, model.spec)
            assert answer.image is not None
            volume = Volume(answer.image, grid, metadata={"synthetic": model.spec.name})
            said = Annotation.of_image(grid, kind.name, CLASSES)
            items.append(TrainItem(f"{kind.name} {number}", volume, said))
    return items


def main() -> None:
    """Learn, measure and append to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("distance", "classify"))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--kinds", nargs="+", default=["Hand", "HeadCT"])
    parser.add_argument("--steps", type=int, help="of the network that makes images up")
    parser.add_argument("--minutes", type=float, default=2, help="of each classifier")
    parser.add_argument("--taught", type=int, help="steps of each classifier instead")
    parser.add_argument("--count", type=int, default=80, help="made-up pictures per class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "distance":
        steps = given.steps or 3000
        rows = [r for s in given.seeds for r in distance(given.data, given.kinds, steps, s)]
        note = (
            "Fréchet distance (with the kind as further columns) in the features of the starter `modality`, to a fifth of "
            "1,000 pictures per kind, held out; an epoch shows the other four fifths once. “real pictures”: the same "
            "distance of as many pictures that were learned from. One thread."
        )
        report("Made-up pictures: distance to real ones", rows, note)
        return
    steps = given.steps or 1500
    length = {"steps": given.taught} if given.taught else {"minutes": given.minutes}
    taught = TrainConfig(device="cpu", held_out=0, checks=1, **length)
    rows = classify(given.data, given.seeds, steps, taught, given.count)
    note = (
        f"20 real pictures per class (`folders/`); {given.count} made-up ones per class by a network that learned from the same "
        f"120 pictures for {steps} steps. Every side was taught for the same {'number of steps' if given.taught else 'minutes'}; "
        "1,200 validation pictures. One thread."
    )
    report("A classifier with and without made-up pictures", rows, note)


if __name__ == "__main__":
    main()
