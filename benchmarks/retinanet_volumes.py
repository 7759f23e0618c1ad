"""Heat map or anchors in volumes: both kinds of network learn boxes from nothing for the same minutes.

::

    python benchmarks/retinanet_volumes.py --data DATA --minutes 5

- ``organs``: boxes around the anterior and the posterior part of the hippocampus, two classes with one object each per volume
  (``hippocampus3d``, 143 volumes; the 37 of other subjects are scored).
- ``nuclei``: boxes around nuclei (``nuclei3d/ovule_nuclei_1135``). There is one volume: what was learned from one half of it is
  scored on the other, and the other way round. Nuclei that the cut goes through are learned from, and not scored.
- ``made-up``: boxes around nuclei of eight volumes as the sample volume is made (``sample_data/nuclei_volume_phantom.py``), to be
  found in six others of other seeds, about a hundred in each.

Both take the normal path from labels on: nothing differs but the network. The score from which on a box counts is chosen on what
was learned from. ``--network`` and ``--sets`` run a part alone, ``--model`` scores a model that was kept.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import report
from learn import CLASSES, cases
from retinanet import Finder, best_least, finder, learned

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.train import TrainItem
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure._matching import box_iou
from napari_apprentice.measure.detection import (
    Case,
    DetectionScores,
    Ranked,
    rank_boxes,
    score_detections,
)
from napari_apprentice.models.store import ModelStore
from napari_apprentice.tasks import TASKS

_CHOOSING = 24
_MADE_UP, _MADE_UP_SCORED = 8, 6
_NUCLEUS = (LabelClass(1, "nucleus"),)
_CUT = 0.4
"""Where the nuclei are halved along Z: fewest are cut there, and as many lie on either side."""
_OVERLAPS = (0.1, 0.3, 0.5, 0.7)


@dataclass(frozen=True, eq=False)
class Scored:
    """A volume with its boxes, and where they count (None: everywhere)."""

    item: TrainItem
    counts: Any = None

    def case(self, find: Finder) -> Case:
        """What is found in it, beside what there is."""
        truth = self.item.annotation.detections
        assert truth is not None
        return Case(find(self.item.volume), truth, self.item.volume.grid.spacing, self.counts)


@dataclass(frozen=True, eq=False)
class Trial:
    """What is learned from, what is scored, and within how many millimetres or micrometres a middle is right."""

    name: str
    learned: Sequence[Scored]
    scored: Sequence[Scored]
    near: float
    classes: tuple[LabelClass, ...]


# -- data -----------------------------------------------------------------------------------


def boxed(name: str, volume: Volume, labels: Volume, classes: Any, group: str = "") -> TrainItem:
    """The volume with boxes around its objects."""
    task: Any = TASKS["detection"]
    return TrainItem(name, volume, task.places_in(labels, volume.grid.spatial, classes), group)


def organs(data: Path, most: int) -> Iterator[Trial]:
    """Both parts of the hippocampus, to be found in other subjects."""
    sides = []
    for split in ("train", "val"):
        items = []
        for case in cases(data, split)[:most]:
            said = case.annotation
            names = {c.value: c.name for c in CLASSES}
            labels = Volume(said.labels, said.grid, is_labels=True, classes=names)
            items.append(Scored(boxed(case.name, case.volume, labels, CLASSES, case.group)))
        sides.append(items)
    yield Trial("organs", *sides, near=5.0, classes=CLASSES)


def nuclei(data: Path, most: int) -> Iterator[Trial]:
    """One half of the nuclei, to be found by what learned from the other, and the other way round."""
    place = data / "nuclei3d" / "ovule_nuclei_1135"
    volume, labels = (
        opened(place.with_name(f"{place.name}_{kind}.tif"))
        for opened, kind in ((open_volume, "image"), (open_labels, "label"))
    )
    depth = volume.grid.length("Z")
    at = round(_CUT * depth)
    numbers = [set(np.unique(part)) for part in np.split(labels.numpy(), [at])]
    cut = sorted((numbers[0] & numbers[1]) - {0})
    halves = []
    for low, high in ((0, at), (at, depth)):
        grid = volume.grid.crop((low, 0, 0), (high, *volume.grid.shape[1:]))
        part, said = (
            Volume(v.numpy()[low:high], grid, is_labels=v.is_labels) for v in (volume, labels)
        )
        item = boxed(f"from {low}", part, said, _NUCLEUS)
        halves.append(Scored(item, ~np.isin(said.numpy(), cut)))
    for n, half in enumerate(halves):
        yield Trial(f"nuclei, {half.item.name}", [half], [halves[1 - n]], 1.0, _NUCLEUS)


def made_up(data: Path, most: int) -> Iterator[Trial]:
    """Nuclei of our own making, all of one microscope."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "sample_data"))
    from nuclei_volume_phantom import PIXEL_UM, SAMPLE, make_volume

    made = []
    for seed in range(_MADE_UP + _MADE_UP_SCORED):
        image, labels = make_volume(replace(SAMPLE, seed=1000 + seed))
        spacing = (SAMPLE.spacing_z * PIXEL_UM, PIXEL_UM, PIXEL_UM)
        grid = Grid.regular("ZYX", image.shape, spacing, unit="um")
        said = Volume(labels, grid, is_labels=True)
        made.append(Scored(boxed(f"made-up {seed}", Volume(image, grid), said, _NUCLEUS)))
    known, others = made[:_MADE_UP], made[_MADE_UP:]
    yield Trial("made-up", known[:most], others[:most], 1.0, _NUCLEUS)


