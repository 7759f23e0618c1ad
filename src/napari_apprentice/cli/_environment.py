"""What this machine offers, found out without importing a GUI library."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from pathlib import Path

__all__ = ["display_problem", "is_virtual_display", "qt_bindings", "screen_command"]

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
_SCREEN = "-screen 0 1280x800x24"


def qt_bindings() -> list[str]:
    """Installed Qt bindings."""
    return [name for name in _BINDINGS if importlib.util.find_spec(name) is not None]


def display_problem() -> str | None:
    """Return why no window can be opened here, or None where one can."""
    if not sys.platform.startswith("linux"):
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None
    display = os.environ.get("DISPLAY", "")
    if not display:
        return "no display (DISPLAY is not set)"
    host, _, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if host in ("", "unix") and number.isdecimal() and not _listens(number):
        return f"the display {display} does not answer"
    return None


def _listens(number: str) -> bool:
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108  # where the X protocol puts it
    addresses = [path] if Path(path).exists() else []
    for address in (*addresses, f"\0{path}"):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2.0)
            try:
                client.connect(address)
            except OSError:
                continue
            return True
    return False


def is_virtual_display() -> bool:
    """Whether ``xvfb-run`` made the display, so that nobody sees it."""
    return "xvfb-run" in os.environ.get("XAUTHORITY", "")


def screen_command() -> list[str] | None:
    """Command to put before another so that it has a virtual screen; None where there is no such program."""
    program = shutil.which("xvfb-run")
    return None if program is None else [program, "-a", "-s", _SCREEN]
