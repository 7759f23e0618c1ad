"""The command line: arguments in, one function call, a progress bar, one result out."""

from __future__ import annotations

from ._app import main

__all__ = ["main"]
