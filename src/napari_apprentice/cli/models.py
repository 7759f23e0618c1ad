"""``models``: which models are at hand, where they are from, whether they are sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._console import note, print_json, print_lines, table
from ._options import Debug, Json

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.models.store import ModelStore

__all__ = ["app"]

app = typer.Typer(
    help="List, look at, check, add, export and remove models.",
    rich_markup_mode=None,
    no_args_is_help=False,
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model (see `models list`).")]
_NameOrFolder = Annotated[
    str, typer.Argument(metavar="NAME|DIR", help="Name of a model, or its folder.")
]


def _store() -> ModelStore:
    from napari_apprentice.models.store import ModelStore

    return ModelStore()


@app.command("list")
def list_(json: Json = False, debug: Debug = False) -> int:
    """List the starters that come with the package and your own models."""
    store = _store()
    specs = store.specs()
    for name, problem in store.problems.items():
        note(f"napari-apprentice: {name} cannot be used: {problem}")
    records = [_summary(store, name, spec) for name, spec in specs.items()]
    if json:
        print_json(records)
    elif records:
        rows = [
            [r["name"], r["task"], f"{r['ndim']}-D", r["kind"], ", ".join(r["classes"].values())]
            for r in records
        ]
        print_lines(table(rows, ["name", "task", "axes", "from", "classes"]))
    else:
        print_lines(["no models yet; `napari-apprentice train` makes one"])
    return 0


def _summary(store: ModelStore, name: str, spec: ModelSpec) -> dict[str, Any]:
    return {
        "name": name,
        "task": spec.task,
        "ndim": spec.ndim,
        "kind": "starter" if store.is_starter(name) else "yours",
        "classes": {str(c.value): c.name for c in spec.classes},
        "channels": list(spec.channels),
        "spacing": None if spec.spacing is None else list(spec.spacing),
        "unit": spec.unit,
        "licence": spec.licence,
        "parent": spec.parent,
        "scores": dict(spec.scores),
        "path": str(store.find(name)),
    }


@app.command()
def show(name: _NameOrFolder, json: Json = False, debug: Debug = False) -> int:
    """Show a model's card: what it does, what it was trained on, its scores, its licence."""
    from napari_apprentice.models.store import load_spec

    folder = _store().find(name)
    spec = load_spec(folder)
    if json:
        print_json({**spec.model_dump(mode="json"), "path": str(folder)})
        return 0
    card = folder / "README.md"
    if card.is_file():
        print_lines([card.read_text(encoding="utf-8").rstrip()])
    else:
        print_lines([f"{spec.name}: {spec.task}, {spec.description or 'no description'}"])
    return 0


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|DIR]", help="Names or folders; without any, every model."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Check that models are whole, genuine and can be built; exit code 1 where one is not."""
    store = _store()
    found = {name: store.verify(name) for name in names or list(store.specs())}
    if not names:
        found |= {name: [problem] for name, problem in store.problems.items()}
    records = [
        {"name": name, "ok": not problems, "problems": problems} for name, problems in found.items()
    ]
    if json:
        print_json(records[0] if names and len(names) == 1 else records)
    else:
        print_lines(f"{name}: {'; '.join(p) or 'sound'}" for name, p in found.items())
    return 1 if any(found.values()) else 0


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a model.")],
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Copy a model folder to your models, once it is known to be sound."""
    store = _store()
    name = store.add(folder)
    _answer(json, {"name": name, "path": str(store.find(name))}, f"added as {name!r}")
    return 0


@app.command()
def export(
    name: _Name,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the copy.")],
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Copy a model to a folder, to give it to somebody."""
    _store().export(name, folder)
    _answer(json, {"name": name, "path": str(folder)}, str(folder))
    return 0


@app.command()
def remove(name: _Name, json: Json = False, debug: Debug = False) -> int:
    """Delete one of your models for good."""
    _store().remove(name)
    _answer(json, {"name": name, "removed": True}, f"removed {name!r}")
    return 0


def _answer(json: bool, document: dict[str, Any], line: str) -> None:
    if json:
        print_json(document)
    else:
        print_lines([line])
