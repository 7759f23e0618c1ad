"""Train the starter models that ship with the package, from the public image sets named in their cards.

Run with the folder that holds ``hippocampus3d``, ``nuclei2d``, ``nuclei3d`` and ``mednist``; an interrupted run goes on with ``--resume``::

    python scripts/train_starters.py --data DATA --work WORK --model hippocampus-mri --minutes 60

``--last`` ships the moving average of the last step that is in WORK, not the best of the checks on what was learned from.
Only the training split is learned from; the finished model is marked on the validation split, once, for its card
(``--score`` does that alone).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _mednist import CLASSES as MODALITIES
from _mednist import mednist_items

sys.path.insert(0, str(Path(__file__).parents[1] / "sample_data"))
from nuclei_volume_phantom import make_volume, random_case

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Metric, run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.checkpoints import LAST, read_checkpoint
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, train
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.classification import classification_scores
from napari_apprentice.measure.detection import (
    DetectionScores,
    Ranked,
    rank_boxes,
    score_detections,
)
from napari_apprentice.measure.instances import InstanceScores, score_instances
from napari_apprentice.measure.probabilities import probability_scores
from napari_apprentice.models.card import NOT_HELD_OUT
from napari_apprentice.models.store import Model, load_model, save_model
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from napari_apprentice.core.detections import Detections

_SHOWN = ("dice", "hd95", "surface_dice")
_SHOWN_OBJECTS = ("ap50", "ap75", "ap", "f1_50")
# All images are there again: nothing of the start has to be kept.
_FURTHER = {"keep": 0.0, "believe": 0.0, "learning_rate": 1e-3}
# Average precision asks for doubtful objects, too.
_DOUBTFUL = 0.05
# Images of each modality, inversely to how many there are, but not so far that a few are learned by heart.
_WEIGHTS = {
    "brightfield_gray": 4.0,
    "fluo_large": 1.0,
    "fluo_small": 0.6,
    "hne_pink": 3.0,
    "purple_on_purple": 2.5,
    "purple_on_white": 3.0,
}
_MADE_UP = 96
STARTERS = Path(__file__).parents[1] / "src/napari_apprentice/models/starter"


# -- the recipes ----------------------------------------------------------------------------


def hippocampus_items(data: Path, split: str) -> list[TrainItem]:
    """Volumes of the Medical Segmentation Decathlon, Task04; both sides of a subject are one group."""
    folder = data / "hippocampus3d"
    with (folder / "splits.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    classes = (LabelClass(1, "anterior"), LabelClass(2, "posterior"))
    items = []
    for row in rows:
        name = f"{row['case']}.nii.gz"
        labels = open_labels(folder / "labelsTr" / name)
        items.append(
            TrainItem(
                row["case"],
                open_volume(folder / "imagesTr" / name),
                Annotation(labels.grid, labels.numpy(), classes),
                row["subject"],
            )
        )
    return items


def nuclei_items(data: Path, split: str) -> list[TrainItem]:
    """All images of the 2018 Data Science Bowl, numbered nuclei; rare modalities are drawn more often.

    Modalities take turns, so that any first few of them are a sample of all.
    """
    folder = data / "nuclei2d"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == split]
    turns: Counter[str] = Counter()
    items = []
    for row in rows:
        labels = open_labels(folder / row["label"])
        kind = row["modality"]
        annotation = Annotation(labels.grid, labels.numpy(), ())
        image = open_volume(folder / row["image"])
        item = TrainItem(
            f"{kind}/{row['id']}", image, annotation, row["mosaic_group"], _WEIGHTS[kind]
        )
        items.append((turns[kind], kind, item))
        turns[kind] += 1
    return [item for _, _, item in sorted(items, key=lambda entry: entry[:2])]


def centre_items(data: Path, split: str) -> list[TrainItem]:
    """The fluorescence images of `nuclei_items`, with the boxes around their nuclei."""
    classes = (LabelClass(1, "nucleus"),)
    task: Any = TASKS["detection"]
    items = [i for i in nuclei_items(data, split) if i.name.startswith("fluo")]
    return [
        dataclasses.replace(
            item,
            annotation=task.places_in(
                Volume(item.annotation.labels, item.annotation.grid, is_labels=True),
                item.annotation.grid,
                classes,
            ),
        )
        for item in items
    ]


def volume_items(data: Path, split: str) -> list[TrainItem]:
    """Volumes of nuclei: to learn from, made-up ones that differ in all that can be thought of; to be scored on, others' own."""
    return _real_volumes(data) if split == "val" else [_made_up(seed) for seed in range(_MADE_UP)]


