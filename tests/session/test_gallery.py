"""Images that get classes one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, run_to_end
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.class_files import list_classes
from napari_apprentice.io import save
from napari_apprentice.session.gallery import (
    Gallery,
    answer_job,
    why_job,
)
from napari_apprentice.session.samples import Sample, folder_samples, plane_samples
from napari_apprentice.session.text import describe_answer

if TYPE_CHECKING:
    from pathlib import Path


def volume(value: int = 0, shape: tuple[int, ...] = (8, 9)) -> Volume:
    grid = Grid.regular("ZYX"[-len(shape) :], shape, (2.0, 0.5, 0.5)[-len(shape) :], unit="um")
    return Volume(np.full(shape, value, np.uint8), grid, name="pic")


def gallery(count: int = 4, classes: tuple[str, ...] = ("a", "b")) -> Gallery:
    made = Gallery()
    made.set_samples([Sample(f"s{n}", lambda n=n: volume(n)) for n in range(count)])
    for name in classes:
        made.add_class(name)
    return made


def answer(**table: float) -> Prediction:
    best = max(table, key=lambda k: table[k])
    grid = Grid.regular("YX", (8, 9))
    return Prediction(grid, table=table, image_class=best, summary=f"{best} {table[best]:.2f}")


def test_a_class_leads_to_the_next_image_without_one() -> None:
    one = gallery()
    seen: list[int] = []
    one.changed.connect(lambda: seen.append(one.at))
    one.go(1)
    one.say("a")
    one.go(0)
    one.say("b")
    assert (one.said, one.at) == ({1: "a", 0: "b"}, 2)
    assert one.describe() == "2 of 4 have a class: 1 a, 1 b"
    one.say("a")
    one.say("a")
    assert len(one.said) == 4
    assert one.at == 0  # all have one: simply the next
    assert seen


def test_steps_go_round_the_ends() -> None:
    one = gallery()
    one.step(-1)
    assert one.at == 3
    one.step(1)
    assert one.at == 0
    Gallery().step(1)


def test_undo_gives_back_what_was_said_before() -> None:
    one = gallery()
    one.say("a")
    one.go(0)
    one.say("b")
    assert one.undo()
    assert (one.said, one.at) == ({0: "a"}, 0)
    assert one.undo()
    assert one.said == {}
    assert not one.undo()


def test_the_least_sure_answer_without_a_class_comes_first() -> None:
    one = gallery()
    assert not one.next_unsure()
    one.answers = {n: answer(a=p, b=1 - p) for n, p in enumerate((0.9, 0.55, 0.7, 0.6))}
    one.said[1] = "a"
    assert one.next_unsure()
    assert one.at == 3
    assert describe_answer(one.answers[3]) == "a 0.60 · b 0.40"


def test_classes_have_numbers_and_are_told_apart_whatever_the_case() -> None:
    one = gallery()
    one.add_class(" B ")
    one.add_class("ü")
    assert [(c.value, c.name) for c in one.classes] == [(1, "a"), (2, "b"), (3, "ü")]
    one.use_classes([LabelClass(7, "other")])
    assert len(one.classes) == 3
    with pytest.raises(BadInputError, match="empty"):
        one.add_class("  ")


def test_images_with_classes_of_their_own_leave_those_of_others_behind() -> None:
    made = gallery(classes=("a", "b"))
    made.set_samples(made.samples, {0: "B", 1: "c"})
    assert [c.name for c in made.classes] == ["a", "b", "c"]  # one is known: they go together
    made.set_samples(made.samples)
    assert len(made.classes) == 3  # nothing is said of these yet
    made.set_samples(made.samples, {0: "x", 1: "y"})
    assert [(c.value, c.name) for c in made.classes] == [(1, "x"), (2, "y")]


def test_nothing_is_learned_from_one_class() -> None:
    one = gallery()
    assert Gallery().problem() == "Choose images first."
    assert "there is none yet" in (one.problem() or "")
    one.say("a")
    assert "there is only a yet" in (one.problem() or "")
    one.say("b")
    assert one.problem() is None
    items = one.lesson()()
    assert [(i.name, i.annotation.image_class) for i in items] == [("s0", "a"), ("s1", "b")]
    assert items[1].volume.numpy().max() == 1


def test_planes_of_a_stack_are_images() -> None:
    data = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    stack = Volume(data, Grid.regular("ZYX", data.shape, (2, 0.5, 0.5), unit="um"), name="st")
    samples = plane_samples(stack)
    assert [s.name for s in samples] == ["st · slice 0", "st · slice 1", "st · slice 2"]
    plane = samples[2].open()
    np.testing.assert_array_equal(plane.numpy(), data[2])
    assert (plane.grid.axes, plane.grid.spacing, plane.grid.unit) == ("YX", (0.5, 0.5), "um")
    colours = np.zeros((3, 2, 4, 5), np.uint8)
    colours[1, 1] = 9
    many = Volume(colours, Grid.regular("CZYX", colours.shape), name="m")
    assert plane_samples(many)[1].open().numpy()[:, 0, 0].tolist() == [0, 9, 0]
    assert len(plane_samples(volume())) == 1


def test_folders_of_pictures_and_of_classes(tmp_path: Path) -> None:
    flat = Grid.regular("YX", (8, 9))
    for number, kind in enumerate(("a", "a", "b")):
        (tmp_path / kind).mkdir(exist_ok=True)
        save(Volume(np.full((8, 9), number, np.uint8), flat), tmp_path / kind / f"{number}.png")
    samples, said = folder_samples(tmp_path)
    assert [s.name for s in samples] == ["a/0", "a/1", "b/2"]
    assert said == {0: "a", 1: "a", 2: "b"}
    assert samples[1].open().numpy().max() == 1
    one = Gallery()
    one.set_samples(samples, said)
    assert [c.name for c in one.classes] == ["a", "b"]
    plain, nothing = folder_samples(tmp_path / "a")
    assert ([s.name for s in plain], nothing) == (["0", "1"], {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match="no image"):
        folder_samples(tmp_path / "empty")


def test_the_series_of_a_folder_are_images_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scans"
    names = [tmp_path / "scans#1", tmp_path / "scans#2"]
    monkeypatch.setattr("napari_apprentice.io.list_images", lambda _: names)
    samples, _ = folder_samples(folder)
    assert [s.name for s in samples] == ["scans#1", "scans#2"]
    assert len({s.known_by for s in samples}) == 2


def test_a_table_with_an_empty_cell_is_refused_in_words(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for text in ("file,class\n,a\n", "file,class\na.png\n"):
        table.write_text(text, "utf-8")
        with pytest.raises(BadInputError, match="found an empty one"):
            run_to_end(list_classes(tmp_path, table))


def test_a_picture_that_cannot_be_read_keeps_nobody_from_learning() -> None:
    def broken() -> Volume:
        raise BadInputError("the file is truncated")

    one = gallery()
    one.set_samples([Sample("bad", broken), *one.samples], {0: "a", 1: "a", 2: "b"})
    items = one.lesson()()
    assert [i.name for i in items] == ["bad", "s0", "s1"]
    with pytest.raises(BadInputError, match="truncated"):
        items[0].volume.numpy()


class Store:
    """A model from nothing, built when asked for."""

    def load(self, name: str) -> Any:
        from napari_apprentice.models.store import Model, build_network

        spec = ModelSpec(
            name=name,
            task="image_class",
            network="cnn",
            network_args={"channels": [4], "grid": 1, "dense": 4},
            ndim=2,
            tile=(16, 16),
            classes=tuple(ClassSpec(value=n, name=c) for n, c in enumerate("ab", start=1)),
        )
        return Model(spec, build_network(spec).state_dict())


def test_a_model_is_asked_about_all_and_goes_on_after_a_bad_one() -> None:
    def broken() -> Volume:
        raise BadInputError("the file is truncated")

    samples = [Sample("s0", volume), Sample("bad", broken), Sample("s2", lambda: volume(2))]
    from napari_apprentice.engine.config import PredictConfig

    config = PredictConfig(device="cpu")
    events: list[Event] = []
    answers = run_to_end(answer_job(Store(), "m", samples, config), events.append)  # type: ignore[arg-type]
    assert sorted(answers) == [0, 2]
    assert sum(answers[0].table.values()) == pytest.approx(1)
    said = [e.message for e in events if isinstance(e, Log)]
    assert "left out: bad: the file is truncated" in said
    why = run_to_end(why_job(Store(), "m", samples[2], "b"))  # type: ignore[arg-type]
    assert why.image is not None
    assert why.image.shape == (8, 9)


def kept_gallery(source: str = "/data/pictures", count: int = 4) -> Gallery:
    made = Gallery()
    made.set_samples([Sample(f"s{n}", lambda: volume()) for n in range(count)], source=source)
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_classes_are_there_again_in_the_next_session(home: Path) -> None:
    one = kept_gallery()
    for name in ("a", "b"):
        one.add_class(name)
    for name in ("b", "a", "b"):
        one.say(name)
    one.undo()
    again = kept_gallery(count=5)
    assert again.said == {0: "b", 1: "a"}
    assert [c.name for c in again.classes] == ["a", "b"]  # the same keys as before
    assert again.at == 2
    assert again.describe() == "2 of 5 have a class: 1 a, 1 b · 2 from an earlier session"
    assert not kept_gallery("/data/others").said


def test_what_was_said_goes_before_the_folder(home: Path) -> None:
    samples = [Sample("s", lambda: volume())]
    one = Gallery()
    one.set_samples(samples, {0: "normal"}, source="here")
    one.add_class("abnormal")
    one.say("abnormal")
    one.set_samples(samples, {0: "normal"}, source="here")
    assert one.said == {0: "abnormal"}
    one.say("normal")
    one.set_samples(samples, {0: "normal"}, source="here")
    assert one.said == {0: "normal"}


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_forgotten(home: Path) -> None:
    home.write_bytes(b"no folder")
    one = kept_gallery()
    one.add_class("a")
    with pytest.raises(BadInputError, match="cannot be kept"):
        one.say("a")
    assert (one.said, one.at) == ({0: "a"}, 1)


def test_classes_are_saved_as_trainings_read_them(tmp_path: Path) -> None:
    for name in ("x.png", "y.png"):
        save(Volume(np.full((8, 9), 3, np.uint8), Grid.regular("YX", (8, 9))), tmp_path / name)
    samples, said = folder_samples(tmp_path)
    one = Gallery()
    one.set_samples(samples, said)
    with pytest.raises(BadInputError, match="found none"):
        one.save(tmp_path / "t.csv")
    one.add_class("=sum(1)")
    one.say("=sum(1)")
    assert one.save(tmp_path / "t.csv") == 1
    (found,) = run_to_end(list_classes(tmp_path / "t.csv"))
    assert (found.path, found.image_class) == (tmp_path / "x.png", "=sum(1)")
