"""How well objects are classed from a few clicks: F1 from 5, 10 and 20 objects per class, and how long a round takes.

::

    python benchmarks/object_class.py --data DATA                # the real images
    python benchmarks/object_class.py --many                     # 20,000 objects: seconds and memory

No set at hand has classes of cells that a person gave. These are real images with classes that are known for certain:

- *experiment*: from which of three fluorescence experiments a nucleus is (pictures of 256 × 256, 360 × 360 and 520 × 696);
- *stain*: whether a nucleus is from one or the other kind of stained tissue (purple on purple, purple on white);
- *blurred*: nuclei of one experiment, of which every second was blurred here (Gaussian of 2 pixels): focus alone tells;
- *hippocampus*: whether a piece in an MR volume is the anterior or the posterior part (3-D).

Clicked objects are drawn from the training split, scored are those of the validation split: other fields, other people. A round is what the button does
(`session.classing`). Beside it, on the same objects: everything that *Measure* computes (texture, too), brought to mean 0 and
deviation 1, with logistic regression and with the three nearest neighbours. Where an object lies is left out: in *experiment* that tells how large the picture
is, and so the class; the column "with position" has it.
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _report import report
from scipy import ndimage

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.classify_objects import classify_objects
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.classification import classification_scores
from napari_apprentice.measure.feature_config import FeatureConfig
from napari_apprentice.measure.features import measure_objects
from napari_apprentice.models.store import Model
from napari_apprentice.session import classing

PER_CLASS = (5, 10, 20)
_IMAGES = {"train": 8, "val": 5}
_MOST = 20
_NOT_LOOK = ("centroid", "touches", "label", "nearest", "neighbours")
_POSITION = "box start"


@dataclass(frozen=True, eq=False)
class Field:
    """One image, its objects, the class of some of them, and their features in the order of the classes."""

    volume: Volume
    labels: np.ndarray
    kinds: dict[int, int]
    features: np.ndarray
    position: np.ndarray


def field(
    volume: Volume, labels: np.ndarray, kinds: dict[int, int], rng: np.random.Generator
) -> Field:
    """Keep some objects at random, and measure them."""
    chosen = sorted(rng.permutation(sorted(kinds))[:_MOST].tolist())
    kept = np.where(np.isin(labels, chosen), labels, 0).astype(np.int32)
    spatial = volume.grid.without("C").spatial
    table = run_to_end(
        measure_objects(Volume(kept, spatial), volume, FeatureConfig(texture=True))
    ).table
    rows = table.set_index("label").loc[chosen]
    looks = [c for c in rows if not c.startswith((*_NOT_LOOK, _POSITION))]
    place = [c for c in rows if c.startswith(_POSITION)]
    parts = (rows[names].to_numpy(float) for names in (looks, place))
    return Field(volume, labels, {n: kinds[n] for n in chosen}, *parts)


def nuclei(
    data: Path, split: str, wanted: Callable[[dict[str, str]], int | None]
) -> Iterator[tuple[int, Volume, np.ndarray]]:
    """Images of a split with the class that their row of the manifest has; as many of each class."""
    with (data / "nuclei2d" / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    groups: dict[int, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        kind = wanted(row)
        if kind is not None:
            groups[kind].append(row)
    for kind, members in sorted(groups.items()):
        for i in np.random.default_rng(kind).permutation(len(members))[: _IMAGES[split]]:
            volume = open_volume(data / "nuclei2d" / members[i]["image"])
            labels = open_labels(data / "nuclei2d" / members[i]["label"]).numpy()
            yield kind, volume, labels.astype(np.int32)


def _size(row: dict[str, str]) -> str:
    return f"{row['height']}x{row['width']}" if row["modality"].startswith("fluo") else ""


def experiment(data: Path, split: str, rng: np.random.Generator) -> Iterator[Field]:
    """Which of three experiments."""
    sizes = {"256x256": 1, "360x360": 2, "520x696": 3}
    for kind, volume, labels in nuclei(data, split, lambda row: sizes.get(_size(row))):
        yield field(
            grey(volume), labels, dict.fromkeys(np.unique(labels[labels > 0]).tolist(), kind), rng
        )


def stain(data: Path, split: str, rng: np.random.Generator) -> Iterator[Field]:
    """Which kind of stained tissue."""
    names = {"purple_on_purple": 1, "purple_on_white": 2}
    for kind, volume, labels in nuclei(data, split, lambda row: names.get(row["modality"])):
        yield field(
            volume, labels, dict.fromkeys(np.unique(labels[labels > 0]).tolist(), kind), rng
        )


def blurred(data: Path, split: str, rng: np.random.Generator) -> Iterator[Field]:
    """Every second nucleus out of focus, with a rim of three pixels."""
    for _, volume, labels in nuclei(
        data, split, lambda row: 1 if _size(row) == "520x696" else None
    ):
        image = grey(volume)
        numbers = np.unique(labels[labels > 0])
        chosen = numbers[rng.random(len(numbers)) < 0.5]
        near = ndimage.distance_transform_edt(~np.isin(labels, chosen)) <= 3
        near &= np.isin(labels, [0, *chosen])
        soft = np.where(
            near, ndimage.gaussian_filter(image.numpy().astype(np.float32), 2), image.numpy()
        )
        kinds = {int(n): 1 + int(n in chosen) for n in numbers}
        yield field(Volume(soft.astype(np.float32), image.grid), labels, kinds, rng)


def hippocampus(data: Path, split: str, rng: np.random.Generator) -> Iterator[Field]:
    """Anterior or posterior."""
    folder = data / "hippocampus3d"
    with (folder / "splits.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    count = 24 if split == "train" else 20
    for i in np.random.default_rng(0).permutation(len(rows))[:count]:
        name = Path(next(v for v in rows[i].values() if v.startswith("hippocampus"))).name
        name = name.removesuffix(".nii.gz") + ".nii.gz"
        labels = open_labels(folder / "labelsTr" / name).numpy().astype(np.int32)
        volume = open_volume(folder / "imagesTr" / name)
        yield field(volume, labels, {1: 1, 2: 2}, rng)


def grey(volume: Volume) -> Volume:
    """One channel of a grey picture that is stored as colours."""
    return volume.select((0,)) if volume.grid.length("C") > 1 else volume


SETS = {"experiment": experiment, "stain": stain, "blurred": blurred, "hippocampus": hippocampus}


def clicked(fields: list[Field], count: int, seed: int) -> list[dict[int, int]]:
    """So many objects of each class, over all images."""
    rng = np.random.default_rng(seed)
    by_class: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at, one in enumerate(fields):
        for number, kind in one.kinds.items():
            by_class[kind].append((at, number))
    chosen: list[dict[int, int]] = [{} for _ in fields]
    for kind, members in by_class.items():
        for i in rng.permutation(len(members))[:count]:
            at, number = members[i]
            chosen[at][number] = kind
    return chosen


def taught(fields: list[Field], told: list[dict[int, int]], seed: int) -> Model:
    """One round from nothing, as the button teaches."""
    kinds = sorted({kind for one in told for kind in one.values()})
    classes = tuple(LabelClass(kind, f"class {kind}") for kind in kinds)
    items = [
        TrainItem(
            str(n),
            one.volume,
            Annotation(
                one.volume.grid.without("C").spatial, one.labels, classes, object_classes=said
            ),
        )
        for n, (one, said) in enumerate(zip(fields, told, strict=True))
        if said
    ]
    config = classing.round_config(told={}, goes_on=False).model_copy(
        update={"seed": seed, "device": "cpu"}
    )
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            items, init=None, config=config, folder=Path(folder), task="object_class", name="m"
        )
        result = run_to_end(job)
    return Model(result.spec, result.state)


def asked(fields: list[Field], model: Model) -> np.ndarray:
    """The classes that the network says, in the order of the features."""
    found = []
    for one in fields:
        job = classify_objects(
            one.volume, one.labels, model, PredictConfig(device="cpu"), numbers=sorted(one.kinds)
        )
        found.append(run_to_end(job).objects["class"])
    return np.concatenate(found)


def by_features(seen: np.ndarray, kinds: np.ndarray, new: np.ndarray) -> dict[str, np.ndarray]:
    """Classes by logistic regression and by the three nearest neighbours."""
    mean, spread = np.nanmean(seen, 0), np.nanstd(seen, 0) + 1e-9
    one, other = (np.clip(np.nan_to_num((x - mean) / spread), -5, 5) for x in (seen, new))
    values, position = np.unique(kinds, return_inverse=True)
    near = np.argsort(((other[:, None] - one[None]) ** 2).sum(-1), axis=1)[:, :3]
    votes = [np.bincount(position[row], minlength=len(values)).argmax() for row in near]
    x, y = torch.tensor(one), torch.tensor(position)
    weights = torch.zeros(x.shape[1], len(values), dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(len(values), dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (
            torch.nn.functional.cross_entropy(x @ weights + bias, y) + 0.025 * (weights**2).sum()
        )
        value.backward()
        return value

    optimizer.step(loss)
    logits = (torch.tensor(other) @ weights + bias).detach().numpy()
    return {"features, logistic": values[logits.argmax(1)], "features, 3 neighbours": values[votes]}


def f1(said: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes."""
    return float(np.nanmean(classification_scores(said, truth, sorted(set(truth.tolist()))).f1))


