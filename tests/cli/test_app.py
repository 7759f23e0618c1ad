"""Errors are one line with the right exit code, and JSON stays JSON."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import napari_apprentice
from napari_apprentice.cli import _app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERBS = ["gui", "doctor", "demo", "info", "convert", "models", "predict", "train", "evaluate"]


def test_help_names_every_verb(call: Callable[..., Any]) -> None:
    answer = call()
    assert answer.code == 0
    for verb in VERBS:
        assert f"  {verb} " in answer.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(call: Callable[..., Any], verb: str) -> None:
    answer = call(verb, "--help")
    assert answer.code == 0
    assert answer.out.startswith("Usage:")


def test_version(call: Callable[..., Any]) -> None:
    assert call("--version").out == f"napari-apprentice {napari_apprentice.__version__}\n"


def test_the_package_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["napari-apprentice", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("napari_apprentice", run_name="__main__")
    assert caught.value.code == 0
    assert napari_apprentice.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("predikt",),
        ("predict",),
        ("predict", "x.tif", "--model", "m"),
        ("models",),
        ("info", "x.tif", "--colour"),
        ("train", "--images", "x"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    call: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    answer = call(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert "--help" in answer.error


def test_an_error_with_json_is_one_document(call: Callable[..., Any]) -> None:
    answer = call("info", "absent.tif", "--json")
    assert answer.code == 2
    assert answer.json["exit_code"] == 2
    assert "absent.tif" in answer.json["error"]
    assert "absent.tif" in answer.error


def test_bad_usage_with_json_is_one_document(call: Callable[..., Any]) -> None:
    answer = call("predict", "--json")
    assert answer.code == answer.json["exit_code"] == 2


def test_a_bug_shows_no_traceback_unless_asked(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(path: object) -> None:
        raise ZeroDivisionError("one by\nnothing")

    monkeypatch.setattr("napari_apprentice.engine.verbs.open_volume", broken)
    file = tmp_path / "x.png"
    file.touch()
    answer = call("info", file)
    assert answer.code == 1
    assert "Traceback" not in answer.err
    assert "ZeroDivisionError: one by nothing" in answer.error
    assert "--debug" in answer.error
    assert "Traceback" in call("info", file, "--debug").err


def test_ctrl_c_ends_with_130(call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_apprentice.cli.info.Inputs.find", interrupted)
    answer = call("info", "x.tif")
    assert answer.code == _app.INTERRUPTED == 130
    assert answer.error == "napari-apprentice: interrupted"


def test_the_installed_command_works_in_a_process_of_its_own(data: Path) -> None:
    command = [sys.executable, "-c", "from napari_apprentice.cli import main; main()"]
    result = subprocess.run(
        [*command, "info", "images", "--json"],
        cwd=data,
        capture_output=True,
        check=False,
        timeout=120,
        env={"LANG": "C", "PYTHONUTF8": "0", "PATH": ""},
    )
    assert result.returncode == 0, result.stderr
    assert [len(found["shape"]) for found in json.loads(result.stdout)] == [2, 2, 2]
