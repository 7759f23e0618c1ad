"""What is known of each numbered object as the features of a labels layer, and colours after it. Touches no viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.notes import Note
from napari_apprentice.session.measuring import by_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.notes import Notes
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["AUTHORS", "coloring", "features_of", "notes_from", "object_colors", "title_of"]

AUTHORS = {"model": "network", "person": "person"}
"""Author of a note → what the column ``by`` says."""
_UNSURE, _SURE = (
    (0.835, 0.369, 0.0),
    (0.337, 0.706, 0.914),
)  # vermillion and sky blue of Okabe and Ito
_OF_CLASSES = ("class by", "class score", "uncertainty")
_OURS = ("score", "class", "by", *_OF_CLASSES)
_UNKNOWN = "#999999"
_BY = {"network": "#56B4E9", "person": "#E69F00"}


def notes_from(objects: Mapping[str, Any], frame: int | None = None) -> dict[int, Note]:
    """Notes of a prediction's objects.

    Parameters
    ----------
    objects
        Columns ``label`` and, where there are, ``score``, ``class`` and ``frame``.
    frame
        Which time point, of a film.
    """
    numbers = np.asarray(objects.get("label", ()))
    chosen = np.ones(len(numbers), dtype=bool)
    if frame is not None and "frame" in objects:
        chosen = np.asarray(objects["frame"]) == frame
    scores = np.asarray(objects["score"], float)[chosen] if "score" in objects else None
    kinds = np.asarray(objects["class"])[chosen] if "class" in objects else None
    return {
        int(number): Note(
            score=None if scores is None or np.isnan(scores[row]) else float(scores[row]),
            kind=0 if kinds is None else int(kinds[row]),
            kind_by=None if kinds is None else "model",
        )
        for row, number in enumerate(numbers[chosen])
    }


def features_of(
    numbers: Iterable[int],
    notes: Notes,
    classes: Sequence[LabelClass],
    others: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the table of objects as napari links it: ``index`` is the object's number.

    Parameters
    ----------
    numbers
        Objects that there are.
    notes
        What is known of them; an object without a note has empty cells.
    classes
        Names of their classes.
    others
        Features that something else, a measurement say, wrote about these objects; they stay.
    """
    import pandas as pd

    ordered = np.array(sorted(numbers), dtype=np.int64)
    if not ordered.size:
        return pd.DataFrame({"index": [0]})
    names = {0: "", **{c.value: c.name for c in classes}}
    known = [notes.get(n) for n in ordered.tolist()]
    table = pd.DataFrame(
        {
            "label": ordered,
            "score": np.array([_number(note, "score") for note in known]),
            "class": ["" if note is None else names.get(note.kind, "") for note in known],
            "by": [_author(note) for note in known],
        }
    )
    table["class by"] = [_class_author(note) for note in known]
    table["class score"] = np.array([_number(note, "kind_score") for note in known])
    table["uncertainty"] = np.array([_number(note, "doubt") for note in known])
    told = table["class"].any()
    said = table["uncertainty"].notna().any()
    table = table.drop(columns=[*(() if told else ("class",)), *(() if said else _OF_CLASSES)])
    if others is not None and "index" in others:
        rest = others[others["index"].isin(ordered)]
        others = rest.drop(columns=[name for name in _OURS if name in rest])
        others = others if len(others.columns) > 1 else None
    return by_number(table, others)


def _number(note: Note | None, name: str) -> float:
    value = None if note is None else getattr(note, name)
    return np.nan if value is None else float(value)


def _author(note: Note | None) -> str:
    """Who said that it is there; a note that only tells a class does not say."""
    if note is None or (note.by == "model" and note.score is None and note.kind_score is not None):
        return ""
    return AUTHORS[note.by]


def _class_author(note: Note | None) -> str:
    if note is None or not note.kind:
        return ""
    return AUTHORS[note.kind_by or note.by]


def title_of(state: AnnotationState, value: int) -> str:
    """Say which object is in hand: ``"Object 12 · score 0.43 · corrected by you · locked"``."""
    if not value:
        return "No object: pick one (L)"
    note = state.notes.get(value, Note())
    parts = [f"Object {value}"]
    if note.score is not None:
        parts.append(f"score {note.score:.2f}")
    sure = "" if note.kind_score is None else f" {note.kind_score:.2f}"
    parts += [f"{c.name}{sure}" for c in state.classes if c.value == note.kind]
    if note.by == "person":
        parts.append("by you")
    return " · ".join([*parts, "locked"] if value in state.locked else parts)


def coloring(features: pd.DataFrame) -> list[str]:
    """Columns that objects can be coloured by."""
    found = [name for name in ("score", "class", "uncertainty", "by") if name in features]
    return [name for name in found if features[name].replace("", np.nan).notna().any()]


def object_colors(
    features: pd.DataFrame, column: str, classes: Sequence[LabelClass]
) -> dict[int | None, Any]:
    """Colour of each object by a column: from doubtful to sure, by class, or by who said it.

    Returns
    -------
    dict
        For napari's ``DirectLabelColormap``; None stands for objects that are not in the table.
    """
    colors: dict[int | None, Any] = {None: _UNKNOWN, 0: "transparent"}
    values = features[column]
    if column in ("score", "uncertainty"):
        sure = values.to_numpy(dtype=float)
        shown = _blend(sure if column == "score" else 1 - sure)
    else:
        named = _BY if column == "by" else {c.name: c.color for c in classes}
        shown = [named.get(v, _UNKNOWN) for v in values]
    pairs = zip(features["index"].astype(int), shown, strict=True)
    return colors | {n: color for n, color in pairs if n}


def _blend(scores: NDArray[np.float64]) -> list[Any]:
    """A colour for each score; as arrays, which napari takes over several times faster than tuples."""
    share = np.clip(scores, 0, 1)[:, np.newaxis]
    mixed = np.array(_UNSURE) * (1 - share) + np.array(_SURE) * share
    rows = np.hstack([mixed, np.ones_like(share)]).astype(np.float32)
    return [_UNKNOWN if np.isnan(s) else c for s, c in zip(scores, rows, strict=True)]