def rows_of(name: str, data: Path, seeds: int) -> Iterator[dict[str, object]]:
    """F1 on the validation split, for each number of clicked objects."""
    rng = np.random.default_rng(0)
    learned, checked = (list(SETS[name](data, split, rng)) for split in ("train", "val"))
    truth = np.concatenate([[one.kinds[n] for n in sorted(one.kinds)] for one in checked])
    new, where = (
        np.concatenate([getattr(one, part) for one in checked]) for part in ("features", "position")
    )
    for count in PER_CLASS:
        found: dict[str, list[float]] = defaultdict(list)
        for seed in range(seeds):
            told = clicked(learned, count, seed)
            began = time.process_time()
            model = taught(learned, told, seed)
            found["CPU s to learn"].append(time.process_time() - began)
            began = time.process_time()
            found["ours"].append(f1(asked(checked, model), truth))
            found["CPU s to ask"].append(time.process_time() - began)
            rows, places, kinds = [], [], []
            for one, said in zip(learned, told, strict=True):
                chosen = [sorted(one.kinds).index(n) for n in sorted(said)]
                rows.append(one.features[chosen])
                places.append(one.position[chosen])
                kinds += [said[n] for n in sorted(said)]
            seen, at = np.concatenate(rows), np.concatenate(places)
            for side, answer in by_features(seen, np.array(kinds), new).items():
                found[side].append(f1(answer, truth))
            both = by_features(np.hstack([seen, at]), np.array(kinds), np.hstack([new, where]))
            found["with position"].append(f1(both["features, logistic"], truth))
        sides = (
            "ours",
            "features, logistic",
            "with position",
            "features, 3 neighbours",
            "CPU s to learn",
            "CPU s to ask",
        )
        means = {side: float(np.mean(found[side])) for side in sides}
        row = {"objects": name, "per class": count, "scored": len(truth), **means}
        print(row, flush=True)
        yield row


