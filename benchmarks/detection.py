"""Points and boxes: how well a detector finds nuclei that it has not seen.

::

    python benchmarks/detection.py --data DATA

``--data`` is the folder that holds ``nuclei2d``. Truth are the boxes around the labelled nuclei and their middles. F1 is told for
three reaches: the radius of each nucleus, half the mean side of its box (the convention of LUNA16: Setio et al., Medical Image
Analysis 42, 2017); 6 pixels (Sirinukunwattana et al., IEEE TMI 35, 2016); and half the median radius of the image, the
strictest. Counts are of all nuclei of a group of images taken together.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from _report import report

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.detection import (
    DetectionScores,
    Ranked,
    rank_boxes,
    rank_points,
    score_detections,
)
from napari_apprentice.models.store import ModelStore
from napari_apprentice.tasks import TASKS

_PIXELS = (1.0, 1.0)
_DOUBTFUL = 0.05
_FROC = (1.0, 4.0, 8.0)
_Pair = tuple[Detections, Detections]


def pairs(data: Path, model: str) -> dict[str, list[_Pair]]:
    """What was found, down to what is hardly believed, and the truth, by group of images."""
    loaded = ModelStore().load(model)
    task: Any = TASKS["detection"]
    config = PredictConfig(device="cpu", least_score=_DOUBTFUL)
    folder = data / "nuclei2d"
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "val"]
    found: dict[str, list[_Pair]] = defaultdict(list)
    for row in rows:
        if not row["modality"].startswith("fluo"):
            continue
        volume, labels = open_volume(folder / row["image"]), open_labels(folder / row["label"])
        said = task.places_in(labels, volume.grid.spatial, (LabelClass(1, "nucleus"),))
        answer = run_to_end(predict(volume, loaded, config)).detections
        assert answer is not None
        for group in (row["modality"], "all fluorescence"):
            found[group].append((answer, said.detections))
    return found


def row_of(group: str, several: list[_Pair], least: float) -> dict[str, object]:
    """A line for a group of images."""
    sure = [(f.select(f.scores >= least), t) for f, t in several]
    radius = _pooled(sure, [None] * len(sure))
    near = _pooled(sure, [float(np.median(t.sizes)) / 4 for _, t in sure])
    froc = Ranked.pooled(rank_points(f, t, _PIXELS) for f, t in several).froc(_FROC)
    boxes = Ranked.pooled(rank_boxes(f, t) for f, t in several)
    return {
        "images": group,
        "n": len(several),
        "nuclei": int(radius.found + radius.missed),
        "F1 radius": radius.f1,
        "precision": radius.precision,
        "recall": radius.recall,
        "F1 6 px": _pooled(sure, [6.0] * len(sure)).f1,
        "F1 half median radius": near.f1,
        "mean distance px": radius.distance / max(radius.found, 1),
        **{f"sensitivity at {rate:g} FP/image": value for rate, value in froc.items()},
        "box AP50": boxes.average_precision(),
    }


def _pooled(several: list[_Pair], reaches: list[Any]) -> DetectionScores:
    return DetectionScores.pooled(
        score_detections(f, t, _PIXELS, reach=reach)
        for (f, t), reach in zip(several, reaches, strict=True)
    )


def main() -> None:
    """Score a model on the validation split and append the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="nuclei-centres")
    given = parser.parse_args()
    found = pairs(given.data, given.model)
    spec = ModelStore().load(given.model).spec
    least = float(spec.task_args.get("least_score", 0.2))
    groups = sorted(found, key=lambda name: (name.startswith("all"), name))
    report(
        f"Nuclei as points and boxes: {spec.name} on the validation split",
        [row_of(group, found[group], least) for group in groups],
        f"`detection.py`. Other fields than learned from; the lowest score, {least:g}, was chosen on training images. FROC and "
        f"AP go on down to a score of {_DOUBTFUL:g}. Learned in {spec.training.get('seconds', 0) / 60:.0f} minutes "
        f"({spec.training.get('steps', 0)} steps) on a share of one busy core. Goal: F1 of at least 0.90. Against MONAI's "
        "RetinaNetDetector: `retinanet.py`.",
    )


if __name__ == "__main__":
    main()
