"""Flags made of a config's fields: what a parameter is called, means and may be is written there only."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

__all__ = ["Debug", "Images", "Json", "ModelName", "SeriesName", "make_config", "with_config"]

Config = TypeVar("Config", bound=BaseModel)
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}

Images = Annotated[list[Path], typer.Argument(metavar="PATH", help="Images, or folders of images.")]
ModelName = Annotated[
    str,
    typer.Option(metavar="NAME|DIR", help="Name of a model (see `models list`) or its folder."),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Write one JSON document to standard output, all else to standard error."
    ),
]
SeriesName = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar="NAME",
        help="Which series of a folder: number, UID or its end, or description (`info` lists them).",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error came from.")]


def with_config(kind: type[BaseModel]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Replace a command's parameter ``config`` by one flag per field of `kind`.

    A flag that is not given keeps the field's default, so that ``model_fields_set`` tells what a person asked for.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def wrapper(**values: Any) -> int:
            given = {name: values.pop(name) for name in kind.model_fields}
            config = make_config(kind, {n: v for n, v in given.items() if v is not None})
            return command(config=config, **values)

        parameters = _parameters(command, kind)
        vars(wrapper)["__signature__"] = inspect.Signature(parameters, return_annotation=int)
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
        del wrapper.__wrapped__
        return wrapper

    return decorate


def _parameters(command: Callable[..., int], kind: type[BaseModel]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(command, include_extras=True)
    found = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name == "config":
            found += [_flag(name, field) for name, field in kind.model_fields.items()]
        else:
            found.append(
                parameter.replace(
                    annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY
                )
            )
    return found


def _flag(name: str, field: FieldInfo) -> inspect.Parameter:
    flag = "--" + name.replace("_", "-")
    kind, metavar = _type(field.annotation)
    declared = f"{flag}/--no-{flag[2:]}" if kind is bool else flag
    option = typer.Option(
        declared,
        help=_help(field),
        metavar=metavar,
        show_default=False,
        rich_help_panel=None,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _type(annotation: Any) -> tuple[Any, str | None]:
    """Type a flag is read as (anything but a switch is text: the config checks it) and its placeholder."""
    options = [a for a in _members(annotation) if a is not type(None)]
    first = options[0]
    if first is bool:
        return bool, None
    if typing.get_origin(first) is typing.Literal:
        return str, "|".join(map(str, typing.get_args(first)))
    if typing.get_origin(first) is tuple:
        return str, "N,N,…"
    return str, {int: "N", float: "X"}.get(first, "TEXT")


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _help(field: FieldInfo) -> str:
    """The description with examples, bounds and default."""
    extras = []
    if field.examples:
        extras.append("for example " + ", ".join(map(str, field.examples)))
    bounds = [
        f"{word} {getattr(entry, key):g}"
        for entry in field.metadata
        for key, word in _BOUNDS.items()
        if getattr(entry, key, None) is not None
    ]
    if bounds:
        extras.append(" and ".join(bounds))
    if field.default is not None:
        words = {True: "on", False: "off"}
        shown = words[field.default] if isinstance(field.default, bool) else field.default
        extras.append(f"default {shown}")
    description = (field.description or field.title or "").rstrip(".")
    return f"{description} ({'; '.join(extras)})." if extras else f"{description}."


def make_config(kind: type[Config], values: dict[str, Any]) -> Config:
    """Make a config of values as a person typed them.

    Raises
    ------
    BadInputError
        A value the config refuses; the message names the flag.
    """
    parsed = {name: _parse(kind.model_fields[name], value) for name, value in values.items()}
    try:
        return kind.model_validate(parsed)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "option"
        raise BadInputError(
            f"--{name.replace('_', '-')}: {first['msg'][0].lower()}{first['msg'][1:]}, "
            f"found {values.get(name, first['input'])!r}",
            remedy="See --help for what it may be.",
        ) from error


def _parse(field: FieldInfo, value: Any) -> Any:
    """Split ``"64,64,32"`` for fields that are tuples; pydantic reads numbers itself."""
    is_tuple = any(typing.get_origin(a) is tuple for a in _members(field.annotation))
    if is_tuple and isinstance(value, str):
        return value.replace("x", ",").replace("×", ",").split(",")
    return value
