"""What the frames of a journal mean: the start of an annotation, then its edits, as plain JSON and arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.edit import Author, Block, Edit, changed_blocks
from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid, World
from napari_apprentice.core.notes import Note, Notes

from ._frames import Arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_BASE_BLOCKS = 256  # blocks of at most 64^3 voxels per frame of the base


@dataclass(frozen=True, eq=False)
class Snapshot:
    """An annotation at one moment, with what a session knows about it.

    Parameters
    ----------
    name
        Name of the annotated image.
    annotation
        Labels, classes and extent.
    n_corrections
        How many corrections are in it.
    objects
        Whether the values number objects rather than name classes.
    locked
        Numbers of the objects that no tool may change.
    notes
        What is known of the objects.
    """

    name: str
    annotation: Annotation
    n_corrections: int = 0
    objects: bool = False
    locked: frozenset[int] = frozenset()
    notes: Notes = field(default_factory=dict)


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassRecord(_Plain):
    """One class."""

    value: int = Field(ge=1, le=2**31)
    name: str
    color: str


class ExtentRecord(_Plain):
    """Where an annotation counts."""

    whole: bool
    slices: tuple[tuple[int, int], ...]
    boxes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    strokes: bool


class GridRecord(_Plain):
    """A spatial grid."""

    axes: str
    shape: tuple[int, ...]
    affine: tuple[tuple[float, ...], ...]
    unit: str
    world: World


class NoteRecord(_Plain):
    """What is known of one object."""

    label: int = Field(ge=1)
    by: Author
    score: float | None = None
    kind: int = 0
    kind_by: Author | None = None
    kind_score: float | None = None
    doubt: float | None = None


class PlacesRecord(_Plain):
    """Points and boxes; their numbers lie in the frame's arrays, the bits of floats as integers."""

    count: int = Field(ge=0)
    ndim: int = Field(ge=2, le=3)


class Start(_Plain):
    """First frame: everything but the voxels, and how many frames of voxels follow."""

    kind: str = "start"
    version: int = Field(1, ge=1, le=1)
    name: str
    grid: GridRecord
    dtype: str = Field(pattern=r"^[<>|=]?[iu][1248]$")
    classes: tuple[ClassRecord, ...]
    extent: ExtentRecord
    painted: bool
    objects: bool = False
    locked: tuple[int, ...] = ()
    notes: tuple[NoteRecord, ...] = ()
    frames: int = Field(ge=0)
    n_corrections: int = Field(ge=0)
    places: bool = False


class BlockRecord(_Plain):
    """One changed box; its labels (and painted voxels) lie in the frame's arrays."""

    start: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    painted: bool


class Change(_Plain):
    """One edit, or a part of the base."""

    kind: str
    name: str = ""
    author: Author = "person"
    n_corrections: int = 0
    blocks: tuple[BlockRecord, ...] = ()
    extent: ExtentRecord | None = None
    classes: tuple[ClassRecord, ...] | None = None
    locks: tuple[int, ...] = ()
    unlocks: tuple[int, ...] = ()
    notes: tuple[NoteRecord, ...] = ()
    forgets: tuple[int, ...] = ()
    places: PlacesRecord | None = None


@dataclass(eq=False)
class Replay:
    """An annotation being rebuilt from its journal."""

    name: str
    grid: Grid
    labels: NDArray[Any]
    painted: NDArray[np.bool_] | None
    classes: tuple[LabelClass, ...]
    extent: Extent
    n_corrections: int
    frames: int
    objects: bool
    locked: frozenset[int] = frozenset()
    notes: dict[int, Note] = field(default_factory=dict)
    places: Detections | None = None

    def snapshot(self) -> Snapshot:
        """Return what was rebuilt."""
        kinds = {number: note.kind for number, note in self.notes.items() if note.kind}
        said = Annotation(
            self.grid,
            self.labels,
            self.classes,
            self.extent,
            self.painted,
            kinds,
            detections=self.places,
        )
        return Snapshot(self.name, said, self.n_corrections, self.objects, self.locked, self.notes)

    def step(self, description: dict[str, Any], raw: bytes) -> None:
        """Do one more change.

        Raises
        ------
        FormatError
            A frame that means nothing, or does not fit the annotation.
        """
        change = _validated(Change, description)
        arrays = Arrays(raw)
        blocks = [_block(record, arrays) for record in change.blocks]
        edit = Edit(change.name, tuple(blocks), author=change.author)
        edit.check(self.grid.shape, self.labels.dtype)
        for block in edit.blocks:
            self.labels[block.box] = block.after
            if block.painted_after is not None:
                if self.painted is None:
                    self.painted = np.zeros(self.grid.shape, dtype=bool)
                self.painted[block.box] = block.painted_after
        self.extent = self.extent if change.extent is None else _extent(change.extent)
        self.classes = self.classes if change.classes is None else _classes(change.classes)
        self.locked = self.locked.difference(change.unlocks).union(change.locks)
        for number in change.forgets:
            self.notes.pop(number, None)
        self.notes |= _notes(change.notes)
        if change.places is not None:
            self.places = _places(change.places, arrays)
        if change.kind == "edit":
            self.n_corrections = change.n_corrections


def begin(description: dict[str, Any]) -> Replay:
    """Rebuild what the first frame says: an annotation without voxels."""
    start = _validated(Start, description)
    grid = Grid(**start.grid.model_dump())
    return Replay(
        start.name,
        grid,
        np.zeros(grid.shape, np.dtype(start.dtype)),
        np.zeros(grid.shape, dtype=bool) if start.painted else None,
        _classes(start.classes),
        _extent(start.extent),
        start.n_corrections,
        start.frames,
        start.objects,
        frozenset(start.locked),
        _notes(start.notes),
        Detections.none(grid.ndim) if start.places else None,
    )


