"""Made-up images are learned from; nothing is held out of them, checked or scored on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, run_to_end
from napari_apprentice.core.volume import SYNTHETIC, Volume
from napari_apprentice.engine.class_files import list_kinds, open_classes
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.evaluate import evaluate_files
from napari_apprentice.engine.feed import feed_of
from napari_apprentice.engine.image_split import plan_image_split
from napari_apprentice.engine.made_up import measured_pairs
from napari_apprentice.engine.split import TrainItem, plan_split
from napari_apprentice.io import save
from napari_apprentice.tasks import TASKS

KINDS = (LabelClass(1, "a"), LabelClass(2, "b"))
GRID = Grid.regular("YX", (16, 16))


def item(number: int, *, made: bool = False, group: str | None = None) -> TrainItem:
    voxels = np.random.default_rng(number).integers(0, 200, (16, 16)).astype(np.uint8)
    facts = {SYNTHETIC: "by a model"} if made else {}
    volume = Volume(voxels, GRID, metadata=facts)
    said = Annotation.of_image(GRID, KINDS[number % 2].name, KINDS)
    return TrainItem(f"{'made' if made else 'real'} {number}", volume, said, group)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_no_split_holds_them_out(share: float) -> None:
    config = TrainConfig(held_out=share)
    items = [item(n, made=n % 3 > 0, group=f"patient {n % 5}") for n in range(60)]
    labelled = [
        replace(i, annotation=replace(i.annotation, labels=np.ones((16, 16), np.uint8)))
        for i in items
    ]
    for split in (plan_image_split(items, config), plan_split(labelled, config)):
        assert split.held_out
        assert not any(i.is_synthetic for i in split.held_out)
        assert sum(i.is_synthetic for i in split.train) == 40
        assert split.note.endswith("; 40 made-up images only learned from")


def test_of_made_up_images_alone_nothing_is_held_out() -> None:
    items = [item(n, made=True) for n in range(6)]
    split = plan_image_split(items, TrainConfig())
    assert (len(split.train), split.held_out) == (6, ())
    assert "no measured image" in split.note
    one = plan_split([items[0]], TrainConfig(), labelled=False)
    assert one.held_out == ()


@pytest.mark.parametrize("held_out", [0.0, 0.3])
def test_checks_look_at_measured_images_alone(held_out: float) -> None:
    items = [item(n, made=n >= 8) for n in range(20)]
    task, config = TASKS["image_class"], TrainConfig(held_out=held_out)
    feed: Any = feed_of(task)
    split = feed.split(items, config)
    spec = task.default_spec("m", [i.volume for i in items], KINDS)
    arrays, _ = run_to_end(feed.prepare(split.train, spec))
    checker = run_to_end(feed.checker(split, arrays, spec))
    assert len(checker) == (8 if held_out == 0 else 2)


def test_nothing_is_made_up_from_what_was_made_up() -> None:
    items = [item(n, made=n >= 8) for n in range(12)]
    feed: Any = feed_of(TASKS["synthesis"])
    feed.check(items)
    split = feed.split(items, TrainConfig())
    assert not any(i.is_synthetic for i in (*split.train, *split.held_out))
    assert split.note.endswith("4 made-up images left out")
    with pytest.raises(BadInputError, match=r"only made-up ones \(4\)"):
        feed.check(items[8:])


def put(path: Path, number: int, *, made: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save(item(number, made=made).volume, path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two class folders; of four images each one is made up by what it says and one by its name."""
    for number in range(8):
        which = number // 2
        name = f"{number}.synthetic.png" if which == 3 else f"{number}.png"
        put(tmp_path / "truth" / "ab"[number % 2] / name, number, made=which == 2)
    return tmp_path


def test_evaluation_leaves_them_out_and_counts_them(folders: Path) -> None:
    rows = ["path,class"]
    for path in sorted((folders / "truth").rglob("*.png")):
        rows.append(f"{path},{path.parent.name if int(path.name[0]) < 4 else 'b'}")
    (folders / "said.csv").write_text("\n".join(rows))
    events: list[Event] = []
    job = evaluate_files(folders / "truth", folders / "said.csv", task="image_class")
    found = run_to_end(job, events.append)
    assert len(found.cases) == 4
    assert found.report.mean["accuracy"] == 1.0
    said = [e.message for e in events if isinstance(e, Log)]
    assert "4 made-up images left out of the scores" in said
    items = run_to_end(open_classes(run_to_end(list_kinds(folders / "truth", only="image"))))
    kept = run_to_end(measured_pairs(items, [Path(i.name) for i in items]))
    assert len(kept) == 4


def test_there_must_be_something_to_score_on(folders: Path) -> None:
    for path in (folders / "truth").rglob("[0-3].png"):
        path.unlink()
    (folders / "said.csv").write_text("path,class\na/4.png,a\nb/5.png,b\n")
    job = evaluate_files(folders / "truth", folders / "said.csv", task="image_class")
    with pytest.raises(BadInputError, match=r"found only made-up ones \(2\)"):
        run_to_end(job)


def test_a_plain_folder_is_one_kind_and_class_folders_are_several(folders: Path) -> None:
    one = run_to_end(list_kinds(folders / "truth" / "a", only="image"))
    assert [(f.image_class, f.name) for f in one][:2] == [("image", "0"), ("image", "2")]
    (folders / "truth" / "empty").mkdir()
    events: list[Event] = []
    several = run_to_end(list_kinds(folders / "truth", only="image"), events.append)
    assert {f.image_class for f in several} == {"a", "b"}
    assert any("empty has no image in it" in e.message for e in events if isinstance(e, Log))
    (folders / "nothing").mkdir()
    with pytest.raises(BadInputError, match="no image"):
        run_to_end(list_kinds(folders / "nothing", only="image"))
