"""Between a napari labels layer and an `AnnotationState`: strokes become edits, undo goes through one history."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap
from napari.utils.notifications import show_info, show_warning

from napari_apprentice.core.errors import ApprenticeError

from ._clicks import voxel_under
from ._strokes import Dab, dab_of, stroke_of
from ._veil import Veil
from .layers import METADATA, class_colors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from napari_apprentice.core.edit import Edit
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["AnnotationLabels", "annotation_layer", "veil_layer"]

_PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_NAMES = {"paint": "Brush", "erase": "Erase", "fill": "Fill", "polygon": "Polygon"}
_ON_LABELS = ("paint", "erase", "fill")
_OPACITY = 0.6
_VEIL_OPACITY = 0.4


class AnnotationLabels(Labels):
    """A labels layer whose array is that of an `AnnotationState`, and whose undo is the state's.

    Whatever paints (brush, fill, polygon, another plugin through ``data_setitem``) ends in one `Edit`. ``undo`` and
    ``redo`` are overridden, so that napari's own keys and every caller walk through the same history.

    Parameters
    ----------
    state
        The annotation; its labels are shared, not copied.
    **kwargs
        As for a labels layer.
    """

    def __init__(self, state: AnnotationState, **kwargs: Any) -> None:
        self.state = state
        self.axes_order: tuple[int, ...] = tuple(range(state.labels.ndim))
        self._dabs: list[Dab] = []
        self._strokes_open = 0
        self._is_recording = False
        self._in_slices: int | None = None
        self._placed = {name: kwargs[name] for name in _PLACEMENT if name in kwargs}
        super().__init__(state.labels, **kwargs)
        self.events.paint.connect(self._on_self_paint)
        self.events.data.connect(self._on_self_data)
        self.mouse_drag_callbacks.append(self._on_self_pressed)
        state.edited.connect(self._on_state_edited)

    # -- the 3-D view ---------------------------------------------------------------------

    @property
    def is_solid(self) -> bool:
        """Whether it is shown, and painted, in the 3-D view."""
        return self._in_slices is not None

    def look(self, ndisplay: int) -> None:
        """Edit along all axes in the 3-D view, where napari's brush does nothing that is as flat as a slice; afterwards as before.

        Parameters
        ----------
        ndisplay
            How many axes the viewer shows.
        """
        is_solid = ndisplay == 3 and self.ndim > 2
        if is_solid and self._in_slices is None:
            layer: Any = self  # napari types its own properties only in parts
            self._in_slices = int(layer.n_edit_dimensions)
            self.n_edit_dimensions = self.ndim
        elif not is_solid and self._in_slices is not None:
            before, self._in_slices = self._in_slices, None
            self.n_edit_dimensions = before

    def _on_self_pressed(self, _: Labels, event: Any) -> None:
        """In the 3-D view napari paints on what is labelled already; say so where nothing is."""
        if self.is_solid and str(self.mode) in _ON_LABELS and voxel_under(self, event) is None:
            show_info(
                "Nothing is labelled there: in the 3-D view brush, eraser and fill change what is labelled already. "
                "Show slices to paint elsewhere."
            )

    # -- one history ----------------------------------------------------------------------

    def undo(self) -> None:
        """Take back the last edit of the annotation, whatever made it; not in the middle of a stroke."""
        if not self.is_painting:
            self.state.undo()

    def redo(self) -> None:
        """Do the last undone edit again."""
        if not self.is_painting:
            self.state.redo()

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is in hand, whose voxels no edit knows yet."""
        return bool(self._strokes_open)

    # -- strokes --------------------------------------------------------------------------

    @contextmanager
    def block_history(self) -> Iterator[None]:
        """Group what is painted meanwhile into one edit."""
        self._strokes_open += 1
        try:
            with super().block_history():
                yield
        finally:
            self._strokes_open -= 1
            if not self._strokes_open:
                self._record(())

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Paint one dab, and note where it went even if the value was right already."""
        if self._strokes_open and not self.preserve_labels:
            axes = self.axes_order[-self.n_edit_dimensions :]
            dab = dab_of(coord, self.brush_size, self.scale, axes, self.data.shape)
            self._dabs += [] if dab is None else [dab]
        with self._guarding():
            super().paint(coord, new_label, refresh)

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """Fill, but for locked objects."""
        with self._guarding():
            super().fill(coord, new_label, refresh)

    def paint_polygon(self, points: Any, new_label: int) -> None:
        """Fill a polygon, but for locked objects."""
        with self._guarding():
            super().paint_polygon(points, new_label)

    def data_setitem(self, indices: Any, value: Any, refresh: bool = True) -> None:
        """Write values, as other plugins do, but for locked objects."""
        with self._guarding():
            super().data_setitem(indices, value, refresh)

    def _guarding(self) -> AbstractContextManager[None]:
        """Record at the end: napari tells before it writes, and what it writes then could not be taken back."""
        needed = self.state.locked and not self._strokes_open
        return self.block_history() if needed else nullcontext()

    def _on_self_paint(self, event: Any) -> None:
        self._record(event.value)

    def _record(self, atoms: Sequence[Any]) -> None:
        stroke = stroke_of(atoms, self._dabs, self.state.labels)
        self._dabs = []
        if stroke is None:
            return
        name = _NAMES.get(str(self.mode), "Paint")
        end = (a + n for a, n in zip(stroke.start, stroke.after.shape, strict=True))
        box = tuple(slice(a, b) for a, b in zip(stroke.start, end, strict=True))
        self.state.labels[box] = stroke.after
        self._is_recording = True
        try:
            self.state.record_stroke(stroke.start, stroke.before, stroke.touched, name)
        finally:
            self._is_recording = False
        if self.state.locked:  # their voxels came back
            self.refresh(extent=False)

    # -- changes from elsewhere -----------------------------------------------------------

    def _on_state_edited(self, edit: Edit) -> None:
        if edit.classes is not None:
            self._note_classes()
            if not self.state.objects:
                self._show_classes()
        if edit.blocks and not self._is_recording:
            self.refresh(extent=False)

    def _note_classes(self) -> None:
        """Tell whoever saves or colours the layer."""
        layer: Any = self  # napari types its own property only in parts
        facts = layer.metadata.get(METADATA) or {}
        classes = [asdict(c) for c in self.state.classes]
        layer.metadata = {**layer.metadata, METADATA: {**facts, "classes": classes}}

    def _show_classes(self) -> None:
        look = class_colors(self.state.classes)
        self.colormap, self.features = look["colormap"], look["features"]

    def _on_self_data(self) -> None:
        """Take over an array that somebody put in place of ours, as an edit; one of another shape is refused."""
        layer: Any = self  # napari types its own property only in parts
        found: Any = layer.data
        ours = self.state.labels
        if found is ours:
            return
        self.data = ours
        for name, value in self._placed.items():  # an array with fewer axes made napari forget it
            setattr(self, name, value)
        try:
            values = np.asarray(found)
            if values.shape != ours.shape:
                show_warning(
                    f"{self.name}: expected labels of {ours.shape}, found {values.shape}; "
                    "the annotation stays as it was."
                )
                return
            start = (0,) * ours.ndim
            self.state.paint(start, values, values != ours, name="Replace labels")
        except ApprenticeError as error:
            show_warning(str(error))


# Writers, menus and icons of napari know layers by the name of their class.
AnnotationLabels.__name__ = "Labels"


def annotation_layer(
    state: AnnotationState,
    placed: Mapping[str, Any],
    name: str,
    facts: Mapping[str, Any],
) -> AnnotationLabels:
    """Make the layer in which a person annotates.

    Parameters
    ----------
    state
        The annotation.
    placed
        Placement of the image (scale, translate, affine, units, …).
    name
        Name of the layer.
    facts
        What its metadata say: ``of`` (key of the image), and what a writer wants back.
    """
    look: dict[str, Any] = {} if state.objects else class_colors(state.classes)
    known = {**facts, "axes": state.grid.axes, "world": state.grid.world, "annotation": True}
    known["numbered"] = state.objects
    metadata = {METADATA: {**known, "classes": [asdict(c) for c in state.classes]}}
    layer = AnnotationLabels(
        state, name=name, opacity=_OPACITY, metadata=metadata, **placed, **look
    )
    layer.brush_size = max(2, round(min(state.grid.shape[-2:]) / 40))
    return layer


def veil_layer(
    state: AnnotationState, placed: Mapping[str, Any], name: str, facts: Mapping[str, Any]
) -> Image:
    """Make the layer that dims what is not finished; its metadata say of which image and frame."""
    return Image(
        Veil(state.grid.shape, lambda: state.extent),
        name=name,
        colormap=Colormap([[0.3, 0.3, 0.3, 0], [0.3, 0.3, 0.3, 1]], name="unfinished"),
        contrast_limits=(0, 1),
        opacity=_VEIL_OPACITY,
        blending="translucent_no_depth",
        multiscale=False,
        metadata={METADATA: {**facts, "veil": True, "result": True}},
        **placed,
    )
