"""napari itself accepts what the manifest offers: menus, settings, docks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAME = "napari-apprentice"
DOCKS = ("Apprentice", "Predict", "Correct", "Learn")

OPEN_DOCKS = f"""
import sys
import napari
viewer = napari.Viewer(show=False)
for dock in {DOCKS!r}:
    viewer.window.add_plugin_dock_widget({NAME!r}, dock)
print("loaded:", *(m for m in ("torch", "monai") if m in sys.modules))
viewer.close()
"""


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """A real viewer that knows the installed plugins."""
    from npe2 import PluginManager

    PluginManager.instance().discover()
    return make_napari_viewer()


def commands_of(menu: str) -> set[str]:
    """Ids of the commands in a menu of the running application."""
    from napari._app_model import get_app_model

    items = get_app_model().menus.get_menu(menu)
    return {item.command.id for item in items if hasattr(item, "command")}


def test_docks_are_in_the_layers_menu(viewer: Any) -> None:
    segment = {f"{NAME}.open_{dock}" for dock in ("apprentice", "predict", "learn")}
    assert segment <= commands_of("napari/layers/segment")
    assert f"{NAME}.open_correct" in commands_of("napari/layers/annotate")


def test_samples_are_in_the_file_menu(viewer: Any) -> None:
    commands = commands_of(f"napari/file/samples/{NAME}")
    assert {f"{NAME}.brain-mri", f"{NAME}.nuclei"} <= commands


def test_settings_have_their_defaults_and_refuse_nonsense(
    viewer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from napari.settings import get_plugin_settings

    general = get_plugin_settings(NAME).apprentice_general
    assert general.device == "auto"
    assert general.training_minutes == 5
    with pytest.raises(ValueError, match="device"):
        general.device = "abacus"


@pytest.mark.gui
@pytest.mark.slow
def test_opening_the_docks_loads_neither_torch_nor_monai() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPEN_DOCKS],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "loaded:" in run.stdout, run.stderr
    assert run.stdout.partition("loaded:")[2].split() == []
