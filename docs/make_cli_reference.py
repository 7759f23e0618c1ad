"""Write ``docs/reference/cli.md`` from the commands themselves.

Run ``python docs/make_cli_reference.py``; a test compares what is on disk with what this would write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from napari_apprentice.cli._app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Path(__file__).resolve().parent / "reference" / "cli.md"
INTRODUCTION = """\
# Command line

<!-- written by docs/make_cli_reference.py: change the commands, then run it again -->

Every command ends with exit code 0 (done), 1 (failed), 2 (bad input or usage) or 130 (interrupted with
Ctrl-C). An error is one line on standard error: what, which file, what to do. With `--json` standard
output is exactly one JSON document, `{"error": …, "exit_code": …}` where nothing else could be said.

A folder stands for the images in it. JSON is a list where a folder or several images were given, and an
object for one image. A bad image among several is named and left out: its entry holds `error`, the others
are done, and the exit code is 1.
"""
JSON = {
    "info": '{"path", "format", "shape", "axes", "spacing", "unit", "affine", "channels", "dtype", …}',
    "predict": '{"path", "output", "model", "device", "seconds", "summary", "notes", …}',
    "train": '{"model", "name", "scores", "before", "split": {"train", "held_out", "note"}, "seconds", "steps"}',
    "evaluate": '{"cases": [{"path", "dice", …}], "mean": {"dice", …}}',
    "explain": '{"path", "output", "model", "way", "class", "summary", "device", "seconds", "notes"}',
    "features": '{"image", "labels", "output", "count", "objects": [{"label", "area (µm²)", …}]}',
    "synthesise": '{"model", "files": ["…"], "classes": {"a": 16, …}}',
    "doctor": '{"ok", "version", "python", "platform", "libraries", "devices", "checks": [{"name", "status", "found", "fix"}]}',
    "models list": '[{"name", "task", "ndim", "kind", "classes", "channels", "spacing", "unit", "licence", "parent", "scores", "path"}]',
    "models verify": '{"name", "ok", "problems"}',
}


def reference() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(app)
    parts = [INTRODUCTION]
    for name, command in sorted(_commands(root, ())):
        parts.append(_section(name, command))
    return "\n".join(parts)


def _commands(group: Any, above: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        path = (*above, name)
        if hasattr(command, "commands"):
            yield from _commands(command, path)
        else:
            yield " ".join(path), command


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    words = [f"napari-apprentice {name}", *(_argument(a) for a in arguments)]
    words += [f"{o.opts[0]} {_placeholder(o)}" for o in options if o.required]
    lines = [f"## {name}", "", f"`{' '.join(words)}`", "", *_paragraphs(command.help)]
    rows = [(f"`{_argument(a)}`", a.help) for a in arguments]
    rows += [(f"`{_flag(o)}`", o.help) for o in options]
    lines += [
        "| | |",
        "|---|---|",
        *(f"| {left.replace('|', chr(92) + '|')} | {_cell(right)} |" for left, right in rows),
        "",
    ]
    if name in JSON:
        lines += ["JSON:", "", "```", JSON[name], "```", ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) + "\n" for part in (text or "").split("\n\n")]


def _cell(text: str) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    name += "…" if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _placeholder(option: Any) -> str:
    return option.metavar or "TEXT"


def _flag(option: Any) -> str:
    if option.is_flag:
        return " / ".join([*option.opts, *option.secondary_opts])
    return f"{option.opts[0]} {_placeholder(option)}"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(reference(), encoding="utf-8")
