"""What people see while they wait, and how flags come out of a config."""

from __future__ import annotations

import importlib.util
import io
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, Field

from napari_apprentice.cli._console import Listener, describe, print_json, seconds_text, table
from napari_apprentice.cli._environment import display_problem
from napari_apprentice.cli._options import make_config, with_config
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Log, Metric, Progress

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_says_what_how_far_and_how_long() -> None:
    event = Progress("predicting", 3, 9, "tile", 2.4)
    assert describe(event) == "predicting [#######-------------] tile 3 of 9 · 2 s left"
    assert describe(Progress("preparing")) == "preparing"
    assert describe(Progress("reading", 5, 0, "file")) == "reading file 5"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (59, "59 s"), (240, "4 min"), (7200, "2.0 h")]
)
def test_durations_have_units(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_terminal_shows_one_line_that_goes_away() -> None:
    stream = Terminal()
    listener = Listener(stream=stream)
    listener.name = "brain.nii.gz"
    listener(Progress("predicting", 1, 2, "tile"))
    assert "\r" in stream.getvalue()
    assert "brain.nii.gz: predicting" in stream.getvalue()
    assert "\n" not in stream.getvalue()
    listener.clear()
    assert stream.getvalue().endswith("\r")


def test_without_a_terminal_only_what_matters_is_written() -> None:
    stream = io.StringIO()
    listener = Listener(stream=stream)
    for done in range(50):
        listener(Progress("learning", done, 50, "step"))
        listener(Metric("loss", done, 0.5))
    listener(Metric("held-out dice", 50, 0.876))
    listener(Log("memory ran out: continuing with 1 patch", "warning"))
    assert stream.getvalue().splitlines() == [
        "step 50: held-out dice 0.876",
        "warning: memory ran out: continuing with 1 patch",
    ]


def test_stop_is_asked_at_every_event() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listener(stop, io.StringIO())(Progress("predicting"))


def test_tables_are_aligned() -> None:
    assert table([["dice", "0.9"], ["surface dice", "1"]], ["score", "mean"]) == [
        "score         mean",
        "dice           0.9",
        "surface dice     1",
    ]


def test_json_has_no_nan_and_any_terminal_can_show_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": [float("nan"), float("inf"), 1.5], "name": "Schädel\udcff"})
    out = capsys.readouterr().out
    assert "NaN" not in out
    assert out.isascii()
    assert "null" in out


# -- flags --------------------------------------------------------------------------------


class Config(BaseModel):
    speed: float = Field(0.5, ge=0, le=2, description="How fast")
    kind: Literal["none", "light"] = "light"
    tile: tuple[int, ...] | None = None
    is_bold: bool = False


def test_a_config_becomes_flags_and_comes_back() -> None:
    seen: list[tuple[Config, str]] = []
    app = typer.Typer()

    @app.command()
    @with_config(Config)
    def verb(name: Annotated[str, typer.Option()], config: Config) -> int:
        seen.append((config, name))
        return 0

    words = ["--speed", "1e-3", "--tile", "4x5", "--is-bold", "--name", "x", "--kind", "none"]
    app(words, standalone_mode=False)
    app(["--name", "y"], standalone_mode=False)
    first, second = seen
    assert first == (Config(speed=1e-3, kind="none", tile=(4, 5), is_bold=True), "x")
    assert second == (Config(), "y")
    assert second[0].model_fields_set == set()


def test_a_value_the_config_refuses_is_a_sentence() -> None:
    with pytest.raises(BadInputError, match=r"--speed: .*less than or equal to 2, found '9'"):
        make_config(Config, {"speed": "9"})
    with pytest.raises(BadInputError, match=r"--is-bold"):
        make_config(Config, {"is_bold": "perhaps"})


# -- machine ------------------------------------------------------------------------------


def test_a_display_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":987")
    assert "987" in str(display_problem())
    monkeypatch.delenv("DISPLAY")
    assert "DISPLAY" in str(display_problem())
    monkeypatch.setattr("sys.platform", "darwin")
    assert display_problem() is None


def test_the_reference_is_what_the_commands_say(repository: Path) -> None:
    script = repository / "docs" / "make_cli_reference.py"
    spec = importlib.util.spec_from_file_location("make_cli_reference", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TARGET.read_text(encoding="utf-8") == module.reference(), (
        "run: python docs/make_cli_reference.py"
    )
