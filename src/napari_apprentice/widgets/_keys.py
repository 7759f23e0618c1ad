"""Keys as the person wants them in napari's preferences; in the code the default stands for what it does."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from app_model.types import KeyCode
from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["DEFAULTS", "key_for", "listed", "refused_keys", "resolve"]

DEFAULTS = {
    "predict_step": "Alt+1",
    "correct_step": "Alt+2",
    "learn_step": "Alt+3",
    "go": "Ctrl+Return",
    "cancel": "Alt+Backspace",
    "finish_slice": "Shift+F",
    "next_unfinished": "Shift+N",
    "finish_box": "Shift+B",
    "previous_one": "Shift+Left",
    "next_one": "Shift+Right",
    "next_doubtful": "Shift+Down",
    "lock": "Shift+K",
    "add_by_click": "Shift+A",
    "new_object": "Shift+O",
    "delete": "Shift+D",
    "merge": "Shift+J",
    "split_by_line": "Shift+L",
    "split_by_clicks": "Shift+X",
    "split": "Shift+S",
    "fill_holes": "Shift+H",
    "keep_largest": "Shift+G",
    "renumber": "Shift+R",
    "remove_small": "Shift+M",
    "take_back_class": "Shift+Z",
    "classify_rest": "Shift+C",
    "begins_here": "Shift+I",
    "ends_here": "Shift+E",
}
"""Setting of the manifest → key. None is napari's own."""


def key_for(default: str) -> str:
    """The key that the person chose in place of a default; any other key stays as it is."""
    return _settled(_wanted())[0].get(default, default)


def listed(title: str, does: Mapping[str, str]) -> str:
    """A list to read: the keys that hold now, and what they do."""
    return f"{title}:\n" + "\n".join(f"{key_for(key)}   {told}" for key, told in does.items())


def refused_keys() -> tuple[str, ...]:
    """A sentence for each key that was wished for and cannot be had."""
    return _settled(_wanted())[1]


def resolve(
    wanted: Iterable[tuple[str, str]], taken: frozenset[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Settle which key does what; a wish that cannot be had leaves the default.

    Parameters
    ----------
    wanted
        Settings and the keys wished for.
    taken
        Keys of napari.

    Returns
    -------
    tuple
        Default → key, for all of `DEFAULTS`; and a sentence for each wish that was refused.
    """
    keys = {default: default for default in DEFAULTS.values()}
    refused = {}
    for name, text in wanted:
        default, key = DEFAULTS[name], _normal(text)
        if not key:
            refused[default] = f"{text!r} is no key"
        elif key in taken and key != default:
            refused[default] = f"napari uses {key} itself"
        else:
            keys[default] = key
    while twice := _twice(keys):
        for default in twice:
            refused[default] = f"{keys[default]} is wished for twice"
            keys[default] = default
    return keys, tuple(f"{why}: {keys[default]} stays." for default, why in refused.items())


def _twice(keys: Mapping[str, str]) -> list[str]:
    """Defaults that were changed to a key that does something else, too."""
    count = Counter(keys.values())
    return [default for default, key in keys.items() if count[key] > 1 and key != default]


def _normal(text: str) -> str:
    """A key in one spelling, empty where it is none."""
    try:
        binding = coerce_keybinding(text.strip().replace("Return", "Enter"))
    except (ValueError, TypeError, KeyError):
        return ""
    known = [part.key not in (None, KeyCode.UNKNOWN) for part in binding.parts]
    return str(binding).replace("Enter", "Return") if known == [True] else ""


@lru_cache(maxsize=1)
def _settled(
    wanted: tuple[tuple[str, str], ...],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Settled once: asking napari for its own keys takes a while."""
    return resolve(wanted, _taken() if wanted else frozenset())


def _wanted() -> tuple[tuple[str, str], ...]:
    from napari.settings import get_plugin_settings

    try:
        chosen = get_plugin_settings("napari-apprentice").apprentice_keys
    except (AttributeError, KeyError, ValueError):
        # Started from a script without the plugin being discovered.
        return ()
    pairs = ((name, str(getattr(chosen, name, default))) for name, default in DEFAULTS.items())
    return tuple((name, text) for name, text in pairs if text != DEFAULTS[name])


def _taken() -> frozenset[str]:
    from napari.settings import get_settings

    shortcuts: Iterable[Iterable[object]] = get_settings().shortcuts.shortcuts.values()
    return frozenset(str(binding) for bindings in shortcuts for binding in bindings)
