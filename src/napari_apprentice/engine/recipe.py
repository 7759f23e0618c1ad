"""Recipes in words: filters and normalisation as a person writes them, on a command line or in a form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, cast

from pydantic import ValidationError

from napari_apprentice.core.args import parse_args
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import FilterSpec, Normalization

from .filters import FILTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "WINDOWS",
    "filters_text",
    "normalization_text",
    "parse_filters",
    "parse_normalization",
    "window",
]

WINDOWS: Final[dict[str, tuple[float, float]]] = {
    "brain": (40.0, 80.0),
    "mediastinum": (50.0, 350.0),
    "soft tissue": (50.0, 400.0),
    "bone": (400.0, 1800.0),
    "lung": (-600.0, 1500.0),
}
"""Centre and width in HU of the windows that radiologists look at CT in."""
_KINDS = ("zscore", "percentile", "window")
_LIMITS = {"percentile": (0.5, 99.5), "zscore": (0.5, 99.5)}
_EXAMPLE = 'For example: "bias_field, median:radius=2".'


def window(name: str) -> Normalization:
    """The CT window of that name, as a normalisation."""
    centre, width = WINDOWS[name]
    return Normalization(kind="window", low=centre - width / 2, high=centre + width / 2)


def parse_filters(text: str) -> tuple[FilterSpec, ...]:
    """Read ``"bias_field, median:radius=2"``: filters in order, each with its arguments.

    The result holds every argument, also those that the text leaves out: a stored recipe does not change with the defaults.

    Raises
    ------
    BadInputError
        Anything else; a filter that does not exist, or an argument that it refuses.
    """
    return tuple(_filter(part.strip()) for part in text.split(",") if part.strip())


def _filter(text: str) -> FilterSpec:
    name, *pairs = (part.strip() for part in text.split(":"))
    args = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not (key and sign and value):
            raise BadInputError(
                f"expected a filter as name:argument=value, found {text!r}", remedy=_EXAMPLE
            )
        args[key] = value
    checked = parse_args(FILTERS[name].Args, args, what="filter")
    return FilterSpec(name=name, args=checked.model_dump(mode="json"))


def filters_text(steps: Sequence[FilterSpec]) -> str:
    """Write filters so that `parse_filters` reads the same; arguments that are as usual are left out."""
    return ", ".join(map(_step_text, steps))


def _step_text(step: FilterSpec) -> str:
    usual = FILTERS[step.name].Args().model_dump(mode="json")
    own = {k: v for k, v in step.args.items() if usual.get(k) != v}
    return ":".join([step.name, *(f"{k}={_number(v)}" for k, v in own.items())])


def parse_normalization(text: str) -> Normalization:
    """Read ``"zscore"``, ``"percentile:1:99"``, ``"window:-160:240"``, or the name of a CT window.

    Raises
    ------
    BadInputError
        Anything else.
    """
    words = [word.strip() for word in text.split(":")]
    name = words[0].casefold().replace("_", " ")
    if name in WINDOWS and len(words) == 1:
        return window(name)
    try:
        if name not in _KINDS or len(words) not in ((1, 3) if name in _LIMITS else (3,)):
            raise ValueError
        low, high = map(float, words[1:]) if len(words) == 3 else _LIMITS[name]
        kind = cast("Literal['zscore', 'percentile', 'window']", name)
        return Normalization(kind=kind, low=low, high=high)
    except ValidationError as error:
        reason = re.sub("^Value error, ", "", error.errors()[0]["msg"])
        raise BadInputError(f"{reason}, in {text!r}") from error
    except ValueError:
        raise BadInputError(
            f"expected zscore, percentile:LOW:HIGH, window:LOW:HIGH or {', '.join(WINDOWS)}, found {text!r}",
            remedy='For example: "percentile:1:99".',
        ) from None


def normalization_text(how: Normalization) -> str:
    """Write a normalisation so that `parse_normalization` reads the same."""
    named = next((name for name in WINDOWS if window(name) == how), None)
    if named is not None:
        return named
    if (how.low, how.high) == _LIMITS.get(how.kind) or how.kind == "zscore":
        return how.kind
    return f"{how.kind}:{_number(how.low)}:{_number(how.high)}"


def _number(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
