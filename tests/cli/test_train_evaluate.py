"""Train, evaluate and models, from files to files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine import train_files
from napari_apprentice.io import open_volume, save
from napari_apprentice.models.store import load_spec

from .conftest import spots, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = ("--steps", "2", "--checks", "1", "--batch-size", "1", "--device", "cpu")


def train(call: Callable[..., Any], *more: object) -> Any:
    return call(
        "train", "--images", "images", "--labels", "labels", "--out", "trained", *FAST, *more
    )


# -- train --------------------------------------------------------------------------------


def test_train_leaves_a_sound_model_and_says_how_good_it_is(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    answer = train(call, "--init", model, "--json")
    assert answer.code == 0, answer.err
    record = answer.json
    assert record["model"] == "trained"
    assert record["steps"] == 2
    assert record["scores"]["dice"] >= record["before"]["dice"] >= 0
    assert {*record["split"]["train"], *record["split"]["held_out"]} == {
        f"Fläche {n}" for n in range(3)
    }
    assert len(record["split"]["held_out"]) == 1
    spec = load_spec(data / "trained")
    assert (spec.parent, spec.task) == ("tiny model", "semantic")
    assert call("models", "verify", "trained").code == 0
    used = call("predict", "images", "--model", "trained", "--out", "out")
    assert used.code == 0


def test_train_resumes_after_ctrl_c(
    call: Callable[..., Any], data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_apprentice.cli._console import Listener
    from napari_apprentice.core.jobs import Metric

    show = Listener._show

    def press(self: Listener, event: object) -> None:
        if isinstance(event, Metric) and event.name == "loss":
            os.kill(os.getpid(), signal.SIGINT)
        show(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(Listener, "_show", press)
        answer = train(call, "--init", model, "--json")
    assert answer.code == 130
    assert answer.json["exit_code"] == 130
    assert "--resume" in answer.err
    assert not (data / "trained" / "model.json").exists()

    again = train(call, "--init", model)
    assert again.code == 2
    assert "--resume" in again.error

    resumed = train(call, "--init", model, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["steps"] == 2


def test_train_names_classes_and_keeps_groups_together(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    (data / "groups.csv").write_text(
        "name,group\nFläche 0.tif,a\nFläche 1,a\nFläche 2,b\n", encoding="utf-8"
    )
    more = ("--classes", "1=nucleus", "--groups", "groups.csv", "--json")
    answer = train(call, "--init", model, *more)
    assert answer.code == 0, answer.err
    sides = [set(answer.json["split"][side]) for side in ("train", "held_out")]
    assert {"Fläche 2"} in sides
    assert "nucleus" in [c.name for c in load_spec(data / "trained").classes]


@pytest.fixture
def two(data: Path) -> Path:
    """The same images with an empty channel before the one that shows something."""
    for path in (data / "images").iterdir():
        grey = open_volume(path)
        both = np.stack([np.full_like(grey.numpy(), 7), grey.numpy()])
        path.unlink()
        save(Volume(both, grey.grid.with_channels(2), channels=("empty", "DAPI")), path)
    return data


def test_train_learns_from_the_channels_that_are_chosen(
    call: Callable[..., Any], two: Path, model: Path
) -> None:
    refused = train(call, "--init", model)
    assert refused.code == 2
    assert "found 2" in refused.error
    assert "--channels" in refused.error
    assert not (two / "trained" / "model.json").exists()
    done = train(call, "--init", model, "--channels", "DAPI", "--json")
    assert done.code == 0, done.err
    assert len(load_spec(two / "trained").channels) == 1
    image = two / "images" / "Fläche 0.tif"
    assert call("predict", image, "--model", "trained", "--out", "o", "--channels", "2").code == 0


def test_train_shows_a_new_model_the_channels_in_the_order_asked_for(
    call: Callable[..., Any], two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def look(items: Any, **_: object) -> None:
        seen.extend(items)
        raise BadInputError("seen enough")

    monkeypatch.setattr(train_files, "train", look)
    assert "seen enough" in train(call, "--channels", "2,empty").error
    assert [item.volume.channels for item in seen] == [("DAPI", "empty")] * 3
    assert all((item.volume.numpy()[1] == 7).all() for item in seen)
    assert all(item.volume.grid.spatial == item.annotation.grid for item in seen)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--channels", "GFP"), "2 channels (empty, DAPI)"),
        (("--channels", "3"), "found '3'"),
        (("--channels", "2", "--task", "restoration"), "clean images"),
    ],
)
def test_train_refuses_channels_that_are_not_there(
    call: Callable[..., Any], two: Path, more: tuple[str, ...], word: str
) -> None:
    if "restoration" in more:
        shutil.rmtree(two / "labels")
        shutil.copytree(two / "images", two / "labels")
    answer = train(call, *more)
    assert answer.code == 2
    assert word in answer.error
    assert not (two / "trained" / "model.json").exists()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (("--init", "nobody"), "nobody"),
        (("--task", "semantik"), "semantic"),
        (("--classes", "one=1"), "value=name"),
        (("--minutes", "0"), "--minutes"),
        (("--filters", "medain"), "median"),
        (("--normalization", "lungs"), "--normalization"),
        (("--network", "unett"), "Choose one of attention_unet"),
        (("--groups", "absent.csv"), "absent.csv"),
        (("--resume",), "resume"),
    ],
)
def test_train_refuses_bad_settings_in_one_line(
    call: Callable[..., Any], data: Path, more: tuple[str, ...], word: str
) -> None:
    answer = train(call, *more)
    assert answer.code == 2
    assert word in answer.error
    assert not (data / "trained" / "model.json").exists()


def test_train_names_images_without_labels(call: Callable[..., Any], data: Path) -> None:
    (data / "labels" / "Fläche 1.tif").unlink()
    answer = train(call)
    assert answer.code == 2
    assert "Fläche 1" in answer.error


def test_train_refuses_labels_of_another_place(call: Callable[..., Any], data: Path) -> None:
    path = data / "labels" / "Fläche 1.tif"
    path.unlink()
    write(path, spots((24, 24))[1], spacing=(0.7, 0.7), unit="um")
    answer = train(call)
    assert answer.code == 2
    assert "Fläche 1.tif" in answer.error
    assert "0.7" in answer.error


def test_train_refuses_empty_labels(call: Callable[..., Any], data: Path) -> None:
    for path in (data / "labels").iterdir():
        path.unlink()
        write(path, np.zeros((24, 24), np.uint16), spacing=(0.5, 0.5), unit="um")
    answer = train(call)
    assert answer.code == 2
    assert "background" in answer.error


def test_train_refuses_class_values_below_zero(call: Callable[..., Any], data: Path) -> None:
    for path in (data / "labels").iterdir():
        path.unlink()
        write(path, np.full((24, 24), -3, np.int16), spacing=(0.5, 0.5), unit="um")
    answer = train(call)
    assert answer.code == 2
    assert ".tif: expected class values from 0 (background) up, found -3" in answer.error
    assert "background 0" in answer.error


def test_train_refuses_a_folder_in_use_before_any_work(
    call: Callable[..., Any], data: Path
) -> None:
    (data / "trained").mkdir()
    (data / "trained" / "README.md").write_text("mine")
    answer = train(call)
    assert answer.code == 2
    assert "trained" in answer.error
    assert [path.name for path in (data / "trained").iterdir()] == ["README.md"]


# -- evaluate -----------------------------------------------------------------------------


def test_evaluate_a_folder_against_itself_is_perfect(call: Callable[..., Any], data: Path) -> None:
    answer = call("evaluate", "--truth", "labels", "--prediction", "labels", "--json")
    assert answer.code == 0
    assert answer.json["mean"]["dice"] == answer.json["mean"]["dice_spot"] == 1
    assert answer.json["mean"]["hd95_um"] == 0
    paths = {case["path"].replace(os.sep, "/") for case in answer.json["cases"]}
    assert paths == {f"labels/Fläche {n}.tif" for n in range(3)}
    assert len(answer.json["cases"]) == 3


def test_evaluate_computes_what_two_boxes_overlap(call: Callable[..., Any], tmp_path: Path) -> None:
    truth, said = np.zeros((2, 20, 20), np.uint8)
    truth[2:6, 2:12] = 1  # 40 pixels
    said[2:6, 7:17] = 1  # 40 pixels, 20 of them shared
    write(tmp_path / "t.tif", truth, spacing=(0.5, 0.5), unit="um")
    write(tmp_path / "p.tif", said, spacing=(0.5, 0.5), unit="um")
    answer = call(
        "evaluate", "--truth", "t.tif", "--prediction", "p.tif", "--json", "--csv", "s.csv"
    )
    assert answer.json["mean"]["dice"] == pytest.approx(0.5)
    assert answer.json["mean"]["iou"] == pytest.approx(1 / 3)
    assert answer.json["mean"]["area_um2_spot"] == pytest.approx(10)
    with (tmp_path / "s.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["p.tif", "mean"]
    assert float(rows[0]["dice"]) == pytest.approx(0.5)


def test_evaluate_shows_people_a_table_with_units(call: Callable[..., Any], data: Path) -> None:
    answer = call("evaluate", "--truth", "labels", "--prediction", "labels")
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["dice", "1", "1", "1", "1"] in lines
    assert ["hd95", "µm", "0", "0", "0", "0"] in lines


def test_evaluate_scores_numbered_objects(call: Callable[..., Any], tmp_path: Path) -> None:
    for folder in ("truth", "said"):
        (tmp_path / folder).mkdir()
    truth = np.zeros((20, 40), np.uint16)
    truth[2:8, 2:8], truth[2:8, 12:18], truth[12:18, 2:8] = 1, 300, 70
    write(tmp_path / "truth" / "a.tif", truth)
    write(tmp_path / "said" / "a.tif", np.where(truth == 70, 0, truth + (truth > 0)))
    write(tmp_path / "truth" / "b.tif", truth * (truth == 1))
    write(tmp_path / "said" / "b.tif", truth * (truth == 1))
    ask = ("evaluate", "--truth", "truth", "--prediction", "said", "--instances")
    answer = call(*ask, "--json", "--csv", "s.csv").json
    assert answer["cases"][0]["ap50"] == pytest.approx(2 / 3)
    assert answer["mean"]["ap50"] == pytest.approx((2 / 3 + 1) / 2)
    assert answer["pooled"]["ap"] == pytest.approx(3 / 4)
    assert answer["pooled"]["truth_count"] == 4
    with (tmp_path / "s.csv").open(encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)][-2:] == ["mean", "pooled"]
    assert ["ap50", "0.6667", "1", "0.8333", "0.75"] in [
        line.split() for line in call(*ask).out.splitlines()
    ]
    assert call(*ask, "--classes", "1=cell").code == 2


def test_evaluate_refuses_other_geometry(call: Callable[..., Any], data: Path) -> None:
    shutil.copytree(data / "labels", data / "said")
    path = data / "said" / "Fläche 1.tif"
    path.unlink()
    write(path, spots((24, 20))[1], spacing=(0.5, 0.5), unit="um")
    answer = call("evaluate", "--truth", "labels", "--prediction", "said")
    assert answer.code == 2
    assert "said/Fläche 1.tif" in answer.error.replace(os.sep, "/")
    assert "X 24" in answer.error
    assert "X 20" in answer.error


def test_evaluate_names_what_has_no_partner(call: Callable[..., Any], data: Path) -> None:
    shutil.copytree(data / "labels", data / "said")
    (data / "said" / "Fläche 2.tif").unlink()
    answer = call("evaluate", "--truth", "labels", "--prediction", "said")
    assert answer.code == 2
    assert "Fläche 2" in answer.error


def test_evaluate_names_an_unknown_task(call: Callable[..., Any], data: Path) -> None:
    answer = call("evaluate", "--task", "semantik", "--truth", "labels", "--prediction", "labels")
    assert answer.code == 2
    assert "semantic" in answer.error


# -- models -------------------------------------------------------------------------------


def test_models_come_and_go(call: Callable[..., Any], model: Path, home: Path) -> None:
    assert call("models", "add", model, "--json").json["name"] == "tiny model"
    listed = {entry["name"]: entry for entry in call("models", "list", "--json").json}
    assert listed["tiny model"]["kind"] == "yours"
    assert listed["tiny model"]["classes"] == {"1": "spot"}
    assert "tiny model" in call("models", "list").out
    assert call("models", "show", "tiny model", "--json").json["ndim"] == 2
    assert "tiny model" in call("models", "show", "tiny model").out
    assert call("models", "export", "tiny model", "copy").code == 0
    assert call("models", "verify", "copy", "--json").json["ok"] is True
    assert call("models", "remove", "tiny model").code == 0
    assert "tiny model" not in call("models", "list").out


def test_a_damaged_model_is_reported(call: Callable[..., Any], model: Path) -> None:
    assert call("models", "verify", model).code == 0
    weights = model / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    answer = call("models", "verify", model, "--json")
    assert answer.code == 1
    assert answer.json["ok"] is False
    assert answer.json["problems"]
    assert call("models", "add", model).code == 2


def test_a_model_of_the_users_that_is_broken_is_listed_as_such(
    call: Callable[..., Any], model: Path, home: Path
) -> None:
    shutil.copytree(model, home / "models" / "bad")
    (home / "models" / "bad" / "model.json").write_text("{}")
    assert "bad" in call("models", "list").error
    verified = {entry["name"]: entry["ok"] for entry in call("models", "verify", "--json").json}
    assert verified["bad"] is False


@pytest.mark.parametrize("verb", ["show", "verify", "export", "remove"])
def test_an_unknown_model_is_an_error(call: Callable[..., Any], verb: str) -> None:
    answer = call("models", verb, "nobody", *(["out"] if verb == "export" else []))
    assert answer.code in (1, 2)
    assert "nobody" in answer.out + answer.err


# -- doctor -------------------------------------------------------------------------------


def test_doctor_checks_everything_and_offers_fixes(call: Callable[..., Any], home: Path) -> None:
    answer = call("doctor", "--json")
    document = answer.json
    checks = {check["name"]: check for check in document["checks"]}
    assert {"libraries", "plugin", "Qt", "display", "device", "memory", "model folder"} <= set(
        checks
    )
    assert document["libraries"]["torch"]
    assert str(home) in checks["model folder"]["found"]
    assert checks["device"]["status"] == "ok"
    assert all(check["fix"] for check in checks.values() if check["status"] != "ok")
    problems = [check for check in checks.values() if check["status"] == "problem"]
    assert answer.code == (1 if problems else 0)
    assert document["ok"] is (not problems)
    json.dumps(document)


def test_doctor_says_that_the_model_folder_cannot_be_written(
    call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "file"))
    answer = call("doctor")
    assert answer.code == 1
    assert "PROBLEM  model folder" in answer.out
    assert "NAPARI_APPRENTICE_HOME" in answer.out


# -- windows ------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that would have been started."""
    commands: list[list[str]] = []
    monkeypatch.setattr(
        "napari_apprentice.cli.viewer.start", lambda command: commands.append(command) or 0
    )
    monkeypatch.setattr("napari_apprentice.cli.viewer.qt_bindings", lambda: ["PyQt6"])
    return commands


