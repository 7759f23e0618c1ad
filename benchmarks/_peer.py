"""What peers.py and the scripts of its peers share: the folder between them. NumPy and tifffile only; no package of ours.

::

    train/images/NAME.tif  train/labels/NAME.tif    what is learned from
    val/images/NAME.tif    val/diameters.json       what is answered, and how large its objects truly are (pixels)
    answers/SIDE/NAME.tif  answers/SIDE/facts.json  an answer and what it took
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

Find = Callable[[str, NDArray[Any]], NDArray[Any]]
"""Numbered objects of an image of a name."""


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""What minutes are counted by. On a machine that others use, too, only those of the processor compare."""


class Clock:
    """Minutes on the wall and of the processor since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def facts(self) -> dict[str, float]:
        """Both, as columns of the table."""
        return {
            "minutes": (time.perf_counter() - self._wall) / 60,
            "CPU minutes": (time.process_time() - self._cpu) / 60,
        }


def arguments(description: str | None) -> argparse.Namespace:
    """What peers.py tells a peer's script."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    return parser.parse_args()


def one_thread(count: int) -> None:
    """Tell the libraries below how many threads to use; before they are imported."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(count)


def images_of(folder: Path) -> dict[str, NDArray[Any]]:
    """Each image of a folder by its name, ``(Y, X)`` or ``(Y, X, 3)``."""
    return {path.stem: tifffile.imread(path) for path in sorted(folder.glob("*.tif"))}


def diameters_of(folder: Path) -> dict[str, float | None]:
    """The true median diameter of each image's objects in pixels."""
    found: dict[str, float | None] = json.loads((folder / "val" / "diameters.json").read_text())
    return found


def answer(folder: Path, side: str, find: Find, facts: Mapping[str, object]) -> None:
    """Number the objects of all validation images, and write that and what it took."""
    goal = folder / "answers" / side
    goal.mkdir(parents=True, exist_ok=True)
    images = images_of(folder / "val" / "images")
    name, image = next(iter(images.items()))
    find(name, image)  # compiles what is compiled once
    clock = Clock()
    for name, image in images.items():
        labels = np.asarray(find(name, image)).astype(np.int32)
        tifffile.imwrite(goal / f"{name}.tif", labels, compression="zlib")
    took = {"s per image": 60 * clock.facts()["CPU minutes"] / len(images)}
    (goal / "facts.json").write_text(json.dumps({**facts, **took}, default=float))
