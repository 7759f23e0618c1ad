"""Recipes of a session: what is done to images before a network sees them, shown live and made into images. No Qt."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_apprentice.core.jobs import FinishReason, Preview, Progress
from napari_apprentice.core.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_apprentice.core.jobs import Event, Job, JobStatus
    from napari_apprentice.core.spec import FilterSpec, ModelSpec, Normalization
    from napari_apprentice.engine.config import TrainConfig
    from napari_apprentice.engine.glimpse import Glimpse
    from napari_apprentice.engine.split import TrainItem

    from ._launcher import Launcher

__all__ = [
    "Previewer",
    "Recipe",
    "change_job",
    "glimpse_job",
    "prepare_job",
    "preview_job",
    "resample_job",
]

_MOST_VOXELS = 2**26
_REACH = 4


@dataclass(frozen=True)
class Recipe:
    """Filters and normalisation, as `TrainConfig` takes them.

    Parameters
    ----------
    filters
        ``"bias_field, median:radius=2"``; empty: none.
    normalization
        ``"percentile:1:99"``; None: as a network is planned.
    """

    filters: str = ""
    normalization: str | None = None

    def read(self) -> tuple[tuple[FilterSpec, ...], Normalization | None]:
        """What the words mean.

        Raises
        ------
        BadInputError
            They mean nothing.
        """
        from napari_apprentice.engine.recipe import parse_filters, parse_normalization

        how = self.normalization
        return parse_filters(self.filters), None if how is None else parse_normalization(how)

    def describe(self) -> str:
        """``"median:radius=2, then percentile:1:99"``; empty where nothing is asked for."""
        return ", then ".join(filter(None, (self.filters, self.normalization)))


def prepare_job(volume: Volume, recipe: Recipe) -> Job[Volume]:
    """Make a new image, with all channels and time points, on the grid of the old one."""
    from napari_apprentice.engine.retouch import retouching

    yield Progress("preparing")
    made = yield from retouching(volume, *recipe.read())
    return replace(made, name=f"{volume.name} ▸ prepared")


def resample_job(volume: Volume, spacing: Sequence[float]) -> Job[Volume]:
    """Make a new image of another spacing."""
    from napari_apprentice.engine.geometry import resampling

    yield Progress("resampling")
    made = yield from resampling(volume, spacing)
    return replace(made, name=f"{volume.name} ▸ resampled")


def change_job(volume: Volume, change: Callable[[Volume], Volume], name: str) -> Job[Volume]:
    """Make a new image of another by one change: cropped, turned, flipped."""
    yield Progress(name)
    return replace(change(volume), name=f"{volume.name} ▸ {name}")


def preview_job(volume: Volume, recipe: Recipe, at: int = 0) -> Job[Volume]:
    """Show what a recipe makes of an image: of the plane on show first, then of the whole.

    Parameters
    ----------
    volume
        One frame.
    at
        Plane on show. Filters that see planes together get those around it, too.

    Yields
    ------
    Preview
        The plane, on its own grid in the volume.

    Returns
    -------
    Volume
        The whole; the plane alone where the image is too large for a preview.
    """
    from napari_apprentice.engine.retouch import retouching

    yield Progress("preparing")
    steps, how = recipe.read()
    if volume.grid.ndim == 2:
        return (yield from retouching(volume, steps, how))
    plane = yield from _plane(volume, steps, how, at)
    if math.prod(volume.grid.shape) > _MOST_VOXELS:
        return plane
    yield Preview(volume.name, plane.numpy(), plane.grid, labels=False)
    return (yield from retouching(volume, steps, how))


def _plane(
    volume: Volume, steps: Sequence[FilterSpec], how: Normalization | None, at: int
) -> Job[Volume]:
    """One plane, filtered with its neighbours."""
    from napari_apprentice.engine.geometry import cropped
    from napari_apprentice.engine.retouch import retouching

    depth, *rest = volume.grid.spatial_shape
    at = min(max(at, 0), depth - 1)
    reach = _REACH if steps else 0
    low, high = max(0, at - reach), min(depth, at + reach + 1)
    slab = cropped(volume, (low, 0, 0), (high, *rest))
    made = yield from retouching(slab, steps, how)
    return cropped(made, (at - low, 0, 0), (at - low + 1, *rest))


def glimpse_job(
    items: Callable[[], Sequence[TrainItem]],
    init: ModelSpec | None,
    config: TrainConfig,
    task: str,
    count: int,
) -> Job[Glimpse]:
    """Draw patches as a training would; see `napari_apprentice.engine.glimpse`."""
    from napari_apprentice.engine.loading import calm_collector

    yield Progress("preparing")
    with calm_collector():
        importlib.import_module("torch")
    from napari_apprentice.engine.glimpse import glimpse

    return (yield from glimpse(items(), init=init, config=config, task=task, count=count))


class Previewer:
    """Shows the newest of what is asked for; what is at work for an older one is cancelled.

    Parameters
    ----------
    launcher
        Runs its jobs, beside those of the session.
    """

    shown = Signal(Volume)
    """A preview is there: of one plane, or of the whole image."""
    failed = Signal(object)
    """The error because of which there is none."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._next: Callable[[], Job[Volume]] | None = None
        self._of: Volume | None = None
        launcher.happened.connect(self._on_launcher_happened)
        launcher.status_changed.connect(self._on_launcher_status)

    @property
    def is_busy(self) -> bool:
        """Whether one is being made."""
        return self._next is not None or self._launcher.runner.status.is_running

    def ask(self, volume: Volume, recipe: Recipe, at: int = 0) -> None:
        """Preview a recipe on one frame; see `preview_job`."""
        self._of, self._next = volume, partial(preview_job, volume, recipe, at)
        self._go_on()

    def stop(self) -> None:
        """Show nothing any more."""
        self._next = None
        self._launcher.runner.cancel()

    def close(self) -> None:
        """Stop for good."""
        self._next = None
        self._launcher.close()

    def _go_on(self) -> None:
        if self._launcher.runner.status.is_running:
            self._launcher.runner.cancel()  # its end starts the next
        elif self._next is not None:
            make, self._next = self._next, None
            self._launcher.launch("Previewing", make(), self._show)

    def _show(self, volume: Volume) -> None:
        if self._next is None:
            self.shown.emit(volume)

    def _on_launcher_happened(self, event: Event) -> None:
        if isinstance(event, Preview) and self._of is not None and self._next is None:
            volume = replace(self._of, data=event.data, grid=event.grid, pyramid=(), display=())
            self.shown.emit(replace(volume, rgb=False, source=None, metadata={}))

    def _on_launcher_status(self, status: JobStatus) -> None:
        if status.is_running:
            return
        if status.reason is FinishReason.ERRORED and self._next is None:
            self.failed.emit(status.error)
        self._go_on()
