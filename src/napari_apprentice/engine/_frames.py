"""Time points of a volume, and their predictions put behind one another."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["frames_of", "joined_frames", "single_frame"]


def frames_of(volume: Volume, time: int | None) -> range:
    """Which frames are wanted: one, or all (None).

    Raises
    ------
    BadInputError
        There is no such time point.
    """
    count = volume.grid.length("T")
    if time is None:
        return range(count)
    if not 0 <= time < count:
        raise BadInputError(
            f"expected a time point from 0 to {count - 1}, found {time}",
            path=volume.source or volume.name,
        )
    return range(time, time + 1)


def single_frame(volume: Volume, path: Path | None = None) -> Volume:
    """The image without its time axis.

    Raises
    ------
    BadInputError
        It has several time points; `path` names it, else its source.
    """
    count = volume.grid.length("T")
    if count > 1:
        raise BadInputError(
            f"expected one time point, found {count}",
            path=path or volume.source or volume.name,
            remedy="Save the frames as files of their own.",
        )
    return volume.frame(0)


def joined_frames(predictions: list[Prediction], source: Grid) -> Prediction:
    """Put the predictions of all frames behind one another, on a grid with time."""
    first = predictions[0]
    grid = source.without("C")
    if "C" in first.grid.axes:
        grid = grid.with_channels(first.grid.length("C"))
    labels = [p.labels for p in predictions if p.labels is not None]
    images = [p.image for p in predictions if p.image is not None]
    table = {
        f"{name} (frame {frame})": value
        for frame, prediction in enumerate(predictions)
        for name, value in prediction.table.items()
    }
    columns = [
        {**p.objects, "frame": np.full(p.count or 0, frame, np.int32)}
        for frame, p in enumerate(predictions)
        if p.objects
    ]
    objects = (
        {name: np.concatenate([c[name] for c in columns]) for name in columns[0]} if columns else {}
    )
    summary = first.summary
    if len(predictions) > 1 and first.summary:
        summary = f"{len(predictions)} frames, the first: {first.summary}"
    return Prediction(
        grid=grid,
        labels=np.stack(labels) if labels else None,
        image=np.stack(images) if images else None,
        classes=first.classes,
        table=table,
        summary=summary,
        objects=objects,
        **_joined_places(predictions),
        is_map=first.is_map,
        slice_doubts=tuple(
            np.stack(of_axis)
            for of_axis in zip(*(p.slice_doubts for p in predictions), strict=True)
        ),
    )


def _joined_places(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Detections of all frames, and of which frame each is."""
    several = [p.detections for p in predictions if p.detections is not None]
    if not several:
        return {}
    frames = [np.full(len(found), frame, np.int32) for frame, found in enumerate(several)]
    return {"detections": reduce(Detections.joined, several), "frames": np.concatenate(frames)}
