"""How much work it is to correct numbered objects: our tools against painting, by a simulated person.

::

    python benchmarks/corrections.py --data DATA            # validation split
    python benchmarks/corrections.py --data DATA --every 3  # every third image of it

The person looks at one image after the other, knows the truth, and mends one wrong object after the other, from top to
bottom, until the F1 of the image (at IoU 0.5) is 0.95. With the tools, as the dock *Correct* has them:

- an object where there is none: a click and *Delete*;
- several objects in one: a line between two of them (*Split by a line*), again for each further one;
- an object in pieces: two clicks (*Merge*) for each further piece;
- a missed object: a click (*Add by click*); what the network shows there is kept where it is right (IoU 0.5), else it is
  taken back and the object is painted;
- any other wrong shape: deleted by a click, then a missed object.

Painting only, every wrong object is one stroke that is perfect at once, which flatters painting: erased, or painted under a
number of its own; either what the network found is mended so, or everything is painted from nothing. *Gestures* are clicks, lines and strokes, those that failed included. *Drawn* is what the pen has to
travel while it is down, in diameters of the image's median object: for a painted object its area by the width of a brush of a third of
its diameter.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _report import report
from instances import fields
from scipy import ndimage

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.grow import grow
from napari_apprentice.engine.predict import predict
from napari_apprentice.measure.instances import match, score_instances
from napari_apprentice.measure.pairs import Overlaps
from napari_apprentice.models.store import ModelStore
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.growing import add_object, usual_diameter
from napari_apprentice.session.objects import delete_object, merge_objects, new_object
from napari_apprentice.session.splitting import split_along

if TYPE_CHECKING:
    from instances import Field
    from numpy.typing import NDArray

    from napari_apprentice.models.store import Model

_WANTED = 0.95
_SAME = 0.5
_MOSTLY = 0.5
_BRUSH = 1 / 3


@dataclass
class Effort:
    """What a person did."""

    gestures: Counter[str] = field(default_factory=Counter)
    drawn: float = 0.0

    @property
    def total(self) -> int:
        """All gestures."""
        return self.gestures.total()


class Annotator:
    """Somebody who knows the truth, at work on one image.

    Parameters
    ----------
    labels
        What the network found.
    item
        The image and the true objects.
    model
        For *Add by click*.
    """

    def __init__(self, labels: NDArray[Any], item: Field, model: Model | None) -> None:
        said = item.item.annotation
        self.truth, self.model, self.volume = said.labels, model, item.item.volume
        self.state = AnnotationState("image", said.grid, labels.copy(), (), objects=True)
        self.effort = Effort()
        self._painted: set[int] = set()
        _, sizes = np.unique(self.truth[self.truth > 0], return_counts=True)
        self.diameter = float(np.median(2 * np.sqrt(sizes / np.pi)))

    @property
    def f1(self) -> float:
        """At IoU 0.5; 1 where there is nothing and nothing is found."""
        score = score_instances(self.state.labels, self.truth, thresholds=(_SAME,))
        value = score.to_dict()["f1_50"]
        return 1.0 if np.isnan(value) else value

    def work(self) -> Effort:
        """Mend wrong objects until it is good enough."""
        mend = self._paint_next if self.model is None else self._mend_next
        most = 4 * (int(self.truth.max()) + len(self.state.index.numbers())) + 10
        for _ in range(most):
            if self.f1 >= _WANTED:
                return self.effort
            mend()
        raise RuntimeError(f"expected to be done after {most} corrections, F1 is {self.f1:.3f}")

    # -- what is wrong ----------------------------------------------------------------------

    def _wrong(self) -> tuple[list[int], list[int], Overlaps]:
        """Numbers of the true objects that are missed and of the predictions that are wrong, from top to bottom."""
        overlaps = Overlaps.of(self.state.labels, self.truth)
        pairs = match(overlaps, _SAME)
        missed = np.delete(overlaps.truth_ids, overlaps.rows[pairs])
        wrong = np.delete(overlaps.prediction_ids, overlaps.columns[pairs])
        return _downwards(missed, self.truth), _downwards(wrong, self.state.labels), overlaps

    def _inside(self, prediction: int) -> list[int]:
        """True objects that lie mostly in a prediction, largest first."""
        found, counts = np.unique(self.truth[self.state.labels == prediction], return_counts=True)
        order = np.argsort(-counts)
        return [
            int(found[i])
            for i in order
            if found[i] and counts[i] > _MOSTLY * np.count_nonzero(self.truth == found[i])
        ]

    def _pieces(self, true: int) -> list[int]:
        """Predictions that lie mostly in a true object, largest first."""
        found, counts = np.unique(self.state.labels[self.truth == true], return_counts=True)
        order = np.argsort(-counts)
        return [
            int(found[i])
            for i in order
            if found[i] and counts[i] > _MOSTLY * np.count_nonzero(self.state.labels == found[i])
        ]

    # -- with the tools -----------------------------------------------------------------------

    def _mend_next(self) -> None:
        missed, wrong, _ = self._wrong()
        for prediction in wrong:
            inside = self._inside(prediction)
            if len(inside) > 1 and self._split(prediction, inside):
                return
        for true in missed:
            pieces = self._pieces(true)
            if len(pieces) > 1:
                return self._merge(pieces)
        for prediction in wrong:
            return self._delete(prediction)
        self._add(missed[0])

    def _split(self, prediction: int, inside: list[int]) -> bool:
        """Draw a line between the two largest objects in it; whether that made two of one."""
        line = self._between(prediction, *inside[:2])
        self._count("line", float(np.hypot(*(line[1] - line[0]))))
        try:
            split_along(self.state, line)
        except BadInputError:
            return False
        return True

    def _between(self, prediction: int, one: int, other: int) -> NDArray[np.float64]:
        """A line across a prediction, between two true objects."""
        mask = self.state.labels == prediction
        a, b = (np.argwhere(mask & (self.truth == n)) for n in (one, other))
        way = b.mean(axis=0) - a.mean(axis=0)
        way /= max(float(np.hypot(*way)), 1e-9)
        # Where the two are nearest to each other along the way between them.
        middle = (np.percentile(a @ way, 95) + np.percentile(b @ way, 5)) / 2
        centre = (a.mean(axis=0) + b.mean(axis=0)) / 2
        centre = centre + way * (middle - centre @ way)
        across = np.array([-way[1], way[0]])
        places = np.argwhere(mask)
        near = places[np.abs((places - centre) @ way) <= 1.0]
        reach = (near - centre) @ across if len(near) else np.array([-1.0, 1.0])
        return centre + np.outer([reach.min() - 1, reach.max() + 1], across)

    def _merge(self, pieces: list[int]) -> None:
        merge_objects(self.state, pieces[0], pieces[1])
        self._count("click", times=2)

    def _delete(self, prediction: int) -> None:
        delete_object(self.state, prediction)
        self._count("click")

    def _add(self, true: int) -> None:
        """Click into a missed object; paint it where that does not help."""
        mask = self.truth == true
        place = _deepest(mask & (self.state.labels == 0))
        if place is None or true in self._painted:
            return self._paint(true)
        self._count("click")
        try:
            assert self.model is not None
            job = grow(
                self.volume,
                self.model,
                PredictConfig(device="cpu"),
                place,
                usual=usual_diameter(self.state),
            )
            number = add_object(self.state, place, run_to_end(job))
        except BadInputError:
            return self._paint(true)
        added = self.state.labels == number
        if np.count_nonzero(added & mask) < _SAME * np.count_nonzero(added | mask):
            self.state.undo()
            self._paint(true)
        return None

    # -- with the brush -----------------------------------------------------------------------

    def _paint_next(self) -> None:
        missed, wrong, _ = self._wrong()
        if missed:
            return self._paint(missed[0])
        mask = self.state.labels == wrong[0]
        return self._stroke(mask, 0)

    def _paint(self, true: int) -> None:
        """Paint a whole object under a number of its own."""
        self._painted.add(true)
        self._stroke(self.truth == true, new_object(self.state))

    def _stroke(self, mask: NDArray[np.bool_], value: int) -> None:
        values = np.full(mask.shape, value, self.state.labels.dtype)
        self.state.paint((0,) * mask.ndim, values, mask, name="Brush")
        size = float(np.count_nonzero(mask))
        self._count("stroke", size / (_BRUSH * 2 * np.sqrt(size / np.pi)))

    def _count(self, kind: str, length: float = 0.0, times: int = 1) -> None:
        self.effort.gestures[kind] += times
        self.effort.drawn += length / self.diameter


def _downwards(numbers: NDArray[Any], labels: NDArray[Any]) -> list[int]:
    """Numbers by the place of their objects, from top to bottom."""
    if not len(numbers):
        return []
    rows = np.array(ndimage.center_of_mass(labels > 0, labels, numbers))[:, 0]
    return [int(n) for n in np.asarray(numbers)[np.argsort(rows, kind="stable")]]


def _deepest(mask: NDArray[np.bool_]) -> tuple[int, ...] | None:
    """The voxel farthest from the border; None of nothing."""
    if not mask.any():
        return None
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return tuple(int(v) for v in np.unravel_index(depth.argmax(), depth.shape))


# -- all images -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corrected:
    """Whether an image was good at once; effort with tools, painting only, and painting from nothing."""

    good: bool
    tools: Effort
    brush: Effort
    nothing: Effort


@dataclass
class Tally:
    """A group of images."""

    images: int = 0
    objects: int = 0
    good: int = 0
    tools: Effort = field(default_factory=Effort)
    brush: Effort = field(default_factory=Effort)
    nothing: Effort = field(default_factory=Effort)

    def add(self, objects: int, found: Corrected) -> None:
        """Count an image."""
        self.images += 1
        self.objects += objects
        self.good += found.good
        for name in ("tools", "brush", "nothing"):
            mine, one = getattr(self, name), getattr(found, name)
            mine.gestures += one.gestures
            mine.drawn += one.drawn

    def row(self, name: str) -> dict[str, object]:
        """Its line of the table."""
        return {
            "images": name,
            "n": self.images,
            "objects": self.objects,
            "good at once": self.good,
            "gestures with tools": self.tools.total,
            "clicks": self.tools.gestures["click"],
            "lines": self.tools.gestures["line"],
            "strokes": self.tools.gestures["stroke"],
            "drawn ⌀": self.tools.drawn,
            "painting only: strokes": self.brush.total,
            "drawn ⌀ ": self.brush.drawn,
            "from nothing: strokes": self.nothing.total,
            "drawn ⌀  ": self.nothing.drawn,
            "gestures / painting only": self.tools.total / max(1, self.brush.total),
            "drawn / painting only": self.tools.drawn / max(1e-9, self.brush.drawn),
            "gestures / from nothing": self.tools.total / max(1, self.nothing.total),
        }


def corrected(item: Field, model: Model) -> Corrected:
    """Correct an image in all three ways."""
    found = run_to_end(predict(item.item.volume, model, PredictConfig(device="cpu")))
    assert found.labels is not None
    first = Annotator(found.labels, item, model)
    good = first.f1 >= _WANTED
    brush = Annotator(found.labels, item, None)
    nothing = Annotator(np.zeros_like(found.labels), item, None)
    return Corrected(good, first.work(), brush.work(), nothing.work())


def main() -> None:
    """Correct images and append the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    model = ModelStore().load(given.model)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for item in fields(given.data, [given.split])[:: given.every]:
        found = corrected(item, model)
        objects = len(np.unique(item.item.annotation.labels)) - 1
        for group in item.groups:
            tallies[group].add(objects, found)
    order = sorted(tallies, key=lambda name: (name.startswith("all"), name))
    report(
        f"Corrections until F1 is 0.95: {model.spec.name}",
        [tallies[name].row(name) for name in order],
        f"`corrections.py`: {given.split} split, every {given.every}. image, simulated person. Strokes of painting are perfect at once.",
    )


if __name__ == "__main__":
    main()