def _made_up(seed: int) -> TrainItem:
    case = random_case(seed)
    image, labels = make_volume(case)
    grid = Grid.regular("ZYX", image.shape, (case.spacing_z, 1.0, 1.0))
    return TrainItem(case.name, Volume(image, grid), Annotation(grid, labels, ()), case.name)


def _real_volumes(data: Path) -> list[TrainItem]:
    items = []
    for name in ("ovule_nuclei_1135", "stardist_synthetic"):
        labels = open_labels(data / "nuclei3d" / f"{name}_label.tif")
        image = open_volume(data / "nuclei3d" / f"{name}_image.tif")
        items.append(TrainItem(f"{name}/0", image, Annotation(labels.grid, labels.numpy(), ())))
    return items


@dataclasses.dataclass(frozen=True)
class Starter:
    """One starter model: what it is, what it learns from, and how; whether mirrored copies are averaged in its score.

    `chosen` says on the card what else was decided, and by which images.
    """

    spec: ModelSpec
    items: Callable[[Path, str], list[TrainItem]]
    config: TrainConfig
    mirror: bool = True
    chosen: str = ""


_FLUORESCENT_NUCLEI: dict[str, Any] = {
    "ndim": 2,
    "channels": ("image",),
    "normalization": Normalization(kind="percentile", low=0.5, high=99.8),
    "classes": (ClassSpec(value=1, name="nucleus", color="#E69F00"),),
    "tile": (160, 160),
    "mirror_axes": (0, 1),
    "licence": "CC0-1.0",
    "data": "BBBC038v1 (2018 Data Science Bowl), 260 training images of fluorescence, boxes of corrected masks (CC0)",
    "citation": "Caicedo et al., Nature Methods 16, 1247-1253 (2019)",
}
STARTER_MODELS = {
    "hippocampus-mri": Starter(
        ModelSpec(
            name="hippocampus-mri",
            task="semantic",
            network="unet",
            network_args={"channels": [32, 64, 128, 256], "strides": [2, 2, 2], "num_res_units": 2},
            ndim=3,
            channels=("T1",),
            spacing=(1.0, 1.0, 1.0),
            unit="mm",
            orientation="LPS",
            normalization=Normalization(),
            classes=(ClassSpec(value=1, name="anterior"), ClassSpec(value=2, name="posterior")),
            tile=(48, 64, 48),
            # Left and right hippocampus are mirror images, and both are in the data.
            mirror_axes=(2,),
            description="Anterior and posterior hippocampus in T1-weighted MRI, cropped around the hippocampus.",
            licence="CC-BY-SA-4.0",
            data="Medical Segmentation Decathlon Task04 Hippocampus, 143 training volumes (CC-BY-SA 4.0)",
            citation="Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022)",
        ),
        hippocampus_items,
        TrainConfig(held_out=0, ema=0.998, checks=6),
    ),
    "nuclei": Starter(
        ModelSpec(
            name="nuclei",
            task="instance",
            network="unet",
            network_args={
                "channels": [16, 32, 64, 128, 256],
                "strides": [1, 2, 2, 2],
                "num_res_units": 1,
            },
            task_args={"diameter": 20.0, "border": 5 / 3},
            ndim=2,
            channels=("red", "green", "blue"),
            grey_as_color=True,
            normalization=Normalization(kind="percentile", low=0.5, high=99.8),
            classes=(ClassSpec(value=1, name="nucleus", color="#56B4E9"),),
            tile=(160, 160),
            overlap=0.25,
            mirror_axes=(0, 1),
            description="Numbered nuclei in fluorescence microscopy, 2-D, of any size; in stained tissue and brightfield, a start to teach from.",
            licence="CC0-1.0",
            data="BBBC038v1 (2018 Data Science Bowl), 315 training images of five modalities, corrected masks (CC0)",
            citation="Caicedo et al., Nature Methods 16, 1247-1253 (2019)",
        ),
        nuclei_items,
        TrainConfig(held_out=0, ema=0.995, checks=4, augment="strong", batch_size=4),
        mirror=False,
    ),
    "nuclei-3d": Starter(
        ModelSpec(
            name="nuclei-3d",
            task="instance",
            network="unet",
            network_args={"channels": [16, 32, 64, 128], "strides": [1, 2, 2], "num_res_units": 1},
            task_args={"diameter": 12.0, "border": 1.2},
            ndim=3,
            channels=("nuclei",),
            normalization=Normalization(kind="percentile", low=0.5, high=99.8),
            classes=(ClassSpec(value=1, name="nucleus", color="#56B4E9"),),
            tile=(32, 64, 64),
            overlap=0.25,
            mirror_axes=(0, 1, 2),
            description="Numbered nuclei in volumes of fluorescence microscopy, of any size and distance of slices.",
            licence="CC0-1.0",
            data=f"{_MADE_UP} made-up volumes of our own generator (CC0), no real image",
            citation="After Dey et al., AnyStar, WACV 2024 (learning from randomised made-up volumes)",
        ),
        volume_items,
        TrainConfig(held_out=0, ema=0.995, checks=2, augment="strong", batch_size=2),
        mirror=False,
    ),
    "nuclei-centres": Starter(
        ModelSpec(
            name="nuclei-centres",
            task="detection",
            network="unet",
            network_args={
                "channels": [16, 32, 64, 128, 128],
                "strides": [2, 2, 2, 2],
                "num_res_units": 1,
            },
            task_args={"diameter": 20.0, "boxes": True, "least_score": 0.1},
            description="Middles of nuclei in fluorescence microscopy and the boxes around them, 2-D, of any size.",
            **_FLUORESCENT_NUCLEI,
        ),
        centre_items,
        TrainConfig(held_out=0, ema=0.995, checks=4, augment="strong", batch_size=4),
        mirror=False,
        chosen="least_score 0.1, on training images",
    ),
    "nuclei-boxes": Starter(
        ModelSpec(
            name="nuclei-boxes",
            task="detection",
            network="retinanet",
            task_args={"diameter": 20.0, "boxes": True, "anchors": True, "least_score": 0.4},
            description="Boxes around nuclei in fluorescence microscopy, 2-D, of any size: closer fitting than those of nuclei-centres.",
            **_FLUORESCENT_NUCLEI,
        ),
        centre_items,
        TrainConfig(held_out=0, checks=4, augment="strong", batch_size=4),
        mirror=False,
        chosen="least_score 0.4, on training images",
    ),
    "modality": Starter(
        ModelSpec(
            name="modality",
            task="image_class",
            network="cnn",
            network_args={"channels": [16, 32, 64]},
            ndim=2,
            channels=("image",),
            # Percentiles, not the 8-bit values of these files: DICOM and NIfTI come in other units.
            normalization=Normalization(kind="percentile", low=0.5, high=99.5),
            classes=tuple(ClassSpec(value=c.value, name=c.name) for c in MODALITIES),
            tile=(64, 64),
            mirror_axes=(1,),
            description="Modality and body part of a radiology slice: six kinds, as small grey pictures.",
            licence="CC-BY-SA-4.0",
            data="MedNIST, 1,000 training pictures per class (CC-BY-SA 4.0)",
            citation="MedNIST was gathered from TCIA, the RSNA Bone Age Challenge and the NIH Chest X-ray set, "
            "and is made available by Bradley J. Erickson (Mayo Clinic) under CC-BY-SA 4.0",
        ),
        mednist_items,
        TrainConfig(held_out=0.1, ema=0.995, checks=5, steps=1500),
    ),
}