SETS: dict[str, Callable[[Path, int], Iterator[Trial]]] = {
    "organs": organs,
    "nuclei": nuclei,
    "made-up": made_up,
}

# -- scoring --------------------------------------------------------------------------------


def kept(case: Case, least: float) -> Case:
    """The case without what is doubted more than so."""
    return Case(
        case.found.select(case.found.scores >= least), case.truth, case.spacing, case.counts
    )


def counted(several: Sequence[Case], reach: float | None = None) -> DetectionScores:
    """Counts of all of them."""
    return DetectionScores.pooled(
        score_detections(c.found, c.truth, c.spacing, reach=reach, counts=c.counts) for c in several
    )


def mean_f1(several: Sequence[Case], classes: Sequence[LabelClass], least: float) -> float:
    """F1 within the radius of each object, the mean of the classes."""
    sure = [kept(case, least) for case in several]
    return float(np.nanmean([counted([c.of(k.value) for c in sure]).f1 for k in classes]))


def best_overlap(case: Case) -> list[float]:
    """Of each object that counts, how well the best of the told boxes fits it (IoU)."""
    truth = (
        case.truth if case.counts is None else case.truth.select(case.truth.in_mask(case.counts))
    )
    fits = box_iou(case.found.corners(), truth.corners())
    return [float(column.max(initial=0.0)) for column in fits.T]


def row_of(several: Sequence[Case], least: float, near: float) -> dict[str, object]:
    """Scores of cases of one class."""
    sure = [kept(case, least) for case in several]
    ranked = []
    for case in several:
        sides = (case.found, case.truth)
        inside = [s if case.counts is None else s.select(s.in_mask(case.counts)) for s in sides]
        ranked.append([rank_boxes(*inside, iou) for iou in _OVERLAPS])
    radius = counted(sure)
    return {
        "volumes": len(several),
        "objects": int(radius.found + radius.missed),
        **{
            f"AP{100 * iou:.0f}": Ranked.pooled(each).average_precision()
            for iou, each in zip(_OVERLAPS, zip(*ranked, strict=True), strict=True)
        },
        "mean best IoU": float(np.mean([v for case in sure for v in best_overlap(case)])),
        "F1 radius": radius.f1,
        "F1 near": counted(sure, near).f1,
        "mean distance": radius.distance / max(radius.found, 1),
    }


def rows_of(trial: Trial, find: Finder, facts: dict[str, object]) -> list[dict[str, object]]:
    """A line per class of a trial."""
    step = max(1, len(trial.learned) // _CHOOSING)
    known = [one.case(find) for one in trial.learned[::step]]
    least = best_least(lambda score: mean_f1(known, trial.classes, score))
    began = time.perf_counter()
    told = [one.case(find) for one in trial.scored]
    seconds = (time.perf_counter() - began) / len(told)
    facts = {"set": trial.name, **facts, "least score": least}
    return [
        facts
        | {"class": c.name}
        | row_of([case.of(c.value) for case in told], least, trial.near)
        | {"s per volume": seconds}
        for c in trial.classes
    ]


def taught(trial: Trial, network: str, given: argparse.Namespace) -> list[dict[str, object]]:
    """Rows of a network that has learned for so long."""
    config = TrainConfig(
        device="cpu",
        minutes=given.minutes,
        held_out=0,
        checks=1,
        network=network,
        seed=given.seed,
    )
    began = time.process_time()
    keep = (
        given.keep and given.keep / f"{trial.name.replace(', ', '-').replace(' ', '-')}-{network}"
    )
    find, result = learned([one.item for one in trial.learned], None, config, keep)
    facts: dict[str, object] = {
        "network": network,
        "weights": sum(v.numel() for v in result.state.values()),
        "steps": result.steps,
        "CPU minutes": round((time.process_time() - began) / 60, 1),
    }
    return rows_of(trial, find, facts)


def main() -> None:
    """Teach both on each set, mark both and append the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--network", nargs="*", default=["unet", "retinanet"])
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--model", help="a kept model to score on what is scored of the sets")
    parser.add_argument("--most", type=int, default=10_000, help="volumes of each split, for a try")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    trials = (trial for name in given.sets for trial in SETS[name](given.data, given.most))
    rows: list[dict[str, object]] = []
    for trial in trials:
        if given.model:
            rows += rows_of(trial, finder(ModelStore().load(given.model)), {"network": given.model})
            continue
        for network in given.network:
            rows += taught(trial, network, given)
            print(rows[-len(trial.classes) :], flush=True)
    report(
        f"Boxes in volumes from nothing: heat map (unet) against RetinaNet, {given.minutes:g} minutes each",
        rows,
        f"`retinanet_volumes.py`, {given.threads} thread, seed {given.seed}. AP is of all boxes down to a score of 0.05, the rest from the least score on, which was "
        "chosen on what was learned from. “near”: middles within 5 mm (organs) or 1 µm (nuclei, made-up); distances in these units.",
    )


if __name__ == "__main__":
    main()
