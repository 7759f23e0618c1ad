"""How fast it learns: Dice against minutes from nothing, and Dice against corrections.

Four questions on hippocampus MRI (``hippocampus3d`` of the data folder, see CONTRIBUTING):

- ``nothing``: from nothing in a few minutes on the CPU, over seeds. Nothing is chosen on the validation split: the network is the
  one that the semantic task plans, the best check is taken on training subjects that were held out.
- ``volumes``: start from the shipped model at another site (contrast, field and slice thickness changed), correct 1, 2, 4, 8 volumes.
- ``slices``: the same with 8 volumes of which only 1, 2 or 4 slices each are corrected, evenly spread; the rest of a volume is ignored.
- ``doubtful``: the same with the slices that *Doubtful* of the Correct dock leads to.

::

    python benchmarks/learn.py --data DATA nothing --minutes 5 --seeds 0 1 2
    python benchmarks/learn.py --data DATA volumes slices --steps 150
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from _report import report
from scipy.ndimage import gaussian_filter, zoom

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.jobs import Event, Metric, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, TrainResult, train
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.overlap import overlap_scores
from napari_apprentice.models.store import Model, ModelStore
from napari_apprentice.session.navigate import next_doubtful_slice

CLASSES = (LabelClass(1, "anterior"), LabelClass(2, "posterior"))
Row = dict[str, object]


# -- data -----------------------------------------------------------------------------------


def cases(data: Path, split: str) -> list[TrainItem]:
    """One split of the hippocampus set; both sides of a subject are one group."""
    folder = data / "hippocampus3d"
    with (folder / "splits.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == split]
    rows.sort(key=lambda r: int(r["train_order"] or 0) if split == "train" else 0)
    items = []
    for row in rows:
        volume = open_volume(folder / "imagesTr" / f"{row['case']}.nii.gz")
        labels = open_labels(folder / "labelsTr" / f"{row['case']}.nii.gz").numpy()
        annotation = Annotation(volume.grid.spatial, labels, CLASSES)
        items.append(TrainItem(row["case"], volume, annotation, row["subject"]))
    return items


def at_another_site(item: TrainItem) -> TrainItem:
    """The same subject on another scanner: other contrast, an uneven field, more noise, slices of 1.6 mm."""
    rng = np.random.default_rng(int(item.name.split("_")[-1]))
    image = item.volume.numpy().astype(np.float32)
    low, high = np.percentile(image, (0.5, 99.5))
    image = np.clip((image - low) / (high - low), 0, 1) ** 2.2
    field = gaussian_filter(rng.normal(size=image.shape), 14)
    image *= np.exp(0.5 * field / np.abs(field).max())
    image += rng.normal(0, 0.05, image.shape)
    thick = (round(image.shape[0] / 1.6), *image.shape[1:])
    factors = [a / b for a, b in zip(thick, image.shape, strict=True)]
    image = zoom(
        gaussian_filter(image, (0.6, 0, 0)), factors, order=1, grid_mode=True, mode="nearest"
    )
    labels = zoom(item.annotation.labels, factors, order=0, grid_mode=True, mode="nearest")
    grid = item.volume.grid.spatial.with_shape(image.shape)
    return dataclasses.replace(
        item,
        volume=Volume((image * 800).astype(np.float32), grid, name=item.name),
        annotation=Annotation(grid, labels, CLASSES),
    )


def only_slices(item: TrainItem, count: int) -> TrainItem:
    """The same item with `count` finished coronal slices, spread over the labelled length."""
    used = np.flatnonzero((item.annotation.labels != 0).any(axis=(0, 2)))
    return _finished(item, used[np.linspace(0, len(used) - 1, count + 2).astype(int)[1:-1]])


def doubtful_slices(item: TrainItem, count: int, start: Model) -> TrainItem:
    """The same item with the `count` finished coronal slices that the start is least sure of, as the dock leads to them."""
    doubts = run_to_end(predict(item.volume, start, PredictConfig(device="cpu"))).slice_doubts[1]
    chosen: list[int] = []
    while len(chosen) < count and (found := next_doubtful_slice(doubts, chosen)) is not None:
        chosen.append(found)
    return _finished(item, chosen)


def _finished(item: TrainItem, slices: Iterable[int]) -> TrainItem:
    extent = Extent(slices=tuple((1, int(y)) for y in sorted(slices)))
    return dataclasses.replace(item, annotation=dataclasses.replace(item.annotation, extent=extent))


# -- learning and scoring -------------------------------------------------------------------


def dice(model: Model, items: Sequence[TrainItem]) -> float:
    """Mean Dice over classes and cases, each on its own grid."""
    values = []
    for item in items:
        prediction = run_to_end(predict(item.volume, model, PredictConfig(device="cpu")))
        assert prediction.labels is not None
        scores = overlap_scores(
            prediction.labels, item.annotation.labels, [c.value for c in CLASSES]
        )
        values.append(np.nanmean(scores.dice))
    return float(np.mean(values))


def learned(
    items: Sequence[TrainItem],
    init: Model | None,
    config: TrainConfig,
    listen: Callable[[Event], None] = lambda _: None,
) -> TrainResult:
    """Train in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        job = train(items, init=init, config=config, folder=Path(folder), name="benchmark")
        return run_to_end(job, listen)


