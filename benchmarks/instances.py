"""Numbered objects: how well, from how few images, how fast and in how much memory.

::

    python benchmarks/instances.py val --data DATA              # the starter on the validation split, by modality
    python benchmarks/instances.py cross --data DATA --folds 3 --minutes 10   # trained from nothing, by field
    python benchmarks/instances.py curve --data DATA --sizes 10 40 160 --minutes 5
    python benchmarks/instances.py volumes --data DATA          # in volumes, against planes joined and a watershed
    python benchmarks/instances.py time --sizes 2048 4096       # mosaics of the sample images

``--data`` is the folder that holds ``nuclei2d`` and ``nuclei3d``. Fields (``mosaic_group``) are never divided between learning and
scoring. AP is TP / (TP + FP + FN) over all objects of a group of images taken together.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _process import status, training_counts
from _report import report
from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, TrainResult, train
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.diameter import equivalent_diameter
from napari_apprentice.measure.instances import InstanceScores, score_instances
from napari_apprentice.measure.pairs import object_sizes
from napari_apprentice.models.store import Model, ModelStore, save_model
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec

_CLOCK = "whose minutes count while it learns: the processor's on a machine that others use, too"
NAMES = ("ap50", "ap75", "ap", "f1_50", "pq", "truth_count", "count", "splits", "merges")
SAMPLES = Path(__file__).parents[1] / "sample_data" / "nuclei" / "images"


@dataclass(frozen=True)
class Field:
    """One image of the nuclei set."""

    item: TrainItem
    modality: str
    order: int

    @property
    def groups(self) -> tuple[str, ...]:
        """What its scores count for."""
        family = "fluorescence" if self.modality.startswith("fluo") else "stained and brightfield"
        return (self.modality, f"all {family}")


Find = Callable[[Field], "NDArray[Any]"]
"""Numbered objects of an image."""


def fields(data: Path, splits: Iterable[str]) -> list[Field]:
    """Open the images of some splits."""
    folder = data / "nuclei2d"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in set(splits)]
    found = []
    for row in rows:
        labels = open_labels(folder / row["label"])
        annotation = Annotation(labels.grid, labels.numpy(), ())
        image = open_volume(folder / row["image"])
        item = TrainItem(row["id"], image, annotation, row["mosaic_group"])
        found.append(Field(item, row["modality"], int(row["train_order"] or 0)))
    return found


# -- how well -----------------------------------------------------------------------------


def true_diameter(field: Field) -> float | None:
    """Median diameter of an image's objects in pixels; None where there are none."""
    _, sizes = object_sizes(field.item.annotation.labels)
    return float(np.median(equivalent_diameter(sizes, 2))) if len(sizes) else None


def finder(model: Model, *, given: bool = False, mirror: bool = False) -> Find:
    """How a model numbers the objects of an image; with `given`, the true diameter is handed to it."""

    def find(field: Field) -> NDArray[Any]:
        config = PredictConfig(diameter=true_diameter(field) if given else None, mirror=mirror)
        labels = run_to_end(predict(field.item.volume, model, config)).labels
        assert labels is not None
        return labels

    return find


def scored(find: Find, held_out: Iterable[Field]) -> dict[str, list[Any]]:
    """Scores of each image by group of images."""
    found: dict[str, list[Any]] = defaultdict(list)
    for field in held_out:
        scores = score_instances(find(field), field.item.annotation.labels)
        for group in field.groups:
            found[group].append(scores)
    return found


def rows_of(
    found: dict[str, list[Any]], names: Sequence[str] = NAMES, **more: object
) -> list[dict[str, object]]:
    """A line per group of images."""
    rows = []
    for group in sorted(found, key=lambda name: (name.startswith("all"), name)):
        pooled = InstanceScores.pooled(found[group]).to_dict()
        numbers = {n: int(pooled[n]) if float(pooled[n]).is_integer() else pooled[n] for n in names}
        rows.append({**more, "images": group, "n": len(found[group]), **numbers})
    return rows


def learned(
    items: Sequence[TrainItem], spec: ModelSpec, minutes: float, clock: str = "wall"
) -> TrainResult:
    """A model of the starter's kind, from nothing."""
    config = TrainConfig(
        minutes=minutes, held_out=0, ema=0.99, checks=2, augment="strong", batch_size=4
    )
    with tempfile.TemporaryDirectory() as folder, training_counts(clock):
        job = train(items, init=spec, config=config, folder=Path(folder), task="instance")
        return run_to_end(job)


