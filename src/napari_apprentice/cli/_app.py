"""The commands put together, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import napari_apprentice
from napari_apprentice.core.errors import ApprenticeError

from . import (
    convert,
    doctor,
    evaluate,
    explain,
    features,
    info,
    models,
    predict,
    synthesise,
    train,
    viewer,
)
from ._console import note, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main", "run"]

INTERRUPTED = 130
app = typer.Typer(
    name="napari-apprentice",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("gui")(viewer.gui)
app.command("demo")(viewer.demo)
app.command("doctor")(doctor.doctor)
app.command("info")(info.info)
app.command("convert")(convert.convert)
app.command("predict")(predict.predict)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("explain")(explain.explain)
app.command("features")(features.features)
app.command("synthesise")(synthesise.synthesise)
app.add_typer(models.app, name="models")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"napari-apprentice {napari_apprentice.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Segment volumes with networks that learn from your corrections.

    Exit codes: 0 done, 1 failed, 2 bad input or usage, 130 interrupted with Ctrl-C.
    """


def main() -> NoReturn:
    """Run the command line and exit; the entry point of the ``napari-apprentice`` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        As typed, without the program's name; none show the help.

    Returns
    -------
    int
        0 done, 1 failed, 2 bad input or usage, 130 interrupted.
    """
    try:
        code = app(args=list(arguments) or ["--help"], standalone_mode=False)
        sys.stdout.flush()
        # typer turns Ctrl-C into this code; no command of ours returns it.
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED, arguments)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  # the last net: whatever it is becomes one line
        return _report(error, arguments)


def _report(error: Exception, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        traceback.print_exception(error, file=sys.stderr)
    usage = getattr(error, "format_message", None)  # what typer raises on bad usage
    if isinstance(error, ApprenticeError):
        return _fail(str(error), error.exit_code, arguments)
    if callable(usage):
        return _fail(f"{usage().rstrip('.')}. See --help", 2, arguments)
    if isinstance(error, MemoryError):
        return _fail("memory ran out. Close other programs, or crop the image", 1, arguments)
    return _fail(
        f"unexpected {type(error).__name__}: {error}. Run it again with --debug and report what it shows",
        1,
        arguments,
    )


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    line = " ".join(message.split())
    note(f"napari-apprentice: {line}")
    if "--json" in arguments:
        print_json({"error": line, "exit_code": code})
    return code
