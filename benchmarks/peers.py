"""Our instance network beside Cellpose and StarDist: the same images, the same minutes, from nothing.

::

    python -m venv PEERS/cellpose && PEERS/cellpose/bin/pip install "cellpose<4" "torch==2.13.0" tifffile
    python -m venv PEERS/stardist && PEERS/stardist/bin/pip install stardist tensorflow-cpu tifffile
    python benchmarks/peers.py --data DATA --peers PEERS --minutes 10

Each learns from the training split of ``nuclei2d`` and answers for its validation split, one after the other, each in a
process of its own and with its own defaults (`_peer_cellpose.py`, `_peer_stardist.py`, ours: `instances.learned`). Their
masks are TIFF files; all are scored by the same code. Nothing of the peers is needed by the package.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _peer import CLOCKS, Clock, answer, one_thread
from _report import report
from instances import Field, fields, finder, learned, rows_of, scored, true_diameter

from napari_apprentice.models.store import Model, ModelStore

SIDES = ("ours", "cellpose", "stardist")
_NAMES = ("ap50", "ap75", "ap", "f1_50", "splits", "merges")
_TOOK = {
    "weights": "weights",
    "steps": "steps",
    "minutes": "minutes on the wall",
    "CPU minutes": "of the processor",
    "s per image": "s per image",
}
"""What a side says it took, and as which column of the table."""

Splits = tuple[list[Field], list[Field]]


# -- the folder between the sides ---------------------------------------------------------


def written(splits: Splits, folder: Path) -> None:
    """Write images, labels and true diameters for interpreters that know nothing of ours."""
    for name, part in zip(("train", "val"), splits, strict=True):
        for kind in ("images", "labels"):
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
        for field in part:
            tifffile.imwrite(
                folder / name / "images" / f"{field.item.name}.tif", pixels(field), **_colour(field)
            )
        if name == "train":
            for field in part:
                labels = np.asarray(field.item.annotation.labels).astype(np.int32)
                tifffile.imwrite(folder / name / "labels" / f"{field.item.name}.tif", labels)
    sizes = {field.item.name: true_diameter(field) for field in splits[1]}
    (folder / "val" / "diameters.json").write_text(json.dumps(sizes))


def pixels(field: Field) -> Any:
    """The image as ``(Y, X)`` or ``(Y, X, C)``."""
    image = np.asarray(field.item.volume.numpy())
    return np.moveaxis(image, 0, -1) if image.ndim == 3 else image


def _colour(field: Field) -> dict[str, str]:
    return {"photometric": "rgb" if pixels(field).ndim == 3 else "minisblack"}


# -- the sides ----------------------------------------------------------------------------


def ours(splits: Splits, folder: Path, given: argparse.Namespace) -> None:
    """Our side; by default it finds the diameter itself."""
    import torch

    torch.set_num_threads(given.threads)
    clock = Clock()
    items, spec = [field.item for field in splits[0]], ModelStore().load(given.model).spec
    result = learned(items, spec, given.minutes, given.clock)
    took = {"steps": result.steps, **clock.facts()}
    model = Model(result.spec, result.state)
    by_name = {field.item.name: field for field in splits[1]}
    facts = {"weights": sum(value.numel() for value in result.state.values()), **took}
    for title, knows in (("true", True), ("found", False)):
        find = finder(model, given=knows)
        answer(folder, f"ours, {title} diameter", lambda name, _: find(by_name[name]), facts)  # noqa: B023


def peer(side: str, folder: Path, given: argparse.Namespace) -> None:
    """Another program's side, under its own Python."""
    program = side.partition("-")[0]
    script = Path(__file__).with_name(f"_peer_{program}.py")
    command = [given.peers / program / "bin" / "python", script, folder, "--side", side]
    command += [
        "--minutes",
        str(given.minutes),
        "--threads",
        str(given.threads),
        "--clock",
        given.clock,
    ]
    subprocess.run([str(part) for part in command], check=True)


# -- the table ----------------------------------------------------------------------------


def table(held_out: Sequence[Field], folder: Path) -> list[dict[str, object]]:
    """A line per side and group of images, from the masks that lie in the folder."""
    rows: list[dict[str, object]] = []
    for place in sorted((folder / "answers").iterdir()):
        found = scored(lambda field: tifffile.imread(place / f"{field.item.name}.tif"), held_out)  # noqa: B023
        facts = json.loads((place / "facts.json").read_text())
        took = {column: facts[name] for name, column in _TOOK.items()}
        rows += rows_of(found, _NAMES, side=place.name, **took)
    return rows


def options() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--peers", type=Path, help="folder of their environments")
    parser.add_argument(
        "--sides",
        nargs="*",
        default=SIDES,
        help="none: score what was kept; cellpose-SGD: its other optimiser",
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="processor: where others work, too"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="nuclei", help="whose kind ours is")
    parser.add_argument("--fluorescence", action="store_true", help="without stained images")
    parser.add_argument(
        "--keep", type=Path, help="folder for masks; those that lie in it are scored, too"
    )
    parser.add_argument("--note", default="One side after the other.", help="how it was run")
    parser.add_argument("--most", type=int, default=10_000, help="images of each split, for a try")
    return parser.parse_args()


def main() -> None:
    """Teach each side, score all of them and append the table."""
    given = options()
    one_thread(given.threads)
    kind = "fluo" if given.fluorescence else ""
    train, val = (
        [f for f in fields(given.data, [name]) if f.modality.startswith(kind)][: given.most]
        for name in ("train", "val")
    )
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        written((train, val), folder)
        for side in given.sides:
            print(side, file=sys.stderr, flush=True)
            if side == "ours":
                ours((train, val), folder, given)
            else:
                peer(side, folder, given)
        rows = table(val, folder)
    report(
        f"Nuclei: Cellpose, StarDist and ours from nothing, {given.minutes:g} minutes each ({given.clock} clock)",
        rows,
        f"`peers.py`: {len(train)} training images, {len(val)} of other fields for scoring, {given.threads} thread, one seed. {given.note} "
        "True diameter: each image's own was told. Mean diameter: Cellpose's default without a size model.",
    )


if __name__ == "__main__":
    main()
