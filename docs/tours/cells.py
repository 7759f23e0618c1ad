"""Tours through the stained cells, for `make_screenshots`: classify, find what is not normal, make images up.

Which cell is normal, a person sees; here the sample's own table says it.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt

from .stage import DOCK, HOW_TO, IMAGES, SAMPLES, SIZE

if TYPE_CHECKING:
    from .stage import Stage

CELLS = SAMPLES / "cells"
CLASSES = ("normal", "abnormal")
FIRST, ROUND = 12, 8
LEARN_MINUTES, NORMAL_MINUTES, MAKER_MINUTES = "1", "3", "10"


def answers() -> dict[str, str]:
    """File name → class, as the table beside the pictures says."""
    with (CELLS / "unsorted/classes.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["class"] for row in csv.DictReader(file)}


def say(dock: Any) -> None:
    """Give the picture in view its class, as the key of the class does."""
    truth = answers()[dock.gallery.sample.file]
    dock.classes.pick(CLASSES.index(truth))


def top(dock: Any) -> None:
    """Scroll a dock to its head."""
    dock.scroll.verticalScrollBar().setValue(0)


def learn(stage: Stage, dock: Any, form: Any, button: Any, card: Any, minutes: str) -> None:
    """Learn for some minutes, and use what was learned."""
    form.row("minutes").value = minutes
    button.click()
    stage.wait(lambda: dock.session.candidate is not None, "the new model")
    print("card:", card.text.text())


def classify(stage: Stage) -> None:
    """A dozen cells by hand, a first model, its doubts, a second model, and why."""
    dock, gallery = stage.dock, stage.dock.gallery
    dock.open_folder(CELLS / "unsorted")
    for name in CLASSES:
        dock.classes.added.emit(name)
    for _ in range(FIRST):
        say(dock)
    stage.shoot("cells-1-given", DOCK, colors=256)
    learn(stage, dock, dock.form, dock.learn, dock.card, LEARN_MINUTES)
    stage.shoot("cells-2-learned", DOCK, colors=256)
    dock.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.ask.click()
    stage.wait(stage.is_idle, "the answers")
    for _ in range(ROUND):
        dock.unsure.click()
        said = gallery.answers[gallery.at]
        print("unsure:", gallery.sample.name, said.summary, answers()[gallery.sample.file])
        if _ == 0:
            top(dock)
            stage.shoot("cells-3-unsure", DOCK, colors=256)
        say(dock)
    learn(stage, dock, dock.form, dock.learn, dock.card, LEARN_MINUTES)
    dock.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.ask.click()
    stage.wait(stage.is_idle, "the answers")
    right = [
        a.image_class == answers()[gallery.samples[n].file] for n, a in gallery.answers.items()
    ]
    print("right:", sum(right), "of", len(right))
    surest = max(gallery.answers, key=lambda n: gallery.answers[n].table.get("abnormal", 0))
    gallery.go(surest)
    dock.why.click()
    stage.wait(stage.is_idle, "the map of evidence")
    top(dock)
    stage.shoot("cells-4-why", DOCK, colors=256)
    stage.images = HOW_TO
    stage.shoot("classify", (0, 0, *SIZE))
    stage.images = IMAGES
    transfer(stage)
    evaluated(stage)


def transfer(stage: Stage) -> None:
    """From the second model to other cells: the last layer first, then those below."""
    dock = stage.dock
    dock.open_folder(CELLS / "sorted")
    dock.form.set_fields({"freeze": 1.0, "thaw": 0.5})
    learn(stage, dock, dock.form, dock.learn, dock.card, LEARN_MINUTES)
    dock.card.discard.click()
    stage.settle()


def instead(stage: Stage, dock: Any, name: str) -> Any:
    """Close a dock and open another in its place."""
    stage.viewer.window.remove_dock_widget(dock)
    _, other = stage.viewer.window.add_plugin_dock_widget("napari-apprentice", name)
    stage.settle()
    return other


def evaluated(stage: Stage) -> None:
    """Both models on cells that neither has seen."""
    dock = instead(stage, stage.dock, "Evaluate")
    dock.sources.mode.setCurrentIndex(dock.sources.mode.findData("model"))
    dock.sources.images.set_path(CELLS / "sorted")
    for name in ("my classes v1", "my classes v2"):
        dock.sources.models.setCurrentIndex(dock.sources.models.findData(name))
        stage.settle()
        dock.button.click()
        stage.wait(lambda: not dock.session.status.is_running, "the scores")
        mean = dock.shown.report.mean
        print(name, {k: round(mean[k], 3) for k in ("accuracy", "roc_auc", "recall_abnormal")})
    dock.against.setCurrentIndex(1)
    dock.against.activated.emit(1)
    stage.wait(lambda: not dock.session.status.is_running, "the comparison")
    dock.tabs.setCurrentWidget(dock.figures)
    stage.shoot("cells-5-matrix", DOCK, colors=256)
    dock.tabs.setCurrentWidget(dock.cases)
    dock.cases.sortByColumn(3, Qt.SortOrder.AscendingOrder)
    first = dock.cases.model().index(0, 0)
    dock.cases.setCurrentIndex(first)
    dock.cases.clicked.emit(first)
    stage.wait(lambda: not dock.session.status.is_running, "the case")
    stage.shoot("cells-6-case", DOCK, colors=256)
    stage.viewer.close()


def unlike(stage: Stage) -> None:
    """What normal cells look like is learned; a map of what is not, and of all cells."""
    dock, session = stage.dock, stage.dock.session
    stage.viewer.open(CELLS / "sorted/abnormal/abnormal_09.png", plugin="napari-apprentice")
    stage.settle()
    teach = dock.teach
    teach.lessons.setCurrentIndex(teach.lessons.findData("normal"))
    teach.lessons.activated.emit(teach.lessons.currentIndex())
    teach.noisy.set_path(CELLS / "sorted/normal")
    teach.form.row("minutes").value = NORMAL_MINUTES
    teach.button.click()
    stage.wait(lambda: session.candidate is not None, "the new model")
    print("card:", teach.card.text.text())
    teach.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.button.click()
    stage.wait(stage.is_idle, "the map")
    print("says:", session.summary)
    top(dock)
    stage.shoot("unlike-1-map", DOCK, colors=256)
    dock.map.folder.set_path(CELLS / "sorted")
    stage.settle()
    unfold(dock.map)
    dock.map.button.click()
    stage.wait(stage.is_idle, "the map of the folder")
    stage.settle(1.0)
    worst = max(range(len(dock.map.found.samples)), key=lambda n: dock.map.plot.points[n, 0])
    dock.map.plot.picked.emit(worst)
    stage.settle()
    dock.scroll.verticalScrollBar().setValue(dock.scroll.verticalScrollBar().maximum())
    stage.shoot("unlike-2-folder", DOCK, colors=256)
    stage.viewer.close()


def unfold(widget: Any) -> None:
    """Open the fold that a widget lies in."""
    from superqt import QCollapsible

    parent = widget.parent()
    while parent is not None and not isinstance(parent, QCollapsible):
        parent = parent.parent()
    if parent is not None:
        parent.expand(animate=False)


def made_up(stage: Stage) -> None:
    """More abnormal cells are made up and added to a copy of the folder."""
    dock, session = stage.dock, stage.dock.session
    with tempfile.TemporaryDirectory() as folder:
        cells = Path(folder) / "cells"
        shutil.copytree(CELLS / "sorted", cells)
        dock.folder.set_path(cells)
        dock.form.row("minutes").value = MAKER_MINUTES
        dock.learn.click()
        stage.wait(lambda: session.candidate is not None, "the new model")
        print("card:", dock.card.text.text())
        dock.card.use.click()
        stage.wait(lambda: not session.status.is_running, "saving")
        dock.new.click()
        stage.wait(lambda: not session.status.is_running, "the samples")
        dock.classes.setCurrentIndex(dock.classes.findData("abnormal"))
        dock.target.set_path(cells)
        dock.count.setValue(20)
        dock.add.click()
        stage.wait(lambda: not session.status.is_running, "the added images")
        print("added:", dock.added.text(), sorted(p.name for p in cells.rglob("*synth*"))[:3])
        dock.scroll.verticalScrollBar().setValue(dock.scroll.verticalScrollBar().maximum())
        stage.shoot("more-1-added", DOCK, colors=256)
        with_more(stage, instead(stage, dock, "Classify"), cells)
    stage.viewer.close()


def with_more(stage: Stage, dock: Any, cells: Path) -> None:
    """Learn from measured and made-up cells, and from the measured ones alone."""
    for folder in (CELLS / "sorted", cells):
        dock.models.setCurrentIndex(0)
        dock.open_folder(folder)
        print(dock.gallery.describe())
        dock.form.row("minutes").value = LEARN_MINUTES
        dock.learn.click()
        stage.wait(lambda: dock.session.candidate is not None, "the new model")
        print("card:", dock.card.text.text())
        dock.card.use.click()
        stage.wait(lambda: not dock.session.status.is_running, "saving")
    dock = instead(stage, dock, "Evaluate")
    dock.sources.mode.setCurrentIndex(dock.sources.mode.findData("model"))
    dock.sources.images.set_path(CELLS / "unsorted")
    dock.sources.truth.set_path(CELLS / "unsorted/classes.csv")
    for number in range(dock.sources.models.count()):
        name = dock.sources.models.itemData(number)
        if name is None or not name.startswith("my classes"):
            continue
        dock.sources.models.setCurrentIndex(number)
        dock.button.click()
        stage.wait(lambda: not dock.session.status.is_running, "the scores")
        mean = dock.shown.report.mean
        print(name, {k: round(mean[k], 3) for k in ("accuracy", "roc_auc", "recall_abnormal")})
