"""The main job played on a sample in the real viewer, by the buttons a person would press.

Started by ``napari-apprentice demo`` as ``python -m napari_apprentice.widgets.demo``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import ApprenticeError, JobError
from napari_apprentice.engine.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import napari
    from numpy.typing import NDArray

    from napari_apprentice.session.session import Predicted

    from .apprentice import ApprenticeDock

__all__ = ["Demo", "Outcome", "main"]

SAMPLE, MODEL = "brain-mri", "hippocampus-mri"
EVERY = 3
STEPS = 48
LONGEST_LEARNING = 240.0
_PATIENCE = 600.0
_INTERRUPTED = 130
_WINDOW = (1280, 800)


@dataclass(frozen=True)
class Outcome:
    """What the demo showed.

    Parameters
    ----------
    before, after
        Mean Dice of the classes on the slices that nobody corrected.
    corrected
        Indices of the slices that were.
    seconds
        Wall time of each chapter.
    """

    before: float
    after: float
    corrected: tuple[int, ...]
    seconds: dict[str, float]

    @property
    def is_better(self) -> bool:
        """Whether learning helped where nobody corrected."""
        return self.after > self.before

    def describe(self) -> str:
        """Say it in one line."""
        count = len(self.corrected)
        return (
            f"Dice on the slices that were not corrected: {self.before:.3f} before, "
            f"{self.after:.3f} after learning from {count} corrected slices "
            f"({sum(self.seconds.values()):.0f} s in all)"
        )


class Demo:
    """A person at work: opens a sample, predicts, corrects some slices, lets the model learn, predicts again.

    Parameters
    ----------
    viewer
        With a window; the dock is added to it.
    out
        Folder for the screenshots; made where it does not exist.
    config
        How the model learns.
    sample, model
        What is opened, and which model is chosen.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        out: Path,
        config: TrainConfig,
        *,
        sample: str = SAMPLE,
        model: str = MODEL,
    ) -> None:
        self.viewer, self.out, self.config = viewer, out, config
        self.sample, self.model = sample, model
        self.truth = _truth_of(sample)
        self.dock = _add_dock(viewer)
        self.session = self.dock.session
        self.said: list[Predicted] = []
        self.seconds: dict[str, float] = {}
        self.session.predicted.connect(self.said.append)
        out.mkdir(parents=True, exist_ok=True)

    def play(self) -> Outcome:
        """Play it to the end.

        Raises
        ------
        ApprenticeError
            A step could not be done, or took longer than ten minutes.
        """
        chapters: dict[str, Callable[[], None]] = {
            "opened": self._open,
            "predicted": self._predict,
            "corrected": self._correct,
            "learned": self._learn,
            "predicted again": self._use_and_predict,
        }
        for number, (name, chapter) in enumerate(chapters.items(), start=1):
            began = time.perf_counter()
            chapter()
            self.seconds[name] = time.perf_counter() - began
            self._take_picture(f"{number}-{name.replace(' ', '-')}.png")
            _tell(f"{name} ({self.seconds[name]:.0f} s)")
        labels = [said.prediction.labels for said in self.said]
        before, after = (self._dice(found) for found in (labels[0], labels[-1]))
        return Outcome(before, after, self._corrected(), self.seconds)

    # -- chapters -------------------------------------------------------------------------

    def _open(self) -> None:
        self.viewer.open_sample("napari-apprentice", self.sample)
        self._wait("opening the sample", lambda: self.session.volume is not None)
        self.viewer.dims.set_current_step(0, int(np.median(self._slices())))
        self.dock.show_step(0)

    def _predict(self) -> None:
        self.session.use_model(self.model)
        if self.session.model != self.model:
            raise JobError(f"there is no model named {self.model!r} for the sample")
        self._press(self.dock.predict.button)

    def _correct(self) -> None:
        """Finish some slices as a person who knows the truth would: change what is wrong, then say it is right."""
        self.dock.show_step(1)
        _click(self.dock.correct.beginning.correct)
        layer = self.dock.correct.annotator.layer
        if layer is None:
            raise JobError("the prediction did not become an annotation")
        for index in self._slices()[1::EVERY]:
            self.viewer.dims.set_current_step(0, int(index))
            wrong = np.argwhere(layer.data[index] != self.truth[index])
            places = (np.full(len(wrong), index), *wrong.T)
            if len(wrong):
                layer.data_setitem(places, self.truth[places])
            self.dock.correct.counting.toggle_slice()
            self._rest()
        self.viewer.dims.set_current_step(0, int(self._slices()[1 + EVERY]))

    def _learn(self) -> None:
        self.dock.show_step(2)
        self.dock.learn.form.set_value(self.config)
        self.dock.learn.render()
        _click(self.dock.learn.button)
        began = time.monotonic()

        def is_learned() -> bool:
            # A slow machine takes fewer steps; Stop keeps the best of them.
            if time.monotonic() - began > LONGEST_LEARNING:
                self.session.stop()
            return self.session.candidate is not None

        self._wait("learning", is_learned)

    def _use_and_predict(self) -> None:
        _click(self.dock.learn.card.use)
        self._wait("saving", lambda: self.session.candidate is None)
        annotation = self.dock.correct.annotator.layer
        if annotation is not None:
            annotation.visible = False
        self.dock.show_step(0)
        self._press(self.dock.predict.button)

    def _press(self, button: Any) -> None:
        """Press *Predict* and wait for the answer."""
        count = len(self.said)
        _click(button)
        self._wait("predicting", lambda: len(self.said) > count)

    # -- truth ----------------------------------------------------------------------------

    def _slices(self) -> NDArray[np.intp]:
        """Slices along the first axis in which there is something to see."""
        return np.flatnonzero(self.truth.any(axis=(1, 2)))

    def _corrected(self) -> tuple[int, ...]:
        state = self.dock.correct.annotator.state
        return () if state is None else tuple(sorted(i for _, i in state.extent.slices))

    def _dice(self, labels: Any) -> float:
        """Mean Dice of the classes where nobody corrected."""
        from napari_apprentice.measure.overlap import overlap_scores

        elsewhere = np.ones(self.truth.shape, dtype=bool)
        elsewhere[list(self._corrected())] = False
        classes = tuple(int(value) for value in np.unique(self.truth) if value)
        return float(overlap_scores(labels, self.truth, classes, counts=elsewhere).dice.mean())

    # -- the window -----------------------------------------------------------------------

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        """Let the window live until something is done and no job is at work."""
        end = time.monotonic() + _PATIENCE
        while not (is_done() and not self.session.status.is_running):
            error = self.session.status.error
            if error is not None:
                raise error if isinstance(error, ApprenticeError) else JobError(str(error))
            if self.session.is_closed:
                raise JobError("the window was closed before the demo was over")
            if time.monotonic() > end:
                raise JobError(f"{what} took longer than {_PATIENCE / 60:.0f} minutes")
            self._rest()

    def _rest(self, seconds: float = 0.02) -> None:
        from qtpy.QtWidgets import QApplication

        QApplication.processEvents()
        time.sleep(seconds)

    def _take_picture(self, name: str) -> None:
        for _ in range(10):
            self._rest()
        self.viewer.screenshot(str(self.out / name), canvas_only=False, flash=False)


