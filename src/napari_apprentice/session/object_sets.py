"""Edits that concern many numbered objects: lock, class; and the way from one to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.notes import Note

from ._rules import class_of
from .objects import one_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .edits import AnnotationState

__all__ = [
    "BEGINNING",
    "class_the_rest",
    "classify_object",
    "count_objects",
    "doubtful_objects",
    "lock_object",
    "middle_of",
    "next_doubtful",
    "next_object",
]


def lock_object(state: AnnotationState, value: int, locked: bool = True) -> None:
    """Lock a finished object, so that no stroke and no tool changes it; or unlock it.

    Raises
    ------
    BadInputError
        Where there is no such object.
    """
    if value <= 0 or (locked and state.index.box(value) is None):
        raise BadInputError(
            "expected an object to lock, found none", remedy="Pick an object first (L)."
        )
    if (value in state.locked) == locked:
        return
    one = frozenset({value})
    if locked:
        state.apply(Edit(f"Lock object {value}", locks=one))
    else:
        state.apply(Edit(f"Unlock object {value}", unlocks=one))


BEGINNING = (-1.0, 0)


def classify_object(state: AnnotationState, value: int, kind: int) -> None:
    """Say of which class an object is; 0 takes it back.

    Raises
    ------
    BadInputError
        Where there is no such object, it is locked, or there is no such class.
    """
    one_object(state, value)
    note = state.notes.get(value)
    said = Note("person", None if note is None else note.score, kind, "person" if kind else None)
    if said != note:
        name = class_of(state.classes, kind).name if kind else "no class"
        state.apply(Edit(f"Object {value} is {name}", notes={value: (note, said)}))


def class_the_rest(
    state: AnnotationState, found: Mapping[int, Note], name: str = "Classify the rest"
) -> int:
    """Write what a model says of which class objects are; what a person said stays. One edit; return how many it changed.

    A lock keeps the voxels of an object; a class that nobody said may still be given to it.

    Parameters
    ----------
    found
        Number of the object → ``kind``, ``kind_score`` and ``doubt``; objects that are gone by now are left out.
    """
    there = set(state.index.numbers().tolist())
    changes: dict[int, tuple[Note | None, Note | None]] = {}
    for number, said in found.items():
        note = state.notes.get(number)
        if number not in there or (note is not None and note.is_told):
            continue
        # Without a note nobody knows where the object came from.
        after = replace(
            note or Note(),
            kind=said.kind,
            kind_by="model",
            kind_score=said.kind_score,
            doubt=said.doubt,
        )
        if after != note:
            changes[number] = (note, after)
    state.apply(Edit(name, author="model", notes=changes))
    return len(changes)


def count_objects(state: AnnotationState) -> str:
    """Say how many there are: ``"143 objects · 12 by you · 3 locked"``."""
    numbers = set(state.index.numbers().tolist())
    yours = sum(note.by == "person" for n, note in state.notes.items() if n in numbers)
    parts = [f"{len(numbers)} object{'' if len(numbers) == 1 else 's'}"]
    parts += [f"{yours} by you"] if yours else []
    parts += [f"{len(state.locked)} locked"] if state.locked else []
    return " · ".join(parts)


def next_object(state: AnnotationState, value: int, step: int = 1) -> tuple[int, tuple[int, ...]]:
    """Return the number after (or before) an object, round the end, and a voxel in the middle of that object.

    Locked objects are left out: they are finished.

    Parameters
    ----------
    value
        Number of the object in hand; it need not exist.
    step
        1 for the next, -1 for the one before.

    Raises
    ------
    BadInputError
        Where every object is locked, or there is none.
    """
    ids = state.index.numbers()
    ids = ids[~np.isin(ids, _locked_ids(state))]
    if not ids.size:
        raise BadInputError("no object is left that is not locked")
    side: Literal["right", "left"] = "right" if step > 0 else "left"
    at = int(np.searchsorted(ids, value, side=side)) - (0 if step > 0 else 1)
    number = int(ids[at % ids.size])
    return number, middle_of(state, number)


def doubtful_objects(state: AnnotationState) -> list[tuple[float, int]]:
    """How sure a model is and number of the objects that nobody touched or locked, the most doubtful first.

    Once a model has said of which class objects are, that is what it can be unsure of; else whether they are there.
    """
    ids = state.index.numbers()
    open_ids = ids[~np.isin(ids, _locked_ids(state))].tolist()
    notes = [(n, state.notes.get(n)) for n in open_ids]
    classed = [
        (1.0 - note.doubt, n)
        for n, note in notes
        if note is not None and note.doubt is not None and note.kind_by == "model"
    ]
    if classed:
        return sorted(classed)
    return sorted(
        (note.score, n)
        for n, note in notes
        if note is not None and note.score is not None and note.by == "model"
    )


def next_doubtful(
    state: AnnotationState, after: tuple[float, int] = BEGINNING
) -> tuple[tuple[float, int], tuple[int, ...]]:
    """Return the object that the model was least sure of, and a voxel in the middle of it.

    Objects that a person corrected, confirmed or locked are left out. After the surest one it begins again.

    Parameters
    ----------
    after
        Score and number of the object that was shown last; it need not exist any more.

    Returns
    -------
    tuple
        Score and number of the object; the voxel.

    Raises
    ------
    BadInputError
        Where no such object is left.
    """
    order = doubtful_objects(state)
    if not order:
        has_scores = any(note.score is not None for note in state.notes.values())
        raise BadInputError(
            "no object is left that you neither corrected nor locked"
            if has_scores
            else "no model said how sure it is of these objects"
        )
    found = next((one for one in order if one > after), order[0])
    return found, middle_of(state, found[1])


def middle_of(state: AnnotationState, number: int) -> tuple[int, ...]:
    """Return the voxel of an object that is nearest to its centroid.

    Raises
    ------
    BadInputError
        Where there is no such object.
    """
    found = state.index.mask(number)
    if found is None:
        raise BadInputError(f"there is no object {number}")
    box, mask = found
    places = np.argwhere(mask)
    nearest = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    return tuple(int(v) + part.start for v, part in zip(nearest, box, strict=True))


def _locked_ids(state: AnnotationState) -> list[int]:
    return sorted(state.locked)
