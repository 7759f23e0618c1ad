"""Is the window alive while the network works? Gaps of the GUI's event loop in the real viewer, in one run.

A timer of 10 ms notes the gap between two turns of the event loop while another one changes the slice and paints a stroke
five times a second: in napari alone with a labels layer of its own, then with the dock and an annotation: idle, while a prediction
runs to its end and becomes a layer, while predicting, while training. In the last two *Cancel* is pressed, and the time until nothing
runs any more is taken. Needs a display (``make bench`` gives it a virtual one)::

    python benchmarks/responsiveness.py --seconds 20

A small window shows how much of it is drawing by software::

    python benchmarks/responsiveness.py --seconds 20 --window 640 480
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _report import report

Row = dict[str, object]
Gap = tuple[float, float]
"""Seconds between two turns of the event loop: how long it took, and how much of it the window's thread computed."""


class Person:
    """Looks through slices and paints; notes how long the window takes to answer."""

    def __init__(self, viewer: Any, labels: Any) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.viewer, self.labels = viewer, labels
        self.gaps: list[Gap] = []
        self._last = (time.perf_counter(), time.thread_time())
        self._turn = 0
        self._pulse = QTimer()
        self._pulse.setTimerType(Qt.TimerType.PreciseTimer)
        self._pulse.timeout.connect(self._note)
        self._hand = QTimer()
        self._hand.timeout.connect(self._act)
        self._pulse.start(10)
        self._hand.start(200)

    def _note(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def _act(self) -> None:
        """Change the slice, then paint there."""
        depth, height, width = self.labels.data.shape
        self._turn += 1
        z = self._turn * 7 % depth
        self.viewer.dims.set_point(0, z * self.labels.scale[0])
        spot = (z, height // 4 + self._turn * 5 % (height // 2), width // 4 + self._turn % 20)
        self.labels.paint(spot, 1 + self._turn % 2)

    def watch(self, seconds: float, still: Callable[[], bool] = lambda: True) -> list[Gap]:
        """Let the window live for a while; return the gaps."""
        self.gaps.clear()
        self._last = (time.perf_counter(), time.thread_time())
        wait(lambda: not still(), seconds)
        return list(self.gaps)

    def stop(self) -> None:
        """Leave the window alone."""
        self._pulse.stop()
        self._hand.stop()


def wait(until: Callable[[], bool], seconds: float) -> bool:
    """Turn the event loop until something is true or time is over; return whether it came true."""
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if until():
            return True
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 20)
    return until()


def row(what: str, gaps: list[Gap], idle: dict[str, float]) -> Row:
    """Percentiles of the gaps in milliseconds, and their ratio to idle."""
    wall, busy = (np.array(times) * 1e3 for times in zip(*gaps, strict=True))
    values = {
        "p50": float(np.percentile(wall, 50)),
        "p95": float(np.percentile(wall, 95)),
        "max": float(wall.max()),
    }
    idle = idle or values
    return {
        "window": what,
        **{f"{k} (ms)": round(v, 1) for k, v in values.items()},
        "p95 / idle": round(values["p95"] / idle["p95"], 2),
        "over idle (ms)": round(values["max"] - idle["max"], 1),
        "busy p95 (ms)": round(float(np.percentile(busy, 95)), 1),
        "busy max (ms)": round(float(busy.max()), 1),
        "turns": len(gaps),
    }


def make_volume(shape: tuple[int, int, int]) -> np.ndarray:
    """Smooth noise: what is in the image does not matter here."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return gaussian_filter(noise, 2) * 1000


def main() -> None:
    """Open the viewer, run the three phases and both cancels, append a section to RESULTS.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--shape", type=int, nargs=3, default=(96, 160, 160))
    parser.add_argument("--window", type=int, nargs=2, default=(1280, 800))
    given = parser.parse_args()
    os.environ["NAPARI_APPRENTICE_HOME"] = tempfile.mkdtemp()

    import napari

    from napari_apprentice.widgets._session import session_for
    from napari_apprentice.widgets.apprentice import ApprenticeDock

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*given.window)
    image = viewer.add_image(
        make_volume(tuple(given.shape)), name="volume", scale=(1, 1, 1), units=("mm",) * 3
    )
    alone = watch_alone(viewer, tuple(given.shape), given.seconds)
    dock = ApprenticeDock(viewer)
    viewer.window.add_dock_widget(dock, name="Apprentice")
    session = session_for(viewer)
    viewer.layers.selection.active = image
    session.use_model("hippocampus-mri")

    labels = annotate(viewer, dock)
    person = Person(viewer, labels)
    person.watch(3.0)
    rows: list[Row] = []
    idle_gaps = person.watch(given.seconds)
    first = row("idle", idle_gaps, {})
    idle = {"p95": float(str(first["p95 (ms)"])), "max": float(str(first["max (ms)"]))}
    rows += [row("napari alone, idle", alone, idle), first]

    rows.append(watch_end(session, person, labels, idle))
    rows += watch_jobs(session, person, given.seconds, idle)
    person.stop()
    for entry in rows:
        print(entry, flush=True)
    report(
        "The window while the network works",
        rows,
        f"Real viewer on a virtual display with software drawing, the canvas {canvas_size(viewer)} pixels; slices change and "
        "the brush paints five times a second. Busy: what the window's own thread computed, whatever else the machine had to do. "
        "To its end: the prediction's layer and two seconds after it included.",
    )
    viewer.close()