# -- training and scoring -------------------------------------------------------------------


def learn(
    starter: Starter,
    data: Path,
    work: Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    further: bool = False,
) -> Model:
    """Train on the training split and ship the result with half-precision weights; `further`: what is shipped already."""
    began = time.perf_counter()

    def say(event: Event) -> None:
        if isinstance(event, Log) or (
            isinstance(event, Metric) and (event.name != "loss" or event.step % 100 == 0)
        ):
            print(f"{time.perf_counter() - began:7.0f} s  {event}", flush=True)

    shipped = load_model(STARTERS / starter.spec.name) if further else None
    result = run_to_end(
        train(
            starter.items(data, "train"),
            init=shipped or starter.spec,
            task=starter.spec.task,
            config=config.model_copy(update=_FURTHER) if further else config,
            folder=work,
            name=starter.spec.name,
            resume=resume,
        ),
        say,
    )
    spec = result.spec
    if shipped is not None:
        before = (
            f"what was shipped, of {shipped.spec.training.get('steps')} steps on the same images"
        )
        spec = spec.model_copy(update={"training": {"begun_with": before, **spec.training}})
    return ship(starter, spec, result.state)


def ship(starter: Starter, trained: ModelSpec, state: dict[str, torch.Tensor]) -> Model:
    """Write the starter folder; the words of its card are those of the recipe above."""
    words = ("description", "licence", "data", "citation", "task_args")
    training = trained.training | ({"chosen": starter.chosen} if starter.chosen else {})
    spec = trained.model_copy(
        update={word: getattr(starter.spec, word) for word in words}
        | {"scores": {}, "training": training, "parent": None}
    )
    return save_model(spec, state, STARTERS / spec.name, dtype="float16")


