"""`Preferences`: what is the person's own, as plain values; where they are stored is not known here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from napari_apprentice.engine.config import PredictConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Preferences"]

_C = TypeVar("_C", PredictConfig, TrainConfig)


@dataclass(frozen=True)
class Preferences:
    """How a person likes to work; read once when a session begins.

    Parameters
    ----------
    predict, train
        What the forms of *Predict* and *Learn* start with.
    """

    predict: PredictConfig = field(default_factory=PredictConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def read(cls, values: Mapping[str, object]) -> Preferences:
        """Take what is valid from stored values; the rest keeps its default, so that nothing blocks the start.

        Parameters
        ----------
        values
            ``"device"`` and ``"training_minutes"``, as the manifest declares them.
        """
        device, minutes = values.get("device"), values.get("training_minutes")
        predict, train = PredictConfig(), TrainConfig()
        if device is not None:
            predict = _updated(predict, "device", device)
            train = _updated(train, "device", device)
        if minutes is not None:
            train = _updated(train, "minutes", minutes)
        return cls(predict, train)


def _updated(config: _C, name: str, value: object) -> _C:
    try:
        return type(config)(**{**config.model_dump(), name: value})
    except ValidationError:
        return config
