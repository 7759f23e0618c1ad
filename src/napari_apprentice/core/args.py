"""Arguments of what is plugged in: checked against a config, with the first one at fault named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["parse_args"]

Args = TypeVar("Args", bound=BaseModel)


def parse_args(
    kind: type[Args],
    args: Mapping[str, Any],
    *,
    what: str,
    error: type[BadInputError] = BadInputError,
) -> Args:
    """Check arguments as JSON or a command line holds them.

    Parameters
    ----------
    what
        Of what they are arguments, for the message: ``"network"``.
    error
        Class of the error.

    Raises
    ------
    BadInputError
        Names the first argument at fault and what is wrong with it.
    """
    try:
        return kind.model_validate(dict(args))
    except ValidationError as fault:
        first = fault.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "arguments"
        known = ", ".join(kind.model_fields) or "none"
        raise error(
            f"{what} argument {name!r}: {first['msg']}, found {first['input']!r}"[:500],
            remedy=f"Known arguments: {known}.",
        ) from fault