def from_nothing(data: Path, minutes: float, seeds: Sequence[int]) -> list[Row]:
    """Dice on the validation split after some minutes, and the curve on held-out training subjects."""
    train_items, val = cases(data, "train"), cases(data, "val")
    rows: list[Row] = []
    for seed in seeds:
        curve: list[Metric] = []

        def keep(event: Event, curve: list[Metric] = curve) -> None:
            if isinstance(event, Metric) and event.name == "held-out dice":
                curve.append(event)

        config = TrainConfig(device="cpu", minutes=minutes, seed=seed, held_out=0.06)
        result = learned(train_items, None, config, keep)
        rows.append(
            {
                "seed": seed,
                "minutes": round(result.seconds / 60, 2),
                "steps": result.steps,
                "validation Dice": round(dice(Model(result.spec, result.state, None), val), 4),
                "held-out Dice on the way": " ".join(
                    f"{m.seconds / 60:.1f}min:{m.value:.3f}" for m in curve
                ),
            }
        )
        print(rows[-1], flush=True)
    return rows


def from_corrections(
    data: Path, kinds: Sequence[str], steps: int, draws: int, most: int | None
) -> list[Row]:
    """Dice on the validation split of the other site against corrected volumes and slices.

    Which volumes are corrected matters as much as how many: each draw corrects eight others.
    """
    pools = [at_another_site(i) for i in cases(data, "train")[: 8 * draws]]
    val = [at_another_site(i) for i in cases(data, "val")[:most]]
    start = ModelStore().load("hippocampus-mri")
    rows: list[Row] = [{"corrected": "nothing", "Dice": round(dice(start, val), 4)}]
    print(rows[-1], flush=True)
    plans: dict[str, Callable[[list[TrainItem]], list[TrainItem]]] = {}
    if "volumes" in kinds:
        plans |= {f"{n} whole volumes": lambda pool, n=n: pool[:n] for n in (1, 2, 4, 8)}  # type: ignore[misc]
    if "slices" in kinds:
        plans |= {
            f"{n} slices in each of 8 volumes": lambda pool, n=n: [only_slices(i, n) for i in pool]  # type: ignore[misc]
            for n in (1, 2, 4)
        }
    if "doubtful" in kinds:
        plans |= {
            f"{n} doubtful slices in each of 8 volumes": lambda pool, n=n: [  # type: ignore[misc]
                doubtful_slices(i, n, start) for i in pool
            ]
            for n in (1, 2, 4)
        }
    for title, choose in plans.items():
        scores = [
            corrected(choose(pools[8 * d : 8 * d + 8]), start, val, steps) for d in range(draws)
        ]
        each = " ".join(f"{score:.4f}" for score in scores)
        rows.append({"corrected": title, "Dice": round(float(np.mean(scores)), 4), "draws": each})
        print(rows[-1], flush=True)
    return rows


def corrected(items: list[TrainItem], start: Model, val: list[TrainItem], steps: int) -> float:
    """Learn from these corrections, from the start, and score what was learned."""
    config = TrainConfig(device="cpu", steps=steps, held_out=0, checks=1)
    result = learned(items, start, config)
    return dice(Model(result.spec, result.state, None), val)


def main() -> None:
    """Run the chosen questions and append the answers to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kinds", nargs="+", choices=["nothing", "volumes", "slices", "doubtful"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--draws", type=int, default=3, help="choices of the corrected volumes")
    parser.add_argument("--most", type=int, default=None, help="validation cases to score")
    given = parser.parse_args()
    if "nothing" in given.kinds:
        rows = from_nothing(given.data, given.minutes, given.seeds)
        mean = np.mean([float(str(r["validation Dice"])) for r in rows])
        note = f"Mean over {len(rows)} seeds: {mean:.4f}. Dice of both classes, other subjects than learned from."
        report(f"Hippocampus from nothing in {given.minutes:g} minutes", rows, note)
    kinds = [k for k in given.kinds if k != "nothing"]
    if kinds:
        rows = from_corrections(given.data, kinds, given.steps, given.draws, given.most)
        note = f"Simulated other site (contrast, uneven field, noise, 1.6 mm slices); validation subjects; {given.steps} steps."
        report("Hippocampus: Dice against corrections", rows, note)


if __name__ == "__main__":
    main()
