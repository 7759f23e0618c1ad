"""Optional libraries: one way to ask for them, one message when they are absent."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional library or say how to install it.

    Parameters
    ----------
    module
        Import name, for example ``"SimpleITK"``.
    extra
        The extra of this distribution that installs it.
    purpose
        What it is needed for, as a verb phrase: ``"read NRRD files"``.

    Raises
    ------
    MissingDependencyError
        With the pip line that installs the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module} is needed to {purpose} and is not installed",
            remedy=f"Run: pip install 'napari-apprentice[{extra}]'",
        ) from error