def records_of(snapshot: Snapshot) -> Iterator[tuple[dict[str, Any], list[NDArray[Any]]]]:
    """Yield description and arrays of the frames that stand for an annotation as it is now."""
    annotation = snapshot.annotation
    labels, painted = annotation.labels, annotation.painted
    nothing = np.broadcast_to(np.zeros((), labels.dtype), labels.shape)
    bare = None if painted is None else np.broadcast_to(np.False_, labels.shape)
    blocks = changed_blocks((0,) * labels.ndim, nothing, labels, bare, painted)
    parts = [blocks[i : i + _BASE_BLOCKS] for i in range(0, len(blocks), _BASE_BLOCKS)]
    grid = annotation.grid
    kinds = {number: Note(kind=kind) for number, kind in annotation.object_classes.items()}
    start = Start(
        name=snapshot.name,
        grid=GridRecord(
            axes=grid.axes, shape=grid.shape, affine=grid.affine, unit=grid.unit, world=grid.world
        ),
        dtype=labels.dtype.str,
        classes=_class_records(annotation.classes),
        extent=_extent_record(annotation.extent),
        painted=painted is not None,
        objects=snapshot.objects,
        locked=tuple(sorted(snapshot.locked)),
        notes=_note_records(kinds | dict(snapshot.notes)),
        frames=len(parts) + (annotation.detections is not None),
        n_corrections=snapshot.n_corrections,
        places=annotation.detections is not None,
    )
    yield start.model_dump(), []
    if annotation.detections is not None:
        said = annotation.detections
        yield _change("base", Edit("", places=(said, said)), 0)
    for part in parts:
        yield _change("base", Edit("", tuple(part)), 0)


def record_of(edit: Edit, n_corrections: int) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Return description and arrays of the frame for an edit, with the number of corrections after it."""
    return _change("edit", edit, n_corrections)


def _change(kind: str, edit: Edit, n_corrections: int) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    records, arrays = [], []
    for block in edit.blocks:
        painted = block.painted_after
        records.append(
            BlockRecord(
                start=tuple(int(a) for a in block.start),
                shape=block.after.shape,
                dtype=block.after.dtype.str,
                painted=painted is not None,
            )
        )
        arrays += [block.after] if painted is None else [block.after, painted]
    places = None
    if edit.places is not None:
        places = PlacesRecord(count=len(edit.places[1]), ndim=edit.places[1].ndim)
        arrays += _bits(edit.places[1])
    change = Change(
        kind=kind,
        places=places,
        name=edit.name,
        author=edit.author,
        n_corrections=n_corrections,
        blocks=tuple(records),
        extent=None if edit.extent is None else _extent_record(edit.extent[1]),
        classes=None if edit.classes is None else _class_records(edit.classes[1]),
        locks=tuple(sorted(edit.locks)),
        unlocks=tuple(sorted(edit.unlocks)),
        notes=_note_records({n: after for n, (_, after) in edit.notes.items() if after}),
        forgets=tuple(number for number, (_, after) in edit.notes.items() if after is None),
    )
    return change.model_dump(), arrays


def _block(record: BlockRecord, arrays: Arrays) -> Block:
    after = arrays.take(record.shape, record.dtype)
    painted = arrays.take(record.shape, "|b1") if record.painted else None
    return Block(record.start, after, after, painted, painted)


def _bits(places: Detections) -> list[NDArray[Any]]:
    """A journal holds integers only: floats go by their bits."""
    floats = (places.centres, places.sizes, places.scores.astype(np.float64))
    return [*(np.ascontiguousarray(f).view(np.int64) for f in floats), places.kinds]


def _places(record: PlacesRecord, arrays: Arrays) -> Detections:
    shape = (record.count, record.ndim)
    shapes = (shape, shape, (record.count,))
    centres, sizes, scores = (arrays.take(s, "<i8").view(np.float64) for s in shapes)
    kinds = arrays.take((record.count,), "<i4")
    return Detections.of(centres, sizes, kinds, scores)


def _validated(model: type[Any], description: dict[str, Any]) -> Any:
    try:
        return model.model_validate(description)
    except ValidationError as error:
        raise FormatError(f"expected a journal of version 1, found {error.errors()[0]}") from error


def _extent_record(extent: Extent) -> ExtentRecord:
    return ExtentRecord(
        whole=extent.whole, slices=extent.slices, boxes=extent.boxes, strokes=extent.strokes
    )


def _extent(record: ExtentRecord) -> Extent:
    return Extent(record.whole, record.slices, record.boxes, record.strokes)


def _class_records(classes: tuple[LabelClass, ...]) -> tuple[ClassRecord, ...]:
    return tuple(ClassRecord(value=c.value, name=c.name, color=c.color) for c in classes)


def _classes(records: tuple[ClassRecord, ...]) -> tuple[LabelClass, ...]:
    return tuple(LabelClass(c.value, c.name, c.color) for c in records)


def _note_records(notes: Notes) -> tuple[NoteRecord, ...]:
    return tuple(NoteRecord(label=number, **asdict(note)) for number, note in notes.items())


def _notes(records: tuple[NoteRecord, ...]) -> dict[int, Note]:
    return {r.label: Note(**r.model_dump(exclude={"label"})) for r in records}
