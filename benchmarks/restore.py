"""How well noise is taken away, and how well anomalies are told from normal images.

``denoise``: fluorescence nuclei with noise of a camera added: shot noise at so many photons in the brightest parts, and read
noise in shares of that brightness. One network learns from pairs, one from the noisy images alone (hidden voxels); beside them
non-local means, total variation and a Gaussian, their parameters chosen on training images for the highest PSNR. Goal: one
decibel above non-local means at both levels.

``anomaly``: an autoencoder learns one class of MedNIST; pictures of the other classes should get higher scores than strangers
of its own. Beside it the distance to the mean picture.

``cells``: an autoencoder learns the normal stained cells of the sample, on their own scale (the default of colours) and each cell by
its own deviation; abnormal ones should get higher scores than normal ones that were not learned from.

::

    python benchmarks/restore.py denoise --data DATA --level low --steps 1500
    python benchmarks/restore.py anomaly --data DATA
    python benchmarks/restore.py cells --steps 600
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
from _report import report
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from _mednist import mednist_items

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Metric, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.train import TrainItem, train
from napari_apprentice.io import open_volume
from napari_apprentice.measure.image_quality import channel_scores, psnr
from napari_apprentice.measure.noise import noise_deviation
from napari_apprentice.models.store import Model

Row = dict[str, object]
Image = np.ndarray
LEVELS = {"strong": (12.0, 0.06), "low": (4.0, 0.10)}
"""Photons in the brightest parts, and read noise as a share of their brightness."""
SIDE = 256
CELLS = Path(__file__).parents[1] / "sample_data" / "cells"
TRAINING = 80
TUNING = 8


def pictures(data: Path, split: str) -> list[Image]:
    """Fluorescence images, at most 256 pixels a side, the brightest thousandth at 1; of ``val`` one per field."""
    table = pd.read_csv(data / "nuclei2d" / "manifest.csv")
    table = table[table.modality.str.startswith("fluo") & (table.split == split)]
    if split == "val":
        chosen = table.drop_duplicates("mosaic_group").image
    else:
        chosen = table.sort_values("train_order").head(TRAINING).image
    return [_picture(data / "nuclei2d" / name) for name in chosen]


def _picture(path: Path) -> Image:
    grey = iio.imread(path)[..., 0].astype(np.float32)
    return (grey / np.percentile(grey, 99.9))[:SIDE, :SIDE]


def with_noise(clean: Image, level: str, seed: int) -> Image:
    """The picture as a camera would see it in dim light."""
    photons, read = LEVELS[level]
    rng = np.random.default_rng(seed)
    shot = rng.poisson(np.clip(clean, 0, None) * photons) / photons
    return (shot + rng.normal(0, read, clean.shape)).astype(np.float32)


# -- baselines --------------------------------------------------------------------------


def _nl_means(noisy: Image, size: int, factor: float) -> Image:
    noise = noise_deviation(noisy)
    return np.asarray(
        denoise_nl_means(
            noisy,
            patch_size=size,
            patch_distance=7,
            h=factor * noise,
            sigma=noise,
            fast_mode=True,
        )
    )


def _total_variation(noisy: Image, factor: float) -> Image:
    return np.asarray(denoise_tv_chambolle(noisy, weight=factor * noise_deviation(noisy)))


Method = Callable[..., Image]
GRIDS: dict[str, tuple[Method, list[tuple[float, ...]]]] = {
    "Gaussian": (gaussian_filter, [(s,) for s in (1.0, 1.3, 1.6, 2.0, 2.5, 3.0)]),
    "non-local means": (
        _nl_means,
        [(size, factor) for size in (3, 5, 7) for factor in (1.0, 1.4, 1.8, 2.4, 3.2)],
    ),
    "total variation": (_total_variation, [(f,) for f in (1.2, 1.6, 2.0, 2.5, 3.0, 4.0)]),
}


def tuned(name: str, clean: Sequence[Image], noisy: Sequence[Image]) -> tuple[Method, str]:
    """The method with the parameters that are best on training images, and what they are."""
    method, grid = GRIDS[name]
    pairs = list(zip(clean, noisy, strict=True))

    def value(given: tuple[float, ...]) -> float:
        return float(np.mean([psnr(method(n, *given), c, np.ptp(c)) for c, n in pairs]))

    best = max(grid, key=value)
    return lambda image: method(image, *best), " ".join(f"{v:g}" for v in best)


# -- learning ---------------------------------------------------------------------------


def lesson(noisy: Sequence[Image], clean: Sequence[Image] | None) -> list[TrainItem]:
    """Images to learn from, alone or in pairs."""
    items = []
    for number, image in enumerate(noisy):
        grid = Grid.regular("YX", image.shape)
        said = Annotation.of_clean(grid, None if clean is None else clean[number][np.newaxis])
        items.append(TrainItem(f"{number}", Volume(image, grid), said))
    return items


def learned(items: Sequence[TrainItem], config: TrainConfig, task: str) -> tuple[Model, float]:
    """A model from nothing, and the minutes it took."""

    def tell(event: object) -> None:
        if isinstance(event, Metric) and event.name != "loss":
            print(f"{event.name} {event.value:.2f} at {event.seconds:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        job = train(items, init=None, config=config, folder=Path(folder), task=task, name=task)
        result = run_to_end(job, tell)
    return Model(result.spec, result.state), result.seconds / 60


def restored(model: Model, image: Image) -> Image:
    """What the model makes of an image."""
    volume = Volume(image, Grid.regular("YX", image.shape))
    answer = run_to_end(predict(volume, model, PredictConfig(device="cpu")))
    assert answer.image is not None
    return np.asarray(answer.image)


def scored(method: Callable[[Image], Image], clean: Iterable[Image], noisy: Iterable[Image]) -> Row:
    """Mean PSNR and SSIM over images."""
    rows = [
        channel_scores(method(n)[np.newaxis], c[np.newaxis])
        for c, n in zip(clean, noisy, strict=True)
    ]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in ("psnr_db", "ssim")}
    return {"PSNR dB": f"{mean['psnr_db']:.2f}", "SSIM": f"{mean['ssim']:.3f}"}


def denoise(
    data: Path, level: str, steps: int, seed: int, lessons: Sequence[str] = ("alone", "pairs")
) -> list[Row]:
    """One row per method."""
    known, asked = pictures(data, "train"), pictures(data, "val")
    noisy_known = [with_noise(c, level, n) for n, c in enumerate(known)]
    noisy_asked = [with_noise(c, level, 10_000 + n) for n, c in enumerate(asked)]
    photons, read = LEVELS[level]
    head: Row = {"noise": f"{photons:g} photons + {read:g}"}
    rows = [{**head, "method": "none", **scored(lambda image: image, asked, noisy_asked)}]
    for name in GRIDS:
        method, parameters = tuned(name, known[:TUNING], noisy_known[:TUNING])
        row = {**head, "method": name, **scored(method, asked, noisy_asked)}
        rows.append({**row, "parameters": parameters})
        print(rows[-1], flush=True)
    config = TrainConfig(device="cpu", steps=steps, held_out=0.1, checks=4, seed=seed)
    for kind in lessons:
        name, clean = (
            ("from pairs", known) if kind == "pairs" else ("from noisy images alone", None)
        )
        model, minutes = learned(lesson(noisy_known, clean), config, "restoration")
        row = {**head, "method": name, **scored(partial(restored, model), asked, noisy_asked)}
        rows.append({**row, "parameters": f"{steps} steps", "minutes": round(minutes, 1)})
        print(rows[-1], flush=True)
    usual = next(float(str(r["PSNR dB"])) for r in rows if r["method"] == "non-local means")
    return [
        {**r, "above non-local means": f"{float(str(r['PSNR dB'])) - usual:+.2f}"} for r in rows
    ]


# -- anomalies --------------------------------------------------------------------------


def anomaly(data: Path, normal: str, steps: int, seed: int) -> list[Row]:
    """One row per class: how surely it is told from the normal one."""
    items = [i for i in mednist_items(data, "train") if i.annotation.image_class == normal]
    strangers = mednist_items(data, "val")
    config = TrainConfig(
        device="cpu", steps=steps, held_out=0.1, checks=4, seed=seed, batch_size=16
    )
    alone = [TrainItem(i.name, i.volume, Annotation.of_clean(i.volume.grid)) for i in items]
    model, minutes = learned(alone, config, "anomaly")
    mean = np.mean([_standard(i.volume.numpy()) for i in items], axis=0)
    found: dict[str, list[tuple[float, float]]] = {}
    for item in strangers:
        answer = run_to_end(predict(item.volume, model, PredictConfig(device="cpu")))
        plain = float(np.abs(_standard(item.volume.numpy()) - mean).mean())
        pair = (answer.table["anomaly"], plain)
        found.setdefault(item.annotation.image_class or "", []).append(pair)
    rows: list[Row] = []
    for name in sorted(set(found) - {normal}):
        own, mean_only = (_auroc(*_column(found, normal, name, k)) for k in (0, 1))
        row: Row = {"normal": normal, "anomalous": name, "AUROC": f"{own:.3f}"}
        rows.append(
            {**row, "distance to the mean": f"{mean_only:.3f}", "minutes": f"{minutes:.1f}"}
        )
    return rows


def cells(steps: int, seed: int) -> list[Row]:
    """One row for each way to bring intensities to what the network knows: how surely abnormal cells are told from normal ones."""
    truth = pd.read_csv(CELLS / "unsorted" / "classes.csv")
    asked = [(CELLS / "unsorted" / row.file, row["class"]) for _, row in truth.iterrows()]
    asked += [(path, "abnormal") for path in sorted((CELLS / "sorted" / "abnormal").glob("*.png"))]
    known = sorted((CELLS / "sorted" / "normal").glob("*.png"))
    volumes = [open_volume(path) for path in known]
    items = [TrainItem(v.name, v, Annotation.of_clean(v.grid.without("C"))) for v in volumes]
    rows: list[Row] = []
    for how in ("zscore", None):
        config = TrainConfig(
            device="cpu", steps=steps, checks=4, seed=seed, batch_size=16, normalization=how
        )
        model, minutes = learned(items, config, "anomaly")
        found: dict[str, list[float]] = {}
        for path, kind in asked:
            answer = run_to_end(predict(open_volume(path), model, PredictConfig(device="cpu")))
            found.setdefault(kind, []).append(answer.table["anomaly"])
        used = model.spec.normalization
        named = f"window {used.low:g} to {used.high:g}" if used.kind == "window" else used.kind
        auroc = _auroc(found["normal"], found["abnormal"])
        row: Row = {"intensities": named, "default": "yes" if how is None else "no", "seed": seed}
        rows.append({**row, "AUROC": f"{auroc:.3f}", "steps": steps, "minutes": f"{minutes:.1f}"})
        print(rows[-1], flush=True)
    return rows


def _standard(image: Image) -> Image:
    grey = image.astype(np.float64)
    return (grey - grey.mean()) / max(float(grey.std()), 1e-9)


def _column(
    found: dict[str, list[tuple[float, float]]], normal: str, other: str, at: int
) -> tuple[list[float], list[float]]:
    return [p[at] for p in found[normal]], [p[at] for p in found[other]]


def _auroc(normal: Sequence[float], other: Sequence[float]) -> float:
    """Share of pairs in which the anomalous picture has the higher score."""
    low, high = np.array(normal)[:, np.newaxis], np.array(other)[np.newaxis]
    return float(np.mean((high > low) + 0.5 * (high == low)))


def main() -> None:
    """Learn, score and append to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["denoise", "anomaly", "cells"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--level", choices=sorted(LEVELS), default="low")
    parser.add_argument("--normal", default="Hand")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--lessons", nargs="+", choices=["alone", "pairs"], default=["alone", "pairs"]
    )
    given = parser.parse_args()
    if given.what == "denoise":
        photons, read = LEVELS[given.level]
        title = f"Restoration: fluorescence nuclei at {photons:g} photons"
        note = (
            f"21 validation fields, one image each; learned from {TRAINING} training images, parameters of the others tuned on "
            f"{TUNING} of them (patch and h, weight, deviation; h and weight in deviations of the measured noise). "
            f"Shot noise at {photons:g} photons in the brightest thousandth, read noise {read:g} of it. "
            "PSNR over the range of the clean image. Goal: 1 dB above non-local means."
        )
        report(
            title, denoise(given.data, given.level, given.steps, given.seed, given.lessons), note
        )
        return
    if given.what == "cells":
        note = (
            "24 normal and 56 abnormal cells of the sample that were not learned from; 40 normal ones to learn from, a fifth of "
            "them held out. One thread."
        )
        found = [
            row for seed in range(given.seed, given.seed + 2) for row in cells(given.steps, seed)
        ]
        report("Anomalies: stained cells, with and without a common scale", found, note)
        return
    rows = anomaly(given.data, given.normal, given.steps, given.seed)
    note = "200 validation pictures per class; score: mean distance between picture and rebuilt picture."
    report(f"Anomalies: {given.normal} of MedNIST against the other classes", rows, note)


if __name__ == "__main__":
    main()
