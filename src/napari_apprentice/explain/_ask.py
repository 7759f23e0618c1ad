"""The verb: what a script calls, and the command line too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.channels import pick_channels
from napari_apprentice.engine.verbs import config_of, load_model
from napari_apprentice.io import open_volume
from napari_apprentice.models.store import Model

from . import EXPLAINERS, ExplainConfig

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.prediction import Prediction

__all__ = ["explanation"]


def explanation(
    image: Volume | os.PathLike[str] | str,
    model: Model | os.PathLike[str] | str,
    *,
    way: str = "gradcam",
    image_class: str | None = None,
    time: int = 0,
    channels: str | None = None,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Prediction:
    """Show why a model said what it says about an image, or where it is unsure.

    Parameters
    ----------
    image
        A volume, or the path of one.
    model
        A model, its name, or its folder.
    way
        Registry name: ``"gradcam"`` (evidence for a class), ``"occlusion"`` (how much of its probability each part carries),
        ``"uncertainty"`` (how far the answer changes with copies of the image).
    image_class
        Name of the class that is asked for; None: the one that the model finds most of.
    time
        Time point.
    channels
        Which channels the model sees, as of `predict`.
    listen
        Called with every event of the job (`Progress`).
    **settings
        Fields of `ExplainConfig`: ``device``, ``diameter``, ``passes``, ``cells``, ``seed``.

    Returns
    -------
    Prediction
        ``image`` is a float32 map from 0 to 1 on the spatial grid of the image, ``image_class`` the class that was asked for.

    Raises
    ------
    BadInputError
        A way that there is not, or that cannot explain this model; a class that the model does not know; a time point that
        there is not; an image that does not fit.

    Examples
    --------
    >>> why = explanation("brain.nii.gz", "tiny model", image_class="spot", device="cpu")
    >>> why.image.shape == open_volume("brain.nii.gz").grid.shape
    True
    """
    explainer = EXPLAINERS[way]
    config = config_of(ExplainConfig, settings)
    volume = image if isinstance(image, Volume) else open_volume(image)
    count = volume.grid.length("T")
    if not 0 <= time < count:
        raise BadInputError(
            f"expected a time point from 0 to {count - 1}, found {time}",
            path=volume.source or volume.name,
        )
    loaded = model if isinstance(model, Model) else load_model(model)
    seen = pick_channels(volume, channels).frame(time)
    asked = image_class if explainer.asks_class else None
    return run_to_end(explainer.explain(seen, loaded, config, asked), listen)
