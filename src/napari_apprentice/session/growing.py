"""Adding an object with one click: what the network shows there becomes an object of the annotation. No Qt."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import FinishReason, JobStatus, Progress

from ._lesson import diameter_of
from .channels import fed
from .objects import new_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.engine.grow import GrownObject
    from napari_apprentice.models.store import Model

    from .channels import Channels
    from .edits import AnnotationState
    from .session import Session

__all__ = ["Growing", "add_object", "usual_diameter"]

_FEWEST = 3
_SAMPLE = 200
_NAME = "Adding an object"


@dataclass(frozen=True, eq=False)
class _Click:
    """Where a person clicked, and all that was chosen at that moment."""

    state: AnnotationState
    voxel: tuple[int, ...]
    volume: Volume
    channels: Channels | None
    spec: ModelSpec
    config: PredictConfig


class Growing:
    """Grows objects at places that a person clicks, one after the other.

    Parameters
    ----------
    session
        Whose image, model and annotation it is about.
    """

    added = Signal(int)
    """An object was added; its number."""
    failed = Signal(str)
    """Nothing was added; the sentence says why."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[_Click] = deque()
        self._model: Model | None = None
        session.status_changed.connect(self._on_session_status)

    def close(self, *_: object) -> None:
        """Add nothing more, and tell nobody."""
        self.stop()
        self._session.status_changed.disconnect(self._on_session_status, missing_ok=True)
        self.added.disconnect()
        self.failed.disconnect()

    @property
    def waiting(self) -> int:
        """How many clicks wait for the one at work."""
        return len(self._waiting)

    def problem(self) -> str | None:
        """Why nothing can be grown, or None where it can."""
        spec = self._session.spec
        if self._session.volume is None:
            return "Open or select an image first."
        if spec is None:
            return "There is no model for this image: choose one in Predict."
        from napari_apprentice.engine.grow import can_grow

        if not can_grow(spec):
            return f"{spec.name} finds no objects: choose a model that does in Predict."
        return None

    def add(self, state: AnnotationState, place: Sequence[int]) -> None:
        """Add the object at a voxel; `added` or `failed` tells what became of it."""
        session = self._session
        volume, spec, problem = session.volume, session.spec, self.problem()
        if session.busy and session.status.name != _NAME:
            problem = problem or session.busy
        if problem is not None or volume is None or spec is None:
            self.failed.emit(problem or "")
            return
        voxel = tuple(int(v) for v in place)
        frame = volume.frame(session.frame or 0)
        config = session.config.model_copy(update={"diameter": session.diameter})
        self._take(_Click(state, voxel, frame, session.channels, spec, config))

    def stop(self) -> None:
        """Forget the clicks that wait."""
        self._waiting.clear()

    def _take(self, click: _Click) -> None:
        value = int(click.state.labels[click.voxel])
        if value:
            self.failed.emit(f"Object {value} is there already.")
        elif self._session.busy:
            self._waiting.append(click)
        else:
            self._session.launch(_NAME, self._job(click), lambda grown: self._end(click, grown))

    def _end(self, click: _Click, grown: GrownObject | None) -> None:
        try:
            self.added.emit(add_object(click.state, click.voxel, grown))
        except BadInputError as error:
            self.failed.emit(str(error))

    def _on_session_status(self, status: JobStatus) -> None:
        if status.is_running or not self._waiting:
            return
        if status.reason is FinishReason.COMPLETED:
            self._take(self._waiting.popleft())
        else:
            self.stop()

    def _job(self, click: _Click) -> Job[GrownObject | None]:
        from napari_apprentice.engine.grow import grow
        from napari_apprentice.engine.loading import load_libraries

        yield Progress("looking")
        load_libraries(training=False)
        if self._model is None or self._model.spec != click.spec:
            self._model = self._session.store.load(click.spec.name)
        seen = fed(click.volume, click.channels)
        usual = usual_diameter(click.state)
        return (yield from grow(seen, self._model, click.config, click.voxel, usual=usual))


def usual_diameter(state: AnnotationState) -> float | None:
    """Median diameter of the objects in the unit of the grid; None where there are too few to tell."""
    numbers = state.index.numbers()
    if len(numbers) < _FEWEST:
        return None
    some = numbers[:: max(1, len(numbers) // _SAMPLE)]
    spacing = np.array(state.grid.spacing)
    found = (state.index.mask(int(n)) for n in some)
    return float(np.median([diameter_of(one[1], spacing) for one in found if one is not None]))


def add_object(state: AnnotationState, place: Sequence[int], grown: GrownObject | None) -> int:
    """Write a grown object where nothing is labelled, as one edit; return its number.

    Parameters
    ----------
    place
        The voxel that was clicked; of what is left of the object, the piece with this voxel is taken.
    grown
        What the network shows there; None for nothing.

    Raises
    ------
    BadInputError
        It shows nothing, or something is labelled there by now.
    """
    from scipy import ndimage

    if grown is None:
        raise BadInputError("the model shows no object there", remedy="Paint it as a new object.")
    box = tuple(slice(a, a + n) for a, n in zip(grown.start, grown.mask.shape, strict=True))
    before = state.labels[box].copy()
    inner = tuple(int(v) - a for v, a in zip(place, grown.start, strict=True))
    pieces, _ = ndimage.label(grown.mask & (before == 0))
    piece = int(pieces[inner])
    if not piece:
        raise BadInputError(f"object {int(before[inner])} is there already")
    mask = pieces == piece
    number = new_object(state)
    after = np.where(mask, number, before).astype(before.dtype)
    bare = state.painted[box]
    blocks = changed_blocks(grown.start, before, after, bare, bare | mask)
    state.apply(Edit(f"Add object {number}", blocks, notes={number: (None, grown.note)}))
    return number
