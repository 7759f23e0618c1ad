"""What the Explain dock does: which ways there are for a model, what they cost, and the job. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import estimate
from napari_apprentice.explain import EXPLAINERS

from .channels import fed, outline
from .text import duration

if TYPE_CHECKING:
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.explain import ExplainConfig
    from napari_apprentice.models.store import ModelStore

    from .channels import Channels

__all__ = ["Way", "describe_cost", "explain_job", "problem_of", "ways"]


@dataclass(frozen=True)
class Way:
    """A way to explain, as a list shows it.

    Parameters
    ----------
    key
        Registry name.
    title, description
        For people.
    asks_class
        Whether it explains one class.
    """

    key: str
    title: str
    description: str
    asks_class: bool


def ways() -> list[Way]:
    """All ways to explain."""
    return [Way(key, e.title, e.description, e.asks_class) for key, e in EXPLAINERS.items()]


def problem_of(key: str, spec: ModelSpec) -> str | None:
    """Why a way cannot explain a model, as a sentence, or None where it can."""
    reason = EXPLAINERS[key].problem(spec)
    if reason is None:
        return None
    others = [e.title for _, e in EXPLAINERS.items() if e.problem(spec) is None]
    advice = " or ".join(others) or "another model"
    return f"{EXPLAINERS[key].title} does not suit {spec.name}: it {reason}. Choose {advice}."


def describe_cost(
    key: str, volume: Volume, channels: Channels | None, spec: ModelSpec, config: ExplainConfig
) -> str:
    """Say what an explanation costs: ``"≈ 12 s · up to about 2.2 predictions"``; no voxel is read.

    Seconds are of the network; a prediction of a small image takes about as long for everything else.
    """
    seen = outline(volume, channels)
    cost = estimate(seen, spec, PredictConfig(device=config.device, diameter=config.diameter))
    times = EXPLAINERS[key].predictions(seen.grid.spatial, spec, config)
    seconds = duration(cost.seconds / seen.grid.length("T") * times)
    more = "" if cost.is_sized else " or more"  # where objects turn out to be small
    return f"≈ {seconds}{more} · up to about {times:.2g} prediction{'s' if times != 1 else ''}"


def explain_job(
    store: ModelStore,
    name: str,
    volume: Volume,
    frame: int,
    channels: Channels | None,
    key: str,
    config: ExplainConfig,
    image_class: str | None,
) -> Job[Prediction]:
    """Load a model and explain its answer about one time point.

    Raises
    ------
    BadInputError
        What the way refuses; see `Explainer`.
    """
    from napari_apprentice.engine.loading import load_libraries

    yield Progress(f"loading {name}")
    load_libraries(training=False)
    model = store.load(name)
    way = EXPLAINERS[key]
    if problem_of(key, model.spec) is not None:
        raise BadInputError(problem_of(key, model.spec) or "")
    seen = fed(volume, channels).frame(frame)
    return (yield from way.explain(seen, model, config, image_class if way.asks_class else None))
