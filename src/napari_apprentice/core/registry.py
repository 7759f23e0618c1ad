"""`Registry`: one file, one entry; found by file name, imported only when asked for."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

__all__ = ["Registry"]

T = TypeVar("T")


class Registry(Generic[T]):
    """Everything of one kind: each public module of a package, plus entry points of other packages.

    A module ``segresnet.py`` in `package` is the entry ``"segresnet"``; it holds its object in a constant named
    `attribute`. Listing imports nothing. What there is, is looked up once: to ask every installed distribution for its
    entry points takes some ten milliseconds, and windows ask many times with every click.

    Parameters
    ----------
    kind
        Singular noun for messages: ``"network"``.
    package
        Package whose public modules are the entries.
    attribute
        Name of the constant each module defines: ``"NETWORK"``.
    """

    def __init__(self, kind: str, package: str, attribute: str) -> None:
        self.kind = kind
        self.package = package
        self.attribute = attribute
        self._fulfilling: dict[object, tuple[str, ...]] = {}

    @property
    def group(self) -> str:
        """Entry-point group through which other packages add entries."""
        return f"napari_apprentice.{self.kind}s"

    def names(self) -> list[str]:
        """All names, sorted, without importing any entry."""
        return sorted({*self._files, *self._foreign})

    @cached_property
    def _files(self) -> set[str]:
        path = importlib.import_module(self.package).__path__
        return {
            m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_") and not m.ispkg
        }

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}

    def __contains__(self, name: object) -> bool:
        return name in self._files or name in self._foreign

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> T:
        """Import and return an entry.

        Raises
        ------
        BadInputError
            Unknown name; the message suggests the nearest one.
        """
        if name in self._files:
            module = importlib.import_module(f"{self.package}.{name}")
            entry: T = getattr(module, self.attribute)
            return entry
        if name in self._foreign:
            loaded: T = self._foreign[name].load()
            return loaded
        near = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(self.names())}."
        raise BadInputError(f"no {self.kind} named {name!r}", remedy=hint)

    def items(self) -> Iterator[tuple[str, T]]:
        """All entries with their names; imports them."""
        for name in self.names():
            yield name, self[name]

    def fulfilling(self, role: Any) -> tuple[str, ...]:
        """Names of the entries that fulfil a role; imports them.

        Remembered: to compare an object with a protocol member by member is slow, and windows ask with every stroke.

        Parameters
        ----------
        role
            A class or a protocol that can be checked at run time, or several of them joined by ``|``.
        """
        if role not in self._fulfilling:
            self._fulfilling[role] = tuple(n for n, one in self.items() if isinstance(one, role))
        return self._fulfilling[role]
