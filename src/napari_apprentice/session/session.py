"""`Session`: what one viewer works on: its image, its model, its annotations and the job at work. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from psygnal import Signal

from . import _jobs as jobs
from ._jobs import Candidate, Predicted
from ._learning import Learning
from .text import describe_answer

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.models.store import ModelStore

    from ._jobs import Predictor, Trainer
    from ._working import Action
    from .settings import Preferences

__all__ = ["Candidate", "Predicted", "Session"]


class Session(Learning):
    """Application state of one viewer and the jobs at work on it, shared by its docks.

    All signals are emitted through `post`, which in the application means: on the main thread.

    Parameters
    ----------
    store
        The models at hand.
    start
        Runs a function in a worker thread.
    post
        Runs a function on the thread of the docks; may be called from any thread. Default: at once.
    preferences
        What the forms start with.
    predict, train
        What does the work; default: the engine.
    folder
        Where training keeps its checkpoints.
    """

    predicted = Signal(Predicted)
    """A prediction is there."""

    def __init__(
        self,
        store: ModelStore,
        start: Callable[[Action], None],
        post: Callable[[Action], None] = lambda action: action(),
        *,
        preferences: Preferences | None = None,
        predict: Predictor | None = None,
        train: Trainer | None = None,
        folder: Path | None = None,
    ) -> None:
        super().__init__(store, start, post, preferences, train, folder)
        self.remark = ""
        self.config: PredictConfig = self.preferences.predict
        self._predict = predict or jobs.engine_predict

    @property
    def predictor(self) -> Predictor | None:
        """What applies models; None: the engine."""
        return None if self._predict is jobs.engine_predict else self._predict

    def predict_problem(self) -> str | None:
        """Why *Predict* cannot be pressed now, or None where it can."""
        if self.volume is None:
            return "Open or select an image first."
        if self.spec is None:
            return (
                "No model fits this image: start one in Learn, or add one."
                if self.specs
                else ("There is no model yet: annotate a little in Correct, then Learn.")
            )
        return self.unfit or self.busy

    def cost(self, config: PredictConfig) -> str:
        """Say what a prediction will cost: ``"≈ 3 s on CPU · 0.2 GB"``; empty where nothing can be predicted."""
        if self.volume is None or self.spec is None or self.unfit is not None:
            return ""
        return jobs.describe_cost(self.volume, self.spec, config)

    def predict(self, config: PredictConfig) -> bool:
        """Apply the chosen model to the image; `predicted` tells when it is done.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        volume, key, model, problem = self.volume, self.key, self.model, self.predict_problem()
        if problem is not None or volume is None or key is None or model is None:
            self.refused.emit(problem or "")
            return False

        self.config = config
        self.set_diameter(config.diameter)
        said = self._corrections()

        def done(prediction: Prediction) -> None:
            if key == self.key:
                self.summary = describe_answer(prediction)
                made = prediction.provenance
                self.notes = () if made is None else made.notes
            name = f"{volume.name} ▸ {model}"
            is_annotating = said != self._corrections()
            self.predicted.emit(Predicted(key, volume, prediction, name, is_annotating))

        self.remark, self.notes = "", ()
        job = jobs.predict_job(self.store, model, volume, self.channels, config, self._predict)
        return self.launch(f"Predicting {volume.name}", job, done)

    def _corrections(self) -> int:
        """How many corrections there are in the annotations of this session."""
        return sum(state.n_corrections for state in self.annotations.values())