def validate(given: argparse.Namespace) -> None:
    """A model on the validation split, with the size it finds and on request with the true one."""
    model = ModelStore().load(given.model)
    held_out = fields(given.data, ["val"])
    rows = []
    for knows, mirror in itertools.product(also(given.sized), also(given.mirror)):
        found = scored(finder(model, given=knows, mirror=mirror), held_out)
        rows += rows_of(found, diameter="given" if knows else "found", mirrored=mirror)
    report(
        f"Nuclei: {model.spec.name} on the validation split",
        rows,
        "`instances.py val`. Other fields than learned from; nothing was chosen by these images.",
    )


def cross(given: argparse.Namespace) -> None:
    """Train on all fields but a fold's, score on those; every image is scored once."""
    spec = ModelStore().load(given.model).spec
    every = fields(given.data, ["train", "val"])
    fold_of = folds_of(every, given.folds)
    found: dict[bool, dict[str, list[Any]]] = {m: defaultdict(list) for m in also(given.mirror)}
    for fold in range(given.folds):
        inside = [f.item for f in every if fold_of[str(f.item.group)] != fold]
        model = fold_model(inside, spec, given, fold)
        rest = [f for f in every if fold_of[str(f.item.group)] == fold]
        for mirror, of_groups in found.items():
            for group, scores in scored(finder(model, mirror=mirror), rest).items():
                of_groups[group] += scores
    report(
        f"Nuclei from nothing in {given.minutes:g} minutes ({given.clock} clock), {given.folds} folds by field",
        [row for mirror in found for row in rows_of(found[mirror], mirrored=mirror)],
        "`instances.py cross`. Training and validation split together; every image is scored once.",
    )


def also(wanted: bool) -> tuple[bool, ...]:
    """Without something and, on request, with it, too."""
    return (False, True) if wanted else (False,)


def fold_model(
    inside: Sequence[TrainItem], spec: ModelSpec, given: argparse.Namespace, fold: int
) -> Model:
    """What is learned without a fold; what `--keep` holds of an earlier run is not learned again."""
    kept = given.keep / f"without-{fold}" if given.keep else None
    if kept and kept.exists():
        return ModelStore().load(kept)
    result = learned(inside, spec, given.minutes, given.clock)
    if kept:
        return save_model(result.spec, result.state, kept)
    return Model(result.spec, result.state)


def folds_of(every: Sequence[Field], folds: int) -> dict[str, int]:
    """Deal the fields of each modality out in turn, in a shuffled order."""
    random = np.random.default_rng(0)
    dealt: dict[str, int] = {}
    for modality in sorted({f.modality for f in every}):
        groups = sorted({str(f.item.group) for f in every if f.modality == modality} - set(dealt))
        random.shuffle(groups)
        dealt.update({group: number % folds for number, group in enumerate(groups)})
    return dealt


def curve(given: argparse.Namespace) -> None:
    """Learn from the first N training images, score on the validation split."""
    spec = ModelStore().load(given.model).spec
    inside, rest = fields(given.data, ["train"]), fields(given.data, ["val"])
    rows = []
    for size in given.sizes:
        result = learned(
            [f.item for f in inside if f.order <= size], spec, given.minutes, given.clock
        )
        found = scored(finder(Model(result.spec, result.state)), rest)
        rows += rows_of(found, learned_from=size)
    title = f"Nuclei from few images, {given.minutes:g} minutes each ({given.clock} clock)"
    report(title, rows, "`instances.py curve`.")


# -- in volumes ---------------------------------------------------------------------------

_VOLUMES = ("ovule_nuclei_1135", "stardist_synthetic")


def volumes(given: argparse.Namespace) -> None:
    """The starters and a watershed on others' labelled volumes."""
    rows, store, task = [], ModelStore(), TASKS["instance"]
    for name in _VOLUMES:
        image = open_volume(given.data / "nuclei3d" / f"{name}_image.tif")
        truth = open_labels(given.data / "nuclei3d" / f"{name}_label.tif")
        labels, pixel = truth.numpy(), image.grid.spacing[-1]
        for model in ("nuclei", "nuclei-3d"):
            loaded = store.load(model)
            sizes = task.diameters(labels, truth.grid, loaded.spec)  # type: ignore[attr-defined]
            true = float(np.median(sizes)) * pixel
            for told, diameter in (("found", None), ("given", true)):
                began = time.perf_counter()
                answer = run_to_end(predict(image, loaded, PredictConfig(diameter=diameter)))
                assert answer.labels is not None
                seconds = time.perf_counter() - began
                rows.append(_line(name, model, told, answer.labels, labels) | {"s": seconds})
                print(rows[-1], flush=True)
        began = time.perf_counter()
        parts = by_watershed(image, true)
        seconds = time.perf_counter() - began
        rows.append(_line(name, "watershed", "given", parts, labels) | {"s": seconds})
    report(
        "Nuclei in volumes",
        rows,
        "`instances.py volumes`. `nuclei-3d` learned from made-up volumes only; `nuclei` from flat images, its planes are joined and its true diameter is that of sections. Watershed: blurred by a "
        "tenth of the true diameter, Otsu's threshold, distance transform with a peak per half diameter. One volume of each kind: a hint, not a rank.",
    )


