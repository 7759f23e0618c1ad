"""Write the reference pages that follow from the code: formats, tasks, networks, filters, models, settings, keys.

Run it after adding a format, a task, a network or a setting; a test compares::

    python docs/make_reference.py            # writes docs/reference/*.md
    python docs/make_reference.py --check    # writes nothing; exit code 1 where a page is out of date
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.files import is_file_name
from napari_apprentice.engine.filters import FILTERS
from napari_apprentice.io import FORMATS
from napari_apprentice.measure.feature_config import FeatureConfig, FeatureSettings
from napari_apprentice.measure.features import COLUMNS
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.models.store import ModelStore
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.measure.features import Column

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/make_reference.py from the code; edit the code instead. -->"
_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def pages() -> dict[str, str]:
    """All generated pages: file name → text."""
    bodies = {
        "formats.md": _formats(),
        "tasks.md": _tasks(),
        "networks.md": _networks(),
        "filters.md": _filters(),
        "models.md": _models(),
        "settings.md": _settings(),
        "features.md": _features(),
        "keys.md": _keys(),
    }
    return {name: f"{_NOTE}\n\n{body.rstrip()}\n" for name, body in bodies.items()}


def main() -> int:
    """Write the pages, or compare them with ``--check``."""
    stale = []
    for name, text in pages().items():
        path = REFERENCE / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
    print(f"changed: {', '.join(stale)}" if stale else "up to date")
    return 1 if stale and "--check" in sys.argv[1:] else 0


# -- pages --------------------------------------------------------------------------------


def _formats() -> str:
    entries = dict(FORMATS.items())
    rows = [
        (entry.title, f"`{name}`", _code(entry.suffixes) or "–", _code(_written(entry)) or "–")
        for name, entry in entries.items()
    ]
    parts = [
        "# File formats",
        "The name says which format a file should be, its first bytes must agree; where they do not, an error says "
        "what was found instead.",
        _table(("format", "name in the code", "read", "written"), rows),
    ]
    for entry in entries.values():
        parts += [f"## {entry.title}", _prose(_module_doc(entry))]
    return "\n\n".join(parts)


def _tasks() -> str:
    rows = [(f"`{name}`", task.title, f"`{task.primary}`") for name, task in TASKS.items()]
    parts = [
        "# Tasks",
        "A task is what is asked of a network: how it is taught, how its answer is read, how it is marked.",
        _table(("task", "title", "score that decides which weights are best"), rows),
    ]
    for name, task in TASKS.items():
        parts += [f"## {name}", _prose(_module_doc(task)), _prose(_class_doc(task))]
    return "\n\n".join(parts)


def _networks() -> str:
    entries = dict(NETWORKS.items())
    rows = [
        (f"`{name}`", entry.title, _prose(_module_doc(entry)).split("\n\n")[0])
        for name, entry in entries.items()
    ]
    parts = [
        "# Networks",
        "All are built of MONAI's blocks and see two or three spatial axes. A model's `model.json` names one of them and its arguments.",
        _table(("name", "network", "in short"), rows),
    ]
    for name, entry in entries.items():
        parts += [f"## {name}", _prose(_class_doc(entry)), _fields(entry.Args, flags=False)]
    return "\n\n".join(parts)


def _filters() -> str:
    entries = dict(FILTERS.items())
    rows = [
        (f"`{name}`", entry.title, _prose(_module_doc(entry)).partition(": ")[2])
        for name, entry in entries.items()
    ]
    parts = [
        "# Filters",
        "They change the intensities of each channel before they are normalised. Lengths are in voxels of the finest axis; along "
        "coarser axes they reach as far in the world, in fewer voxels. A 2-D network's filters work plane by plane.",
        _table(("name", "filter", "in short"), rows),
    ]
    for name, entry in entries.items():
        parts += [f"## {name}", _prose(_class_doc(entry)), _fields(entry.Args, flags=False)]
    return "\n\n".join(parts)


def _models() -> str:
    store = ModelStore(folder=REFERENCE / "no-such-folder")
    rows = [_model_row(name, spec) for name, spec in store.specs().items()]
    return "\n\n".join(
        (
            "# Starter models",
            "They come with the package and are never overwritten. "
            "Their scores on images that they have not seen are in their cards: "
            "`napari-apprentice models show NAME`.",
            _table(("name", "task", "what it finds", "trained on", "licence"), rows),
            "[What a model is, and what its folder holds](../concepts/models.md)",
        )
    )


def _model_row(name: str, spec: ModelSpec) -> tuple[str, ...]:
    classes = ", ".join(f"{c.value} {c.name}" for c in spec.classes)
    kind = f"{spec.task}, {spec.ndim}-D"
    return f"`{name}`", kind, f"{spec.description} Classes: {classes}.", spec.data, spec.licence


def _settings() -> str:
    return "\n\n".join(
        (
            "# Settings",
            "The same settings are a row in the dock (under *More settings*), a flag on the command line "
            "and a keyword in Python: *Tile overlap*, `--overlap 0.25`, `overlap=0.25`.",
            "## Predict",
            _prose(_first(PredictConfig.__doc__)),
            _fields(PredictConfig, flags=True),
            "## Learn",
            _prose(_first(TrainConfig.__doc__)),
            _fields(TrainConfig, flags=True),
        )
    )


def _features() -> str:
    parts = [
        "# Features of objects",
        "The columns of the table that the dock *Objects*, `napari-apprentice features` and "
        "`napari_apprentice.features` make. Units in brackets are those of the image: here µm, `px` where the voxel size "
        "is not known. Where the image has several channels, columns marked *per channel* are there for each, under names "
        "such as `intensity mean [DAPI]`.",
        "## Always",
        _table(
            ("column", "meaning", "where"), map(_column_row, (c for c in COLUMNS if not c.group))
        ),
    ]
    for name, field in FeatureConfig.model_fields.items():
        rows = [_column_row(column) for column in COLUMNS if column.group == name]
        if rows:
            is_usual = "" if field.default else " Computed only where it is asked for."
            parts += [f"## {field.title}", f"{field.description}: group `{name}`.{is_usual}"]
            parts.append(_table(("column", "meaning", "where"), rows))
    parts += ["## Settings", _fields(FeatureSettings, flags=True)]
    return "\n\n".join(parts)


def _column_row(column: Column) -> tuple[str, str, str]:
    name = column.name.replace("{u}", "µm").replace("{r}", "20")
    axes = "zyx" if "{a}" in name else " "
    names = ", ".join(f"`{name.replace('{a}', axis)}`" for axis in axes)
    where = [f"{column.ndim}-D"] if column.ndim else []
    return names, column.meaning, ", ".join([*where, *["per channel"] * column.per_channel])


def _keys() -> str:
    from napari_apprentice.widgets import apprentice, classify, correct

    parts = ["# Keys", "They work while the dock is open. napari's own keys keep their meaning."]
    parts.append(
        "Change them in napari's Preferences under *napari-apprentice*, *Keys*: a key with or without Shift, Ctrl, Alt, such as `Shift+Q` or `F6`; "
        "Ctrl with a number and Ctrl+Z are fixed. A key that napari uses itself, or one for two things, is refused, and the default stays. "
        "What you change holds from the next dock or layer on."
    )
    for title, keys in (
        ("In the Apprentice dock", apprentice.KEYS),
        ("On the annotation layer, while *Correct* is open", correct.KEYS),
        ("In the *Classify* dock; on the layer of a stack the numbers with Ctrl", classify.KEYS),
    ):
        rows = [(f"`{key}`", does[:1].lower() + does[1:]) for key, does in keys.items()]
        parts += [f"## {title}", _table(("key", "does"), rows)]
    return "\n\n".join(parts)


# -- pieces -------------------------------------------------------------------------------


def _fields(config: type[BaseModel], *, flags: bool) -> str:
    """One row per field of a config."""
    rows = []
    for name, field in config.model_fields.items():
        key = f"`--{name.replace('_', '-')}`" if flags else f"`{name}`"
        text = (field.description or "").rstrip(".")
        rows.append((field.title or name, key, text, _bounds(field), _default(field)))
    return _table(
        ("setting", "flag" if flags else "argument", "meaning", "may be", "default"), rows
    )


def _default(field: FieldInfo) -> str:
    if field.default is None:
        return "–"
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    if isinstance(field.default, tuple):
        return ", ".join(map(str, field.default)) or "–"
    return str(field.default)


def _bounds(field: FieldInfo) -> str:
    choices = (
        re.findall(r"'([^']+)'", str(field.annotation))
        if "Literal" in str(field.annotation)
        else ()
    )
    words = [
        f"{word} {getattr(entry, key)}"
        for key, word in _BOUNDS
        for entry in field.metadata
        if getattr(entry, key, None) is not None
    ]
    return ", ".join(choices or words or map(str, field.examples or ())) or "–"


def _written(entry: Any) -> list[str]:
    """The endings under which a format can be written."""
    return [
        suffix for suffix in getattr(entry, "writes", ()) if is_file_name(Path(f"image{suffix}"))
    ]


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _module_doc(entry: Any) -> str:
    return inspect.cleandoc(sys.modules[type(entry).__module__].__doc__ or "")


def _class_doc(entry: Any) -> str:
    return inspect.cleandoc(type(entry).__doc__ or "")


def _first(text: str | None) -> str:
    return inspect.cleandoc(text or "").split("\n\n")[0]


def _prose(text: str) -> str:
    """A docstring as Markdown: literals in single backticks."""
    return text.replace("``", "`")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