def many() -> list[dict[str, object]]:
    """20,000 objects in 4096 × 4096."""
    rng = np.random.default_rng(0)
    labels = np.zeros((4096, 4096), np.int32)
    side = 28
    for n in range(20_000):
        y, x = side * (n // 146) + 4, side * (n % 146) + 2
        labels[y : y + 18 + n % 5, x : x + 22] = n + 1
    image = (
        rng.normal(0, 10, labels.shape).astype(np.float32) + 100 * (labels > 0) + 40 * (labels % 2)
    )
    grid = Grid.regular("YX", labels.shape, (0.3, 0.3), unit="um")
    classes = (LabelClass(1, "even"), LabelClass(2, "odd"))
    told = {n: 1 + n % 2 for n in range(1, 41)}
    volume = Volume(image, grid)
    said = Annotation(grid, labels, classes, object_classes=told)
    rows: list[dict[str, object]] = []
    start = None
    for name in ("first round", "next round"):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wall, cpu = time.perf_counter(), time.process_time()
        found = run_to_end(classing.classing_job(volume, said, start, "m"))
        start = found.model
        columns = found.prediction.objects
        right = float((columns["class"] == 1 + columns["label"] % 2).mean())
        rows.append(
            {
                "20,000 objects in 4096²": name,
                "seconds": time.perf_counter() - wall,
                "CPU seconds": time.process_time() - cpu,
                "accuracy": right,
                "peak memory + MB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
                / 1024,
            }
        )
    return rows


def main() -> None:
    """Print and append the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--many", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.many:
        report("Classing 20,000 objects", many(), "One thread; 40 objects were classed by hand.")
    if given.data is not None:
        rows = [row for name in given.sets for row in rows_of(name, given.data, given.seeds)]
        note = f"Mean F1 over the classes on the validation split, mean of {given.seeds} draws of the clicked objects; one thread."
        report("Classing objects from a few clicks", rows, note)


if __name__ == "__main__":
    main()
