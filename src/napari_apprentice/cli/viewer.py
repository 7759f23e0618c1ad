"""``gui`` and ``demo``: napari in a process of its own, so that the command line never loads a GUI library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_apprentice.core.errors import BadInputError, MissingDependencyError

from ._environment import display_problem, is_virtual_display, qt_bindings, screen_command
from ._options import Debug

__all__ = ["demo", "gui"]

_PLUGIN, _DOCK = "napari-apprentice", "Apprentice"
_DEMO = "napari_apprentice.widgets.demo"
_NO_DISPLAY = (
    "Work at a desktop, or on a virtual display: xvfb-run -a napari-apprentice … "
    "(Debian, Ubuntu: apt install xvfb)"
)


def gui(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]", help="Images to open.")
    ] = None,
    debug: Debug = False,
) -> int:
    """Open napari with the Apprentice dock."""
    from napari_apprentice.io import format_of

    for path in paths or []:
        format_of(path)
    _need_qt()
    problem = display_problem()
    if problem is not None:
        raise BadInputError(f"napari needs a display: {problem}", remedy=_NO_DISPLAY)
    files = [str(path.resolve()) for path in paths or []]
    # napari's own command line; files come first because --with takes every word after it.
    reader = ["--plugin", _PLUGIN] if files else []
    command = [sys.executable, "-m", "napari", *files, *reader, "--with", _PLUGIN, _DOCK]
    return start(command)


def demo(
    headless: Annotated[
        bool,
        typer.Option("--headless", help="Close the window at the end; needs no screen of its own."),
    ] = False,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the screenshots and the scores.")
    ] = Path("demo"),
    debug: Debug = False,
) -> int:
    """Watch the main job on a sample: predict, correct, learn, predict again, in the real viewer.

    Prints the Dice before and after on slices that were not corrected; exit code 1 where it did not rise.
    """
    _need_qt()
    screen: list[str] = []
    if display_problem() is not None:
        found = screen_command()
        if found is None:
            raise BadInputError(
                f"the demo needs a display: {display_problem()}", remedy=_NO_DISPLAY
            )
        screen = found
    # Nobody watches a virtual screen, nor a window that a script opened.
    close = headless or bool(screen) or is_virtual_display() or not sys.stdout.isatty()
    options = ["--out", str(out), *(["--close"] if close else []), *(["--debug"] if debug else [])]
    command = [*screen, sys.executable, "-m", _DEMO, *options]
    return start(command)


def start(command: list[str]) -> int:
    """Run a program in the place of this process, so that Ctrl-C, signals and the exit code are its own.

    Windows cannot replace a process: there it is waited for.
    """
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)  # noqa: S606  # our interpreter or xvfb-run, no shell
    return subprocess.call(command)  # noqa: S603  # as above


def _need_qt() -> None:
    if not qt_bindings():
        raise MissingDependencyError(
            "a Qt binding is needed to open a window and none is installed",
            remedy="Run: pip install 'napari-apprentice[all]'",
        )
