"""What an explanation costs, in predictions of the same image, and how many voxels per second that is.

Each way of explaining is run on images with the shipped models, in turns with a plain prediction as the dock makes it (tile
overlap 0.5), one thread. The ratio is that of the median times. Beside it stands what the dock says before it runs.

::

    OMP_NUM_THREADS=1 python benchmarks/explain.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _report import report

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.explain import EXPLAINERS, ExplainConfig
from napari_apprentice.io import open_volume
from napari_apprentice.models.store import ModelStore

_LARGE = 500_000
SAMPLES = Path(__file__).parents[1] / "sample_data"


def images() -> dict[str, tuple[str, Volume]]:
    """Title → model and image."""
    small = open_volume(next((SAMPLES / "brain_mri" / "images").iterdir()))
    large = np.tile(small.numpy(), (2, 2, 2))
    grid = Grid.regular("ZYX", large.shape, spacing=small.grid.spacing, unit="mm", world="LPS")
    picture = np.random.default_rng(0).random((256, 256)).astype(np.float32)
    flat = Volume(picture, Grid.regular("YX", picture.shape))
    return {
        "hippocampus-mri, sample": ("hippocampus-mri", small),
        "hippocampus-mri, eight times the sample": (
            "hippocampus-mri",
            replace(small, data=large, grid=grid),
        ),
        "modality, one picture": ("modality", flat),
    }


def timed(job: Any) -> float:
    """Seconds that a job takes."""
    began = time.perf_counter()
    run_to_end(job)
    return time.perf_counter() - began


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(EXPLAINERS), help="one way to explain")
    parser.add_argument("--image", default="", help="images whose title holds this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    store, rows = ModelStore(), []
    plain, how = PredictConfig(device="cpu"), ExplainConfig(device="cpu")
    for title, (name, volume) in images().items():
        if given.image not in title:
            continue
        model = store.load(name)
        for key, explainer in EXPLAINERS.items():
            if given.only not in (None, key):
                continue
            if key == "occlusion" and volume.numpy().size > _LARGE:
                continue  # minutes, and nothing new
            run_to_end(predict(volume, model, plain))  # warm
            times: dict[str, list[float]] = {"one": [], "why": []}
            for _ in range(1 if key == "occlusion" else given.rounds):
                times["one"].append(timed(predict(volume, model, plain)))
                times["why"].append(
                    timed(explainer.explain(volume, model, how, model.spec.classes[0].name))
                )
            one, why = (statistics.median(times[side]) for side in ("one", "why"))
            said = explainer.predictions(volume.grid.without("C").spatial, model.spec, how)
            row = {
                "image": title,
                "explanation": key,
                "one prediction (s)": one,
                "explanation (s)": why,
            }
            rows.append(row | {"ratio": why / one, "said before": said})
            print(rows[-1], flush=True)
    note = "One thread, median of the runs; occlusion, which is not held to three predictions, was run once."
    report("Explanations, in predictions of the same image", rows, note)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
