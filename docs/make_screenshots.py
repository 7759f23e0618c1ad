"""Take the pictures of the docs: drive the real window through its steps, with the samples and starters of the package.

Needs a display of 1280 × 800; a virtual one will do::

    xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_screenshots.py

With ``--only NAME`` it takes those of one tour. With ``--data FOLDER`` it takes the pictures of scans and microscopes instead, from the real images described in CONTRIBUTING.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tours import brain, cells, how_to, marking, noise, nuclei, scans, slices, volume
from tours.stage import HOW_TO, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

TOURS: dict[str, Callable[[], None]] = {
    "brain": lambda: brain.tour(Stage()),
    "count": lambda: nuclei.count(Stage()),
    "cells": lambda: cells.classify(Stage("Classify")),
    "cells-unlike": lambda: cells.unlike(Stage("Restore")),
    "cells-more": lambda: cells.made_up(Stage("Synthesise")),
    "objects": lambda: how_to.objects(Stage("Objects", HOW_TO)),
    "evaluate": lambda: how_to.evaluate(Stage("Evaluate", HOW_TO)),
    "explain": lambda: how_to.explain(Stage("Explain", HOW_TO)),
    "explain-objects": lambda: how_to.explain_objects(Stage("Explain", HOW_TO)),
    "explain-boxes": lambda: how_to.explain_boxes(Stage("Explain", HOW_TO)),
    "mark": lambda: marking.mark(Stage()),
    "restore": lambda: noise.denoise(Stage()),
    "slices": lambda: slices.slices(Stage()),
    "volume": lambda: volume.volume(Stage()),
    "synthesise": lambda: how_to.synthesise(Stage("Synthesise", HOW_TO)),
    "detect": lambda: how_to.detect(Stage("Apprentice", HOW_TO)),
    "prepare": lambda: how_to.prepare(Stage("Prepare", HOW_TO)),
}


def main() -> int:
    """Take all pictures; a temporary home keeps the person's own models and settings out of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="folder of the real images")
    parser.add_argument("--only", choices=sorted(TOURS))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_APPRENTICE_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "settings.yaml")
        if given.data is not None:
            scans.scans(given.data)
            return 0
        for name, take in TOURS.items():
            if given.only in (None, name):
                take()
    return 0


if __name__ == "__main__":
    sys.exit(main())