def ship_last(starter: Starter, work: Path, config: TrainConfig) -> Model:
    """Ship the moving average of the last checkpoint, and say whether a check had been better before."""
    tensors, data = read_checkpoint(work / LAST)
    average = {
        key.removeprefix("average/"): value
        for key, value in tensors.items()
        if key.startswith("average/")
    }
    best = data["best"][1]
    training = {
        "steps": data["learner"]["step"],
        "weights": f"moving average of the last step; the best check on images that it learned from was at step {best}",
        "seconds": round(data["elapsed"], 1),
        "config": config.model_dump(mode="json"),
    }
    spec = ModelSpec.model_validate(data["spec"]).model_copy(
        update={
            "name": starter.spec.name,
            "data_fingerprint": data["fingerprint"],
            "training": training,
        }
    )
    return ship(starter, spec, average)


def score(starter: Starter, data: Path) -> dict[str, float]:
    """Scores over the validation split, each case on its own grid: means, or of objects those of each modality.

    Of classes of whole images: rates over all of them.
    """
    model = load_model(STARTERS / starter.spec.name)
    task = TASKS[starter.spec.task]
    found: dict[str, list[InstanceScores]] = defaultdict(list)
    rows = []
    classed: list[tuple[str, dict[str, float]]] = []
    placed: list[tuple[Detections, Detections]] = []
    for item in starter.items(data, "val"):
        config = PredictConfig(
            mirror=starter.mirror and bool(starter.spec.mirror_axes), least_score=_DOUBTFUL
        )
        prediction = run_to_end(predict(item.volume, model, config))
        if item.annotation.image_class is not None:
            classed.append((item.annotation.image_class, dict(prediction.table)))
            continue
        if prediction.detections is not None and item.annotation.detections is not None:
            placed.append((prediction.detections, item.annotation.detections))
            continue
        if prediction.count is None:
            rows.append(task.score(prediction, item.annotation))
            continue
        assert prediction.labels is not None
        scores = score_instances(prediction.labels, item.annotation.labels)
        kind = item.name.partition("/")[0]
        for group in (kind, *_family(kind), "all"):
            found[group].append(scores)
    if found:
        return _by_modality(found)
    if placed:
        return _of_places(placed, starter.spec.task_args["least_score"])
    if classed:
        return _of_classes(classed, [c.name for c in starter.spec.classes])
    return {
        name: round(float(np.nanmean([row.get(name, np.nan) for row in rows])), 4)
        for name in rows[0]
        if name.startswith(_SHOWN)
    }