def test_gui_without_a_display_says_what_to_do(
    call: Callable[..., Any], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    answer = call("gui")
    assert answer.code == 2
    assert "xvfb" in answer.error
    assert started == []


def test_gui_opens_napari_with_the_dock_and_the_images(
    call: Callable[..., Any],
    data: Path,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_apprentice.cli.viewer.display_problem", lambda: None)
    image = data / "images" / "Fläche 1.tif"
    assert call("gui", image).code == 0
    (command,) = started
    assert str(image) in command
    assert command[-3:] == ["--with", "napari-apprentice", "Apprentice"]


def test_gui_refuses_what_is_not_an_image(
    call: Callable[..., Any], tmp_path: Path, started: list[list[str]]
) -> None:
    assert call("gui", tmp_path / "absent.tif").code == 2
    assert started == []


@pytest.mark.parametrize("program", [None, "/usr/bin/xvfb-run"])
def test_demo_without_a_display_takes_a_virtual_one(
    call: Callable[..., Any],
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    program: str | None,
) -> None:
    monkeypatch.setattr("napari_apprentice.cli.viewer.display_problem", lambda: "no display")
    monkeypatch.setattr("shutil.which", lambda name: program)
    answer = call("demo", "--out", "shots")
    if program is None:
        assert answer.code == 2
        assert "xvfb" in answer.error
        assert started == []
    else:
        assert started[0][0] == program
        assert started[0][-3:] == ["--out", "shots", "--close"]


def test_a_qt_binding_is_needed_for_a_window(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_apprentice.cli.viewer.qt_bindings", list)
    for verb in ("gui", "demo"):
        answer = call(verb)
        assert answer.code == 2
        assert "napari-apprentice[all]" in answer.error
