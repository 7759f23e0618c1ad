"""Where the user's own things lie: models, measured speeds, recovery journals."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["user_folder"]


def user_folder() -> Path:
    """Return the folder for the user's data; it need not exist yet.

    ``NAPARI_APPRENTICE_HOME`` overrides the place that the operating system foresees.
    """
    home = os.environ.get("NAPARI_APPRENTICE_HOME")
    if home:
        return Path(home)
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Application Support"
    else:
        root = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return root / "napari-apprentice"