def _click(button: Any) -> None:
    """Press a button as a person could.

    Raises
    ------
    JobError
        It is disabled; its tooltip says why.
    """
    if not button.isEnabled():
        raise JobError(f"{button.text()} cannot be pressed: {button.toolTip()}")
    button.click()


def _truth_of(sample: str) -> NDArray[Any]:
    """Labels of a sample, which the viewer is not shown.

    Raises
    ------
    JobError
        No such sample in this installation.
    """
    from napari_apprentice.io import open_labels

    from ._samples import samples

    for found in samples(offered=False):
        if found.key == sample:
            path = found.image.parents[1] / "labels" / found.image.name
            return open_labels(path).numpy()
    raise JobError(f"there is no sample {sample!r} in this installation")


def _add_dock(viewer: napari.Viewer) -> ApprenticeDock:
    _, dock = viewer.window.add_plugin_dock_widget("napari-apprentice", "Apprentice")
    found: Any = dock
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demo; return the exit code.

    Models learned on the way are kept in a temporary folder, so that a demo leaves only its pictures and scores.
    """
    parser = argparse.ArgumentParser(description="Play the main job on a sample.")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the pictures")
    parser.add_argument("--close", action="store_true", help="close the window at the end")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="napari-apprentice-demo-") as home:
        os.environ["NAPARI_APPRENTICE_HOME"] = home
        try:
            return _run(chosen.out, close=chosen.close)
        except KeyboardInterrupt:
            return _INTERRUPTED
        except Exception as error:
            if chosen.debug:
                raise
            said = (
                error if isinstance(error, ApprenticeError) else f"{type(error).__name__}: {error}"
            )
            sys.stderr.write(f"napari-apprentice: {said}\n")
            return 1


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _run(out: Path, *, close: bool) -> int:
    import napari

    viewer = napari.Viewer(title="napari-apprentice demo")
    viewer.window.resize(*_WINDOW)
    outcome = Demo(viewer, out, TrainConfig(steps=STEPS, checks=6)).play()
    scores = {
        "before": outcome.before,
        "after": outcome.after,
        "corrected_slices": list(outcome.corrected),
        "seconds": {name: round(value, 1) for name, value in outcome.seconds.items()},
    }
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    _tell(outcome.describe())
    _tell(f"Pictures and scores are in {out}")
    if close:
        viewer.close()
    else:
        _tell("Close the window to end.")
        napari.run()
    return 0 if outcome.is_better else 1


if __name__ == "__main__":
    sys.exit(main())
