"""Keys that the person chose in napari's preferences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from napari_apprentice.widgets import _keys
from napari_apprentice.widgets.apprentice import KEYS, ApprenticeDock
from napari_apprentice.widgets.classify import KEYS as CLASSIFY_KEYS
from napari_apprentice.widgets.correct import KEYS as CORRECT_KEYS

from ._correct_bench import CLASSES, FLAT, Bench

NAME = "napari-apprentice"
# Those of all editors, and the numbers of classes.
FIXED = {"Ctrl+1 … Ctrl+9", "Ctrl+Z", "Ctrl+Shift+Z", "1 … 9"}


def settle(*wanted, taken=("K", "Ctrl+R")):
    return _keys.resolve(tuple(wanted), frozenset(taken))


def test_a_wish_takes_the_place_of_the_default_in_any_spelling():
    keys, refused = settle(("finish_slice", "shift-q"), ("go", "F6"), ("cancel", "Ctrl+Return"))
    assert keys["Shift+F"] == "Shift+Q"
    assert keys["Ctrl+Return"] == "F6"
    assert keys["Alt+Backspace"] == "Ctrl+Return"
    assert keys["Shift+N"] == "Shift+N"
    assert not refused


def test_two_keys_can_be_exchanged():
    keys, refused = settle(("lock", "Shift+D"), ("delete", "Shift+K"))
    assert (keys["Shift+K"], keys["Shift+D"], refused) == ("Shift+D", "Shift+K", ())


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ([("lock", "hello")], "'hello' is no key: Shift+K stays."),
        ([("lock", "")], "'' is no key: Shift+K stays."),
        ([("lock", "Shift+")], "'Shift+' is no key: Shift+K stays."),
        ([("lock", "Ctrl+R")], "napari uses Ctrl+R itself: Shift+K stays."),
        ([("lock", "Shift+D")], "Shift+D is wished for twice: Shift+K stays."),
    ],
)
def test_what_cannot_be_had_leaves_the_default_and_is_said(wanted, why):
    keys, refused = settle(*wanted)
    assert keys["Shift+K"] == "Shift+K"
    assert refused == (why,)


def test_a_refused_wish_takes_no_key_from_another():
    """The key of one goes to another, whose own wish is refused: both keep what they had."""
    keys, refused = settle(("lock", "Shift+D"), ("delete", "Ctrl+R"))
    assert keys == {key: key for key in _keys.DEFAULTS.values()}
    assert len(refused) == 2


def test_every_key_of_the_docks_can_be_changed():
    used = {*KEYS, *CORRECT_KEYS, *CLASSIFY_KEYS} - FIXED
    assert used == set(_keys.DEFAULTS.values())


def test_the_manifest_offers_the_same_keys():
    manifest = yaml.safe_load((Path(__file__).parents[2] / "napari.yaml").read_text("utf-8"))
    offered = manifest["contributions"]["configurations"]["apprentice_keys"]["properties"]
    assert {name: item["default"] for name, item in offered.items()} == _keys.DEFAULTS


@pytest.fixture
def chosen(make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The keys in napari's preferences, a viewer besides."""
    from napari.settings import get_plugin_settings
    from npe2 import PluginManager

    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    PluginManager.instance().discover()
    viewer = make_napari_viewer()
    keys = get_plugin_settings(NAME).apprentice_keys
    yield viewer, keys
    for name, default in _keys.DEFAULTS.items():
        setattr(keys, name, default)


@pytest.mark.gui
def test_keys_and_what_the_buttons_say_follow_the_preferences(chosen):
    viewer, keys = chosen
    keys.delete, keys.finish_box = "Shift+Q", "F6"
    labels = np.zeros(FLAT.shape, np.uint32)
    labels[10:20, 10:20] = 7
    b = Bench(viewer, FLAT, labels, CLASSES[:1]).begin()
    b.layer.selected_label = 7
    assert "(Shift+Q)" in b.dock.objects.buttons["Shift+D"].toolTip()
    b.key("Shift-D")
    assert b.layer.data.max() == 7
    b.key("Shift-Q")
    assert b.layer.data.max() == 0
    assert "(F6)" in b.dock.counting.box.toolTip()
    for state in b.session.annotations.values():
        state.autosave.close()


@pytest.mark.gui
def test_the_dock_lists_the_chosen_keys_and_says_what_it_refused(chosen, monkeypatch):
    viewer, keys = chosen
    told = []
    monkeypatch.setattr("napari_apprentice.widgets._session.show_warning", told.append)
    keys.lock, keys.learn_step, keys.go = "nonsense", "Alt+9", "F6"
    viewer.add_image(np.zeros(FLAT.shape))
    dock = ApprenticeDock(viewer)
    assert dock.predict.button.toolTip().endswith("(F6)")
    assert told == ["'nonsense' is no key: Shift+K stays."]
    assert re.search(r"^Alt\+9 +Learn$", dock.help.toolTip(), re.M)
    assert dock.tabs.tabToolTip(2) == "Learn (Alt+9)"
