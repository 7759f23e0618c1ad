"""Connections of a widget to one layer, and keys on it, that end with the widget or when another layer comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._keys import key_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari.layers import Layer

__all__ = ["Following"]


class Following:
    """Follows one layer at a time. Not a Qt object: it still works when its widget is half gone."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Any, Callable[..., None]]] = []
        self._keys: tuple[Layer, tuple[str, ...]] | None = None

    def follow(self, sources: Iterable[Any], slot: Callable[..., None]) -> None:
        """Call `slot` on these events, too."""
        for source in sources:
            source.connect(slot)
            self._pairs.append((source, slot))

    def bind(self, layer: Layer, keys: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys to a layer and to no other; defaults stand for the keys that the person chose."""
        chosen = {key_for(key).replace("Return", "Enter"): action for key, action in keys.items()}
        for key, action in chosen.items():
            layer.bind_key(key, lambda _, do=action: do(), overwrite=True)
        self._keys = (layer, tuple(chosen))

    def stop(self, *_: object) -> None:
        """Let go of everything."""
        for source, slot in self._pairs:
            source.disconnect(slot)
        self._pairs.clear()
        if self._keys is not None:
            layer, keys = self._keys
            self._keys = None
            for key in keys:
                layer.bind_key(key, None)
