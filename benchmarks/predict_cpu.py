"""Prediction on the CPU against MONAI's sliding-window inferer as its tutorials call it.

Same network, same weights, same volume, same tile, overlap and Gaussian blending. MONAI's side takes four tiles per pass, keeps the
scores of the whole volume and takes their argmax, as the tutorials do (overlap and mode set to ours, so that labels
can be compared). Both sides take turns in one process; the memory of each is measured in a process of its own,
from just before the run to its peak.

::

    python benchmarks/predict_cpu.py                 # all cases, writes RESULTS.md
    python benchmarks/predict_cpu.py --cases 2d --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _process import status
from _report import report
from monai.inferers import sliding_window_inference
from scipy.ndimage import gaussian_filter

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.prepare import normalize
from napari_apprentice.models.store import Model, build_network

OVERLAP = 0.5
SIDES = ("monai", "ours")


@dataclass(frozen=True)
class Case:
    """A network and a volume."""

    title: str
    network: str
    shape: tuple[int, ...]
    tile: tuple[int, ...]


CASES = {
    "3d": Case("residual U-Net 3-D", "unet", (192, 160, 160), (96, 96, 96)),
    "3d-full": Case("DynUNet 3-D", "dynunet", (96, 160, 160), (96, 96, 96)),
    "2d": Case("residual U-Net 2-D", "unet", (2048, 2048), (512, 512)),
}


def model_of(case: Case) -> Model:
    """The network with seeded weights: what it says does not matter, only that both sides say it."""
    spec = ModelSpec(
        name="benchmark",
        task="semantic",
        network=case.network,
        ndim=len(case.tile),
        classes=(ClassSpec(value=1, name="one"), ClassSpec(value=2, name="two")),
        tile=case.tile,
    )
    torch.manual_seed(0)
    return Model(spec, build_network(spec).state_dict())


def image_of(case: Case) -> np.ndarray:
    """Smooth blobs with noise on them."""
    random = np.random.default_rng(0)
    blobs = gaussian_filter(random.normal(size=case.shape).astype(np.float32), 4.0)
    return blobs / blobs.std() + 0.2 * random.normal(size=case.shape).astype(np.float32)


def with_monai(case: Case, model: Model, image: np.ndarray) -> np.ndarray:
    """The tutorials' way: four tiles at a time, all scores, then argmax."""
    network = model.build()
    data = torch.from_numpy(normalize(image[np.newaxis], Normalization()))[np.newaxis]
    with torch.no_grad():
        scores = sliding_window_inference(
            data, case.tile, sw_batch_size=4, predictor=network, overlap=OVERLAP, mode="gaussian"
        )
        return scores.argmax(dim=1)[0].to(torch.uint8).numpy()


def with_ours(case: Case, model: Model, image: np.ndarray) -> np.ndarray:
    """The way of the docks and the command line."""
    axes = "ZYX"[-image.ndim :]
    volume = Volume(image, Grid.regular(axes, image.shape))
    config = PredictConfig(device="cpu", overlap=OVERLAP)
    labels = run_to_end(predict(volume, model, config)).labels
    if labels is None:
        raise RuntimeError("expected labels, found none")
    return labels


RUN = {"monai": with_monai, "ours": with_ours}


def compare(name: str, rounds: int) -> dict[str, object]:
    """Both sides in turn, `rounds` times after one small warm-up."""
    case = CASES[name]
    model, image = model_of(case), image_of(case)
    warm_up(case, model, image)
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    labels: dict[str, np.ndarray] = {}
    for number in range(rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            begin = time.perf_counter()
            labels[side] = RUN[side](case, model, image)
            seconds[side].append(time.perf_counter() - begin)
            print(f"{name} {side} {seconds[side][-1]:.1f} s", file=sys.stderr)
    memory = {side: extra_memory(name, side) for side in SIDES}
    median = {side: statistics.median(seconds[side]) for side in SIDES}
    return {
        "case": f"{case.title}, {text(case.shape)}, tile {text(case.tile)}",
        "MONAI s": median["monai"],
        "ours s": median["ours"],
        "faster": f"{median['monai'] / median['ours']:.2f} ×",
        "MONAI extra MB": memory["monai"] / 1e6,
        "ours extra MB": memory["ours"] / 1e6,
        "memory": f"{memory['ours'] / memory['monai']:.2f}",
        "equal labels": f"{100 * float((labels['monai'] == labels['ours']).mean()):.3f} %",
    }


def warm_up(case: Case, model: Model, image: np.ndarray) -> None:
    """Load every library and kernel on one small tile."""
    small = Case(case.title, case.network, (32,) * image.ndim, (32,) * image.ndim)
    corner = image[(slice(32),) * image.ndim]
    for side in SIDES:
        RUN[side](small, model_of(small), corner)


def text(lengths: tuple[int, ...]) -> str:
    """Lengths for people."""
    return " × ".join(map(str, lengths))


# -- memory, in a process of its own ------------------------------------------------------


def extra_memory(name: str, side: str) -> int:
    """Bytes that one side needs at its peak beyond what was there before it ran."""
    command = [sys.executable, __file__, "--cases", name, "--memory-of", side]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(json.loads(result.stdout)["extra"])


def measure_memory(name: str, side: str) -> None:
    """Run one side and print its extra memory."""
    case = CASES[name]
    model, image = model_of(case), image_of(case)
    warm_up(case, model, image)
    # Forget the peak of what came before (Linux); see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    RUN[side](case, model, image)
    print(json.dumps({"extra": status("VmHWM") - before}))


def main() -> None:
    """Run the cases asked for and append a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-of", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        measure_memory(arguments.cases[0], arguments.memory_of)
        return
    with tempfile.TemporaryDirectory() as home:
        # Measured speeds of a benchmark's network are nothing for the user's own folder.
        os.environ["NAPARI_APPRENTICE_HOME"] = home
        rows = [compare(name, arguments.rounds) for name in arguments.cases]
    report(
        "Prediction on the CPU against MONAI's tutorials",
        rows,
        f"`predict_cpu.py`: {arguments.rounds} rounds, sides taking turns, medians; extra memory in fresh processes. "
        "Goals: at least 1.5 × faster, at most a third of the extra memory, at least 99.9 % equal labels.",
    )


if __name__ == "__main__":
    main()