def _of_classes(rows: list[tuple[str, dict[str, float]]], names: list[str]) -> dict[str, float]:
    """Rates of a classifier, and how honest its probabilities are."""
    shares = np.array([[table[name] for name in names] for _, table in rows])
    truth = np.array([names.index(name) for name, _ in rows])
    rates = classification_scores(shares.argmax(axis=1), truth, range(len(names)))
    scores = {
        "accuracy": rates.accuracy,
        "balanced_accuracy": rates.balanced_accuracy,
        **probability_scores(shares, truth).flat(),
    }
    return {name: round(value, 4) for name, value in scores.items()}


def _of_places(pairs: list[tuple[Detections, Detections]], least: float) -> dict[str, float]:
    """Scores of all images taken together: F1 within each nucleus's radius, and AP50 of boxes down to doubtful ones."""
    pooled = DetectionScores.pooled(
        score_detections(f.select(f.scores >= least), t, (1.0,) * t.ndim) for f, t in pairs
    ).to_dict("pixel")
    shown = ("f1", "precision", "recall", "distance_px")
    ranked = Ranked.pooled(rank_boxes(f, t) for f, t in pairs)
    scores = {name: pooled[name] for name in shown} | {"ap50": ranked.average_precision()}
    return {name: round(value, 4) for name, value in scores.items()}


def _family(kind: str) -> tuple[str, ...]:
    """Which of two groups a modality of the flat images of nuclei belongs to."""
    if kind not in _WEIGHTS:
        return ()
    return ("fluo",) if kind.startswith("fluo") else ("stained",)


def _by_modality(found: dict[str, list[InstanceScores]]) -> dict[str, float]:
    """Scores of the objects of all images of a modality taken together; those of all come first, without a name."""
    result = {}
    for group in sorted(found, key=lambda name: (name != "all", name)):
        pooled = InstanceScores.pooled(found[group]).to_dict()
        for name in _SHOWN_OBJECTS:
            result[name if group == "all" else f"{name} {group}"] = round(pooled[name], 4)
    return result


def main() -> int:
    """Train, ship and score one starter model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="checkpoints")
    parser.add_argument("--model", choices=sorted(STARTER_MODELS), required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--further", action="store_true", help="begin with the shipped weights")
    parser.add_argument("--last", action="store_true", help="only ship and score the last step")
    parser.add_argument("--score", action="store_true", help="only score the shipped model")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    starter = STARTER_MODELS[given.model]
    config = starter.config.model_copy(update={"minutes": given.minutes})
    if given.last:
        ship_last(starter, given.work, config)
    elif not given.score:
        learn(starter, given.data, given.work, config, resume=given.resume, further=given.further)
    model = load_model(STARTERS / given.model)
    scores = score(starter, given.data)
    print(scores)
    training = {k: v for k, v in model.spec.training.items() if k not in NOT_HELD_OUT}
    save_model(
        model.spec.model_copy(update={"scores": scores, "training": training}),
        model.state,
        STARTERS / given.model,
        dtype="float16",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
