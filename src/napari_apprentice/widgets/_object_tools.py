"""The tools for numbered objects: their keys, their buttons and what they do."""

from __future__ import annotations

from dataclasses import dataclass

from ._keys import key_for

__all__ = ["KEYS", "TOOLS", "ObjectTool"]


@dataclass(frozen=True)
class ObjectTool:
    """One tool.

    Parameters
    ----------
    key
        As a person reads it.
    name
        On the button.
    does
        For the list of keys.
    tip
        For the tooltip, where that says it better; ``{name}`` is the object in hand.
    on_one
        Whether it needs an object in hand that is not locked.
    waits
        Whether it waits for clicks or for a line.
    """

    key: str
    name: str
    does: str
    tip: str = ""
    on_one: bool = False
    waits: bool = False

    def tooltip(self, value: int) -> str:
        """What the button says under the mouse."""
        tip = self.tip or self.does[:1].upper() + self.does[1:]
        return f"{tip.format(name=f'object {value}')} ({key_for(self.key)})"


TOOLS = (
    ObjectTool("Shift+Left", "◂ Previous", "go to the previous object that is not locked"),
    ObjectTool("Shift+Right", "Next ▸", "go to the next object that is not locked"),
    ObjectTool(
        "Shift+Down",
        "Next doubtful ▾",
        "go to the object that the model was least sure of, then on to surer ones",
        "The model was least sure of it; what you corrected or locked is left out",
    ),
    ObjectTool(
        "Shift+K",
        "Lock",
        "lock this object, so that nothing changes it, or unlock it",
        "It is finished: nothing changes {name} any more, and it is learned from",
    ),
    ObjectTool(
        "Shift+A",
        "Add by click…",
        "add objects: click where one was missed",
        "Click where an object was missed: the model finds its outline",
        waits=True,
    ),
    ObjectTool(
        "Shift+O", "New object", "paint a new object", "Paint an object with a number of its own"
    ),
    ObjectTool(
        "Shift+D", "Delete", "delete this object", "Turn {name} into background", on_one=True
    ),
    ObjectTool(
        "Shift+J",
        "Merge…",
        "merge another object into this one: click it",
        "Click the object that belongs to {name}",
        on_one=True,
        waits=True,
    ),
    ObjectTool(
        "Shift+L",
        "Split by a line…",
        "split an object along a line: draw it across",
        "Draw a line across an object: it is cut there, in a volume through all slices",
        waits=True,
    ),
    ObjectTool(
        "Shift+X",
        "Split by clicks…",
        "split an object: click its one side, then its other side",
        "Click one side of an object, then its other side: it is cut between the two",
        waits=True,
    ),
    ObjectTool(
        "Shift+S",
        "Split",
        "split this object",
        "Cut {name} at its waist; or erase a line through it first",
        on_one=True,
    ),
    ObjectTool(
        "Shift+H",
        "Fill holes",
        "fill the holes of this object",
        "Give {name} the background that it encloses",
        on_one=True,
    ),
    ObjectTool(
        "Shift+G",
        "Keep largest",
        "keep the largest piece of this object",
        "Turn every piece of {name} but the largest into background",
        on_one=True,
    ),
    ObjectTool("Shift+R", "Renumber", "renumber all objects without gaps"),
    ObjectTool("Shift+M", "Remove small", "remove all objects below the size in the dock"),
)
KEYS = {tool.key: tool.does for tool in TOOLS}
"""Keys on an annotation of numbered objects; none is napari's own."""
