"""Recurrent networks over slices: against 2-D and 3-D networks, after the same minutes.

Two questions on hippocampus MRI (``hippocampus3d`` of the data folder, see CONTRIBUTING):

- ``segment``: a recurrent U-Net, the same network without its recurrence (a slice-wise 2-D U-Net) and the 3-D U-Net that the
  semantic task plans. With ``--thick 3``, slices along the hippocampus are averaged by three, as clinical series often are.
- ``classify``: is the hippocampus small or large? The lower and the upper third of the manually outlined volumes of the training
  split; CNN + RNN over slices (GRU, LSTM) against the plain 3-D CNN.

All sides learn from nothing at the same time, each in a process of its own with one thread, so that all get the same share of
the machine whatever else it does; CPU minutes are reported. Scores are of the validation split.

::

    python benchmarks/sequence.py --data DATA segment --minutes 15 --seeds 0 1
    python benchmarks/sequence.py --data DATA classify --minutes 5
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _report import report
from classify import scored
from learn import cases, dice

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.train import TrainItem, train
from napari_apprentice.models.networks import NETWORKS, FitsSpacing
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec

Row = dict[str, object]
ARMS: dict[str, dict[str, tuple[str, dict[str, Any]] | None]] = {
    "segment": {
        "recurrent U-Net": ("recurrent_unet", {}),
        "the same, slice-wise": ("recurrent_unet", {"recurrent": 0}),
        "3-D U-Net": None,
    },
    "classify": {
        "CNN + GRU": ("cnn_rnn", {}),
        "CNN + LSTM": ("cnn_rnn", {"cell": "lstm"}),
        "3-D CNN": ("cnn", {}),
    },
}
TASK = {"segment": "semantic", "classify": "image_class"}
SIZES = (LabelClass(1, "large"), LabelClass(2, "small"))
SHOWN = ("accuracy", "balanced_accuracy", "roc_auc")
_LENGTH = 1  # of a volume as it is opened (S, P, L): the hippocampus lies along P


def with_thick_slices(item: TrainItem, count: int) -> TrainItem:
    """Average neighbouring slices along the hippocampus; a label is that of the middle one."""
    grid = item.volume.grid.spatial
    keep = grid.shape[_LENGTH] // count
    image = item.volume.numpy().astype(np.float32)[:, : keep * count]
    image = image.reshape(image.shape[0], keep, count, -1).mean(axis=2)
    labels = item.annotation.labels[:, count // 2 : keep * count : count]
    thick = grid.crop((0, 0, 0), (image.shape[0], keep * count, image.shape[2])).with_shape(
        image.shape
    )
    return dataclasses.replace(
        item,
        volume=Volume(image, thick, name=item.name),
        annotation=Annotation(thick, np.ascontiguousarray(labels), item.annotation.classes),
    )


def sizes(items: list[TrainItem]) -> np.ndarray:
    """Volume of each hippocampus in mm³."""
    return np.array([(i.annotation.labels > 0).sum() * i.volume.grid.voxel_size for i in items])


def by_size(items: list[TrainItem], low: float, high: float) -> list[TrainItem]:
    """Items below and above, named; those between are left out."""
    result = []
    for item, size in zip(items, sizes(items), strict=True):
        if low < size < high:
            continue
        kind = "small" if size <= low else "large"
        said = Annotation.of_image(item.volume.grid.spatial, kind, SIZES)
        result.append(dataclasses.replace(item, annotation=said))
    return result


def data_of(kind: str, data: Path, thick: int) -> tuple[list[TrainItem], list[TrainItem]]:
    """What is learned from and what is scored."""
    seen, asked = cases(data, "train"), cases(data, "val")
    if kind == "classify":
        low, high = np.quantile(sizes(seen), (1 / 3, 2 / 3))
        return by_size(seen, low, high), by_size(asked, low, high)
    if thick > 1:
        return [with_thick_slices(i, thick) for i in seen], [
            with_thick_slices(i, thick) for i in asked
        ]
    return seen, asked


def planned(arm: tuple[str, dict[str, Any]] | None, kind: str, seen: list[TrainItem]) -> ModelSpec:
    """The task's plan for these volumes, with the arm's network."""
    task = TASKS[TASK[kind]]
    spec = task.default_spec("benchmark", [i.volume for i in seen], seen[0].annotation.classes)
    if arm is None:
        return spec
    name, args = arm
    network = NETWORKS[name]
    if isinstance(network, FitsSpacing) and spec.spacing is not None:
        args = {**network.args_for(spec.spacing), **args}
    divisor = np.array(network.divisor(ndim=3, args=args))
    tile = tuple(int(t) for t in np.ceil(np.array(spec.tile) / divisor) * divisor)
    return spec.model_copy(update={"network": name, "network_args": args, "tile": tile})


def one_side(kind: str, arm: str, data: Path, minutes: float, seed: int, thick: int) -> Row:
    """Learn and score in this process."""
    torch.set_num_threads(1)
    seen, asked = data_of(kind, data, thick)
    spec = planned(ARMS[kind][arm], kind, seen)
    # The usual 32 whole images per step are few steps where images are volumes.
    batch = 4 if kind == "classify" else None
    config = TrainConfig(
        device="cpu", minutes=minutes, held_out=0, checks=1, seed=seed, batch_size=batch
    )
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            seen, init=spec, task=TASK[kind], config=config, folder=Path(folder), name="benchmark"
        )
        result = run_to_end(job)
    model = Model(result.spec, result.state)
    row: Row = {
        "network": arm,
        "seed": seed,
        "steps": result.steps,
        "CPU minutes": round((time.process_time() - began) / 60, 1),
    }
    if kind == "segment":
        return {**row, "Dice": round(dice(model, asked), 4)}
    scores = scored(model, asked)
    return {**row, **{name: round(scores[name], 3) for name in SHOWN if name in scores}}


def together(given: argparse.Namespace, seed: int) -> list[Row]:
    """All sides at the same time, one process each."""
    command = [
        sys.executable,
        __file__,
        given.kind,
        "--data",
        str(given.data),
        "--seeds",
        str(seed),
    ]
    command += ["--minutes", str(given.minutes), "--thick", str(given.thick)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    sides = [
        subprocess.Popen([*command, "--arm", arm], stdout=subprocess.PIPE, env=environment)
        for arm in ARMS[given.kind]
    ]
    rows = []
    for side in sides:
        out, _ = side.communicate()
        if side.returncode:
            raise RuntimeError(f"a side ended with exit code {side.returncode}")
        rows.append(json.loads(out.splitlines()[-1]))
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Run one question and append the answer to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=sorted(ARMS))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--thick", type=int, default=1, help="slices averaged into one (segment)")
    parser.add_argument("--arm", help="run only this side, and print its row as JSON")
    given = parser.parse_args()
    if given.arm:
        row = one_side(
            given.kind, given.arm, given.data, given.minutes, given.seeds[0], given.thick
        )
        print(json.dumps(row))
        return
    rows = [row for seed in given.seeds for row in together(given, seed)]
    what = "small or large hippocampus" if given.kind == "classify" else "hippocampus"
    thick = f", slices of {given.thick} mm" if given.thick > 1 else ""
    report(
        f"sequence.py: {what}{thick}, {given.minutes:g} minutes from nothing, sides at the same time",
        rows,
        "One thread per side, all sides at once on the same cores; validation split.",
    )


if __name__ == "__main__":
    main()
