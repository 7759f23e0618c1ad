"""How napari shows a volume: levels of its pyramid, colours and contrast of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_apprentice.core.volume import Volume

__all__ = ["levels", "look"]

_CHANNEL_COLORS = ("gray", "green", "magenta", "cyan", "yellow", "red", "blue")


def levels(volume: Volume) -> tuple[Any, dict[str, Any]]:
    """Data of an image layer, all levels where there is a pyramid, and the keyword that says so."""
    if not volume.pyramid:
        return volume.data, {}
    return [volume.data, *volume.pyramid], {"multiscale": True}


def look(volume: Volume, index: int) -> dict[str, Any]:
    """Colour and contrast of a channel: what the file says, else gray, and a colour each where there are several."""
    several = len(volume.channels) > 1
    shown = volume.display[index] if volume.display else None
    kwargs: dict[str, Any] = {}
    if several:
        kwargs = {
            "blending": "additive",
            "colormap": _CHANNEL_COLORS[index % len(_CHANNEL_COLORS)],
        }
    if volume.metadata.get("inverted"):  # radiographs whose lowest number is white
        kwargs["colormap"] = "gray_r"
    if shown is not None and shown.color is not None:
        kwargs["colormap"] = shown.color
    if shown is not None and shown.window is not None:
        kwargs["contrast_limits"] = shown.window
    return kwargs