def watch_alone(viewer: Any, shape: tuple[int, ...], seconds: float) -> list[Gap]:
    """Gaps of napari with a labels layer of its own, before there is a dock."""
    labels = viewer.add_labels(np.zeros(shape, np.uint8), units=("mm",) * 3)
    labels.brush_size = 8
    person = Person(viewer, labels)
    person.watch(3.0)
    gaps = person.watch(seconds)
    person.stop()
    viewer.layers.remove(labels)
    return gaps


def canvas_size(viewer: Any) -> str:
    """Width and height of what napari draws, for people."""
    height, width = viewer.screenshot(flash=False).shape[:2]
    return f"{width} × {height}"


def watch_end(session: Any, person: Person, labels: Any, idle: dict[str, float]) -> Row:
    """Watch the window until a prediction has become a layer."""
    from napari_apprentice.engine.config import PredictConfig

    assert session.predict(PredictConfig(device="cpu")), "predicting did not start"
    wait(lambda: session.status.progress.done > 0, 120)
    gaps = person.watch(600, lambda: session.status.is_running) + person.watch(2)
    layers = person.viewer.layers
    layers.remove(layers[-1])
    labels.visible = True
    layers.selection.active = labels
    return row("predicting to its end", gaps, idle)


def watch_jobs(session: Any, person: Person, seconds: float, idle: dict[str, float]) -> list[Row]:
    """Watch the window while it predicts and while it learns, and cancel both."""
    from napari_apprentice.engine.config import PredictConfig, TrainConfig

    rows: list[Row] = []
    jobs: list[tuple[str, Callable[[], bool]]] = [
        ("predicting", lambda: session.predict(PredictConfig(device="cpu"))),
        (
            "training",
            lambda: session.learn(
                TrainConfig(device="cpu", minutes=10, held_out=0), "hippocampus-mri"
            ),
        ),
    ]
    for what, start in jobs:
        assert start(), f"{what} did not start"
        wait(lambda: session.status.progress.done > 0, 120)
        gaps = person.watch(seconds, lambda: session.status.is_running)
        entry = row(what, gaps, idle)
        began = time.perf_counter()
        session.cancel()
        assert wait(lambda: not session.status.is_running, 30), f"{what} did not end"
        entry["cancel to idle (s)"] = round(time.perf_counter() - began, 2)
        rows.append(entry)
    return rows


def annotate(viewer: Any, dock: Any) -> Any:
    """Start an annotation from nothing through the Correct dock, and label a ball so that there is something to learn."""
    from napari_apprentice.widgets.annotating import AnnotationLabels

    dock.correct.annotator.start()
    layer = next(one for one in viewer.layers if isinstance(one, AnnotationLabels))
    depth, height, width = layer.data.shape
    layer.n_edit_dimensions = 3
    layer.brush_size = 18
    layer.paint((depth // 2, height // 2, width // 2), 1)
    layer.n_edit_dimensions = 2
    layer.brush_size = 8
    layer.state.finish_all()
    return layer


if __name__ == "__main__":
    main()