def _line(volume: str, how: str, told: str, found: Any, truth: Any) -> dict[str, object]:
    scores = score_instances(found, truth).to_dict()
    names = ("ap50", "f1_50", "truth_count", "count", "splits", "merges")
    return {"volume": volume, "how": how, "diameter": told, **{n: scores[n] for n in names}}


def by_watershed(image: Volume, diameter: float) -> Any:
    """Objects as they are told apart without learning; `diameter` in the image's unit."""
    array, spacing = image.numpy().astype(np.float32), np.array(image.grid.spacing)
    smooth = gaussian_filter(array, 0.1 * diameter / spacing)
    inside = smooth > threshold_otsu(smooth)
    depth = gaussian_filter(distance_transform_edt(inside, spacing), 0.1 * diameter / spacing)
    window = np.maximum(1, np.round(0.5 * diameter / spacing)).astype(int) | 1
    peaks = (maximum_filter(depth, tuple(window)) == depth) & inside
    return watershed(-depth, label(peaks)[0], mask=inside)


# -- how fast -----------------------------------------------------------------------------


def mosaic(length: int) -> Volume:
    """The sample images side by side, each turned another way."""
    parts = [np.asarray(open_volume(path).numpy()) for path in sorted(SAMPLES.glob("*.tif"))]
    size = parts[0].shape[0]
    count = -(-length // size)
    rows = [
        np.concatenate([np.rot90(parts[(r + c) % len(parts)], r + 2 * c) for c in range(count)], 1)
        for r in range(count)
    ]
    image = np.concatenate(rows)[:length, :length]
    return Volume(image, Grid.regular("YX", image.shape, (0.25, 0.25), unit="um"))


def clock(given: argparse.Namespace) -> None:
    """Each size in a process of its own: seconds of the network and of reading its answer, extra memory."""
    rows = []
    for length in given.sizes:
        command = [sys.executable, __file__, "one", "--sizes", str(length), "--model", given.model]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(result.stdout.splitlines()[-1]))
    report(
        "Numbering objects in large images",
        rows,
        "`instances.py time`: mosaics of the sample images, the second run in a process; the diameter is found first. "
        "Goal: reading the answer takes less than 20 % of the time.",
    )


def one(given: argparse.Namespace) -> None:
    """Time one size and print it as JSON."""
    model = ModelStore().load(given.model)
    timed(mosaic(512), model)
    image = mosaic(given.sizes[0])
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    prediction, whole, reading = timed(image, model)
    row = {
        "image": f"{given.sizes[0]}²",
        "objects": prediction.count,
        "network s": whole - reading,
        "reading s": reading,
        "share": f"{100 * reading / whole:.1f} %",
        "extra MB": (status("VmHWM") - before) / 1e6,
        "bytes per pixel": (status("VmHWM") - before) / np.prod(image.grid.shape),
    }
    print(json.dumps(row, default=float))


def timed(image: Volume, model: Model) -> tuple[Prediction, float, float]:
    """A prediction, its seconds, and those of reading the network's answer among them."""
    spent = [0.0]
    task = TASKS["instance"]

    def decode(dense: Any, grid: Grid, spec: ModelSpec) -> Prediction:
        begin = time.perf_counter()
        answer = task.decode(dense, grid, spec)
        spent[0] = time.perf_counter() - begin
        return answer

    begin = time.perf_counter()
    prediction = run_to_end(predict(image, model, PredictConfig(device="cpu"), decode=decode))
    return replace(prediction, image=None), time.perf_counter() - begin, spent[0]


def main() -> None:
    """Run one of the measurements and append its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    steps = {
        "val": validate,
        "cross": cross,
        "curve": curve,
        "volumes": volumes,
        "time": clock,
        "one": one,
    }
    parser.add_argument("what", choices=sorted(steps))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="nuclei", help="a model, or whose kind is trained")
    parser.add_argument("--sized", action="store_true", help="val: also with the true diameter")
    parser.add_argument(
        "--mirror", action="store_true", help="val, cross: also with mirrored copies"
    )
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="cross: folder for the models of the folds")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help=_CLOCK)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096])
    given = parser.parse_args()
    steps[given.what](given)


if __name__ == "__main__":
    main()
