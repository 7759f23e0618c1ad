"""What there is to learn from: annotations of this session and folders of labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ApprenticeError

from ._lesson import lesson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import TrainConfig
    from napari_apprentice.engine.split import TrainItem

    from ._said import Kind
    from .edits import AnnotationState

__all__ = [
    "Folders",
    "Material",
    "describe_material",
    "is_quick",
    "said_kind",
    "says",
    "split_note",
    "state_items",
]

_KINDS: dict[Kind, str] = {
    "objects": "number objects",
    "classes": "paint classes",
    "places": "mark points",
}
_QUICK_VOXELS = 12_000_000
_Pairs = tuple[tuple["Path", "Path"], ...]


@dataclass(frozen=True)
class Folders:
    """A folder of images and one of labels with the same file names."""

    images: Path
    labels: Path


@dataclass(frozen=True)
class Material:
    """What *Learn* would learn from, as counts and a sentence.

    Parameters
    ----------
    images
        Annotated images of this session that count somewhere.
    corrections
        Edits of voxels by the person in them.
    pairs
        Labelled images in folders.
    extents
        Where the annotations count, one phrase per image.
    problem
        Why it cannot be learned from; None where it can.
    """

    images: int = 0
    corrections: int = 0
    pairs: int = 0
    extents: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    def describe(self) -> str:
        """``"1 image, 3 corrections"``."""
        parts = [_count(self.images, "image")]
        if self.corrections:  # slices that were right as they are count as well
            parts.append(_count(self.corrections, "correction"))
        if self.pairs:
            parts.append(_count(self.pairs, "labelled image") + " in folders")
            if not self.images:
                parts = parts[-1:]
        return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def describe_material(
    states: Mapping[str, AnnotationState], folders: Folders | None
) -> tuple[Material, _Pairs]:
    """Count what there is, and pair the files of the folders by name."""
    used = [state for state in states.values() if not state.is_empty]
    pairs: _Pairs = ()
    problem = None
    if folders is not None:
        try:
            pairs = _pairs(folders)
        except ApprenticeError as error:
            problem = str(error)
    if problem is None and not used and not pairs:
        problem = _nothing(states)
    kinds = sorted({state.kind for state in used}, key=tuple(_KINDS).index)
    if problem is None and len(kinds) > 1:
        some, others = (_KINDS[kind] for kind in kinds[:2])
        problem = f"Some annotations {some}, others {others}: finish only those of one kind."
    material = Material(
        images=len(used),
        corrections=sum(state.n_corrections for state in used),
        pairs=len(pairs),
        extents=tuple((state.name, state.describe()) for state in states.values()),
        problem=problem,
    )
    return material, pairs


def said_kind(states: Mapping[str, AnnotationState]) -> Kind | None:
    """What the annotations that count speak of; None without any, or with several kinds."""
    kinds = {state.kind for state in states.values() if not state.is_empty}
    return kinds.pop() if len(kinds) == 1 else None


def says(kind: Kind) -> str:
    """What annotations of a kind do, for a sentence: ``"paint classes"``."""
    return _KINDS[kind]


def _nothing(states: Mapping[str, AnnotationState]) -> str:
    if any(state.objects for state in states.values()):
        return "Nothing is finished yet: finish a slice, a box or the whole image in Correct, or lock objects."
    if states:
        return "Nothing is finished yet: finish a slice, a box or the whole image in Correct."
    return (
        "Nothing to learn from yet: correct a prediction, or choose folders of images and labels."
    )


def _pairs(folders: Folders) -> _Pairs:
    from napari_apprentice.io import pair

    return tuple(pair(folders.images, folders.labels))


def state_items(
    states: Mapping[str, AnnotationState],
    volumes: Mapping[str, Volume],
    frames: Mapping[str, int],
) -> dict[str, TrainItem]:
    """Snapshots of this session's annotations that count somewhere, with their volumes, by key.

    Frames of one film stay together where there are other images to check on; else whole frames are held out.

    Parameters
    ----------
    states, volumes
        By key of the annotation; volumes with all their channels and frames.
    frames
        Which frame of its volume was annotated, of films.
    """
    from napari_apprentice.engine.split import TrainItem

    keys = [k for k, state in states.items() if not state.is_empty and k in volumes]
    several = len({volumes[k].name for k in keys}) > 1
    return {
        k: TrainItem(
            states[k].name,
            volumes[k].frame(frames.get(k, 0)),
            lesson(states[k]),
            group=volumes[k].name if several and k in frames else None,
        )
        for k in keys
    }


def is_quick(states: Mapping[str, AnnotationState]) -> bool:
    """Whether the annotations that count are small enough to be looked through while a person waits."""
    sizes = (prod(state.grid.shape) for state in states.values() if not state.is_empty)
    return sum(sizes) <= _QUICK_VOXELS


def split_note(items: Sequence[TrainItem], config: TrainConfig, *, numbered: bool = False) -> str:
    """Say what would be held out; empty where there is nothing to learn from.

    Parameters
    ----------
    items, config, numbered
        See `plan_split`.
    """
    from napari_apprentice.engine.split import check_items, plan_split

    if not items:
        return ""
    try:
        check_items(items)
    except ApprenticeError as error:
        return str(error)
    return plan_split(items, config, numbered=numbered).note
