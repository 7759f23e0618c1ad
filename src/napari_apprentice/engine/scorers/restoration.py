"""Scores of restored images against clean ones: PSNR, SSIM, mean absolute error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.label_files import common_grid
from napari_apprentice.io import open_volume, pair
from napari_apprentice.tasks import TASKS

from ._labels import LabelScorer
from ._scorer import Case, Compared, Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Job

__all__ = ["SCORER", "RestorationScorer"]


class RestorationScorer(LabelScorer):
    """PSNR and SSIM of each image; the data range is that of the clean one."""

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair clean and restored images by name; there are no classes."""
        yield from ()
        return [
            Case(str(said), clean.name, partial(_open, clean, said))
            for clean, said in pair(truth, prediction)
        ]

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """PSNR of every image."""
        return Pooled(figures=self.ranked(cases, {"psnr_db": "PSNR in dB"}))


def _open(clean_path: Path, path: Path) -> Compared:
    """Both images with frames and channels behind one another."""
    clean, said = open_volume(clean_path), open_volume(path)
    _, note = common_grid(clean.grid, said.grid, clean_path, path)
    grid = clean.grid.spatial
    count = clean.grid.length("T") * clean.grid.length("C")
    shape = (count, *grid.shape)
    return Compared(
        Prediction(grid.with_channels(count), image=said.numpy().reshape(shape)),
        Annotation.of_clean(grid, np.asarray(clean.numpy().reshape(shape))),
        note,
    )


SCORER = RestorationScorer(TASKS["restoration"])
