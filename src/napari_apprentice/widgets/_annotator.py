"""`Annotator`: finds, makes and follows the layers of the annotation of the session's image."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.session.autosave import Autosave, restorable
from napari_apprentice.session.begun import Begun, Source, begin_job, blank, restore_job
from napari_apprentice.session.beside import Beside
from napari_apprentice.session.bulk import Bulk
from napari_apprentice.session.identity import frame_key, frame_name, identity
from napari_apprentice.session.navigate import next_open_frame
from napari_apprentice.session.taking import take_over_classes_job, take_over_objects_job

from . import layers as adapt
from ._facts import classes_in, facts_of, is_result, objects_in
from ._object_table import notes_from
from ._place_layer import PlacesLayer
from ._pointing import Pointing
from ._veiling import Veiling
from .annotating import AnnotationLabels, annotation_layer

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.project.journal import Summary
    from napari_apprentice.session.bulk import Found
    from napari_apprentice.session.edits import AnnotationState
    from napari_apprentice.session.session import Session

__all__ = ["Annotator"]

_FALLBACK = (LabelClass(1, "foreground"),)
_GONE_ON = "Another image or frame was chosen meanwhile: go back to it and press once more."
_HANDED_ON = ("format", "header", "world", "time_step")


class Annotator:
    """Turns predictions into annotations and keeps their layers in step with the session.

    Parameters
    ----------
    viewer
        Where the layers are.
    session
        Whose image is annotated.
    """

    changed = Signal()
    """Another image, another layer, or another state of either."""
    problem = Signal(str)
    """Something cannot be done or kept; the sentence says what. May come from another thread."""

    def __init__(self, viewer: napari.viewer.Viewer, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.beside = Beside(session)
        self.beside.failed.connect(self._on_problem)
        self.bulk = Bulk(self.beside)
        self.pointing = Pointing(self)
        self.veiling = Veiling(self)
        self._asked: tuple[str, Summary | None] = ("", None)
        layers, dims = viewer.layers.events, viewer.dims.events
        self._sources = [layers.inserted, layers.removed, viewer.layers.selection.events.active]
        self._sources += [dims.order, dims.ndisplay, dims.current_step]
        for source in self._sources:
            source.connect(self._on_viewer_changed)
        session.image_changed.connect(self._on_viewer_changed)
        session.frame_changed.connect(self._on_session_frame)
        session.annotations_changed.connect(self._on_session_annotations)

    def close(self) -> None:
        """Listen to nothing any more; layers and annotations stay."""
        for source in self._sources:
            source.disconnect(self._on_viewer_changed)
        self.beside.close()
        self.session.image_changed.disconnect(self._on_viewer_changed)
        self.session.frame_changed.disconnect(self._on_session_frame)
        self.session.annotations_changed.disconnect(self._on_session_annotations)

    # -- what there is --------------------------------------------------------------------

    @property
    def grid(self) -> Grid | None:
        """Grid that an annotation of the image lies on."""
        volume = self.session.volume
        return None if volume is None else volume.grid.spatial

    @property
    def state(self) -> AnnotationState | None:
        """Annotation of the image."""
        key = self.session.annotation_key
        return None if key is None else self.session.annotations.get(key)

    @property
    def layer(self) -> AnnotationLabels | None:
        """Layer in which it is made; None where there is none, or it was deleted."""
        state = self.state
        own = (o for o in self.viewer.layers if isinstance(o, AnnotationLabels))
        return next((o for o in own if o.state is state), None)

    @property
    def own_layer(self) -> Layer | None:
        """Layer in which it is made, of labels or of places."""
        return self.layer or self.pointing.layer

    def blocked(self) -> str | None:
        """Why this image cannot be annotated, or None where it can."""
        return "Open or select an image first." if self.session.volume is None else None

    def predictions(self) -> list[Labels]:
        """Labels that could be corrected, best first: the selected one, then predictions of this image, newest first."""
        grid, key = self.grid, self.session.key
        if grid is None:
            return []
        fitting = [
            o
            for o in reversed(self.viewer.layers)
            if isinstance(o, Labels)
            and not isinstance(o, AnnotationLabels)
            and not o.multiscale
            and tuple(o.data.shape) in (grid.shape, self._film_shape())
        ]
        active = self.viewer.layers.selection.active
        return sorted(fitting, key=lambda o: (o is not active, adapt.image_key_of(o) != key))

    def _film_shape(self) -> tuple[int, ...]:
        """Shape of labels of all frames; that of one where there is no time."""
        volume = self.session.volume
        return () if volume is None else volume.grid.without("C").shape

    def labels_of(self, layer: Labels) -> NDArray[Any]:
        """Labels of the frame on show."""
        return np.asarray(self._lazy_labels_of(layer))

    def _lazy_labels_of(self, layer: Labels) -> Any:
        frame, grid = self.session.frame, self.grid
        is_film = frame is not None and grid is not None and layer.ndim > grid.ndim
        return layer.data[frame] if is_film else layer.data

    def found(self) -> Summary | None:
        """Journal that an earlier session left for this image, if there is one and nothing is annotated yet."""
        grid = self.grid
        if grid is None or self.state is not None or self.session.volume is None:
            return None
        key = identity(self.session.volume, self.session.frame)
        if self._asked[0] != key:
            self._asked = (key, restorable(key, grid))
        return self._asked[1]

    # -- beginning ------------------------------------------------------------------------

    def correct(self, source: Labels) -> None:
        """Make an annotation of a prediction, which stays, hidden."""
        volume, grid, key, frame = self._place()
        if volume is None or grid is None:
            return
        found = objects_in(source)
        given = Source(
            frame_name(volume.name, frame),
            source.name,
            grid,
            self._lazy_labels_of(source),
            classes_in(source),
            self._classes_of_model(),
            bool(found),
            notes_from(found, frame),
        )

        def done(begun: Begun) -> None:
            if not self._adopt_at(key, begun, source):
                return
            source.visible = False
            if frame is not None:
                facts = {"of": self.session.key, **facts_of(source), "covered": True}
                source.metadata[adapt.METADATA] = facts

        self.beside.start("Copying the labels", begin_job(given), done, prod(grid.shape))

    def _place(self) -> tuple[Volume | None, Grid | None, str | None, int | None]:
        session = self.session
        return session.volume, self.grid, session.annotation_key, session.frame

    def newer(self) -> Labels | None:
        """Prediction that came after the annotation and speaks of the same classes, or of objects as it does."""
        state, layer, layers = self.state, self.layer, self.viewer.layers
        if state is None or layer is None or state.extent.whole:
            return None
        known = {(c.value, c.name) for c in state.classes}
        for one in self.predictions():
            classes = {(c.value, c.name) for c in classes_in(one)}
            if is_result(one) and layers.index(one) > layers.index(layer):
                is_alike = bool(objects_in(one)) == state.objects
                return one if is_alike and classes and classes <= known else None
        return None

    def take_over(self) -> None:
        """Write the newer prediction over what nobody finished or painted; one edit, which can be undone."""
        newer, state, layer = self.newer(), self.state, self.layer
        if newer is None or state is None or layer is None:
            return
        labels, notes = self.labels_of(newer), notes_from(objects_in(newer), self.session.frame)

        def make(state: AnnotationState) -> Job[Found]:
            if state.objects:
                return take_over_objects_job(state, labels, notes)
            return take_over_classes_job(state, labels)

        def done() -> None:
            newer.visible = False

        self.bulk.start("Taking over", state, make, lambda: layer.is_painting, done)

    def start(self, objects: bool = False) -> None:
        """Make an empty annotation, of classes or of numbered objects."""
        volume, grid, _, frame = self._place()
        if grid is None or volume is None:
            return
        classes = (LabelClass(1, "object"),) if objects else self._classes_of_model()
        if objects and self.session.numbers_objects:
            classes = self._classes_of_model()
        self.adopt(blank(frame_name(volume.name, frame), grid, classes, objects=objects))

    def _classes_of_model(self) -> tuple[LabelClass, ...]:
        spec = self.session.spec
        return (() if spec is None else spec.label_classes) or _FALLBACK

    def _on_problem(self, sentence: str) -> None:
        self.problem.emit(sentence)

    def adopt(self, begun: Begun, source: Any = None, folder: Any = None) -> None:
        """Make an annotation that of the image, and show it."""
        volume, _, key, frame = self._place()
        if key is None or volume is None:
            return
        state = begun.state
        state.autosave = Autosave(state, identity(volume, frame), folder, begun.base)
        state.autosave.failed.connect(self._on_problem)
        if state.autosave.problem:  # its thread may have failed before anyone listened
            self.problem.emit(state.autosave.problem)
        self._asked = ("", None)
        self.session.annotations[key] = state
        self.show(source)

    def _adopt_at(self, key: str | None, begun: Begun, *where: Any) -> bool:
        """Do as `adopt`, unless another image is on show by now."""
        if key != self.session.annotation_key or self.state is not None:
            self.problem.emit(_GONE_ON)
            return False
        self.adopt(begun, *where)
        return True

    def restore(self) -> None:
        """Bring back what an earlier session left."""
        summary, key = self.found(), self.session.annotation_key
        if summary is None:
            return

        def done(begun: Begun) -> None:
            self._adopt_at(key, begun, None, summary.folder)

        job = restore_job(summary.folder)
        self.beside.start("Restoring corrections", job, done, prod(summary.grid.shape))

    def discard(self) -> None:
        """Forget what an earlier session left; not while it is being read."""
        summary, problem = self.found(), self.beside.problem
        if summary is not None and problem is not None:
            self.problem.emit(problem)
        elif summary is not None:
            from napari_apprentice.project.journal import Journal

            Journal.remove(summary.folder)
            self._asked = ("", None)
            self.changed.emit()

    # -- layers ---------------------------------------------------------------------------

    def show(self, source: Layer | None = None) -> None:
        """Show the annotation in a layer and make that the active one."""
        state, key = self.state, self.session.key
        if state is None or key is None:
            return
        if state.kind == "places":
            self.pointing.show(self._placement(source), self._facts(source))
            self.veiling.show()
            self.changed.emit()
            return
        layer = self.layer
        if layer is None:
            name = self._free(f"{state.name} ▸ annotation")
            layer = annotation_layer(state, self._placement(source), name, self._facts(source))
            layer.axes_order = self._order(layer.ndim)
            self.viewer.add_layer(layer)
            layer.look(self.viewer.dims.ndisplay)
        layer.visible = True
        self.viewer.layers.selection.active = layer
        if layer.mode == "pan_zoom":
            layer.mode = "pick" if state.objects else "paint"
        self.veiling.show()
        self.changed.emit()

    def show_hidden(self) -> None:
        """Show the annotation again where its layer is hidden."""
        if self.own_layer is not None and not self.own_layer.visible:
            self.show()

    def _facts(self, source: Layer | None) -> dict[str, Any]:
        volume = self.session.volume
        facts = {} if source is None else facts_of(source)
        kept = {name: facts[name] for name in _HANDED_ON if name in facts}
        if volume is not None and "header" not in kept:
            kept |= {"format": volume.format, "header": dict(volume.metadata)}
        return {**kept, "of": self.session.key, "frame": self.session.frame}

    def _placement(self, source: Layer | None) -> dict[str, Any]:
        grid = self.grid
        if grid is None:
            return {}
        # Labels without a scale of their own may lie elsewhere; the annotation belongs to the image.
        layer = self.image_layer() or source
        return adapt.spatial_kwargs(grid) if layer is None else adapt.layer_kwargs(layer, grid.ndim)

    def image_layer(self) -> Layer | None:
        """Layer of the image."""
        key = self.session.key
        own = (o for o in self.viewer.layers if adapt.image_key_of(o) is None)
        return next((o for o in own if adapt.key_of(o) == key), None)

    def _free(self, name: str) -> str:
        return adapt.unique_name([o.name for o in self.viewer.layers], name)

    def _order(self, ndim: int) -> tuple[int, ...]:
        """The viewer's order of axes, as a layer with so many axes counts them."""
        extra = self.viewer.dims.ndim - ndim
        return tuple(axis - extra for axis in self.viewer.dims.order if axis >= extra)

    def go_to_open_frame(self) -> bool:
        """Go to the next frame of the film that is not finished, round the end; false where there is none."""
        session, image = self.session, self.image_layer()
        if session.key is None or session.frame is None or image is None or session.volume is None:
            return False
        states = [
            session.annotations.get(frame_key(session.key, frame))
            for frame in range(session.volume.grid.length("T"))
        ]
        frame = next_open_frame(states, session.frame)
        if frame is None:
            return False
        dims = self.viewer.dims
        point = image.world_to_data(dims.point[-image.ndim :])
        world = image.data_to_world([frame, *point[1:]])
        dims.set_point(dims.ndim - image.ndim, float(world[0]))
        return True

    # -- following ------------------------------------------------------------------------

    def _on_session_frame(self) -> None:
        """Show what belongs to the frame on show, and hide what belongs to another."""
        key, frame = self.session.key, self.session.frame
        active = self.viewer.layers.selection.active
        was_annotating = isinstance(active, AnnotationLabels | PlacesLayer)
        for layer in self.viewer.layers:
            facts = facts_of(layer)
            if facts.get("of") == key and facts.get("frame") not in (None, frame):
                layer.visible = False
            elif facts.get("of") == key and facts.get("covered"):
                layer.visible = self.state is None  # a prediction that was being corrected
        own = self.own_layer
        if own is not None:
            own.visible = True
        if was_annotating and active is not own:
            self.viewer.layers.selection.active = own or self.image_layer()
        self.veiling.show()
        self.changed.emit()

    def _on_session_annotations(self) -> None:
        self.veiling.show()
        self.changed.emit()

    def _on_viewer_changed(self, event: Any = None) -> None:
        layer = self.layer
        if layer is not None:
            layer.axes_order = self._order(layer.ndim)
            layer.look(self.viewer.dims.ndisplay)
        if getattr(event, "type", "") == "ndisplay":
            self.veiling.show()
        self.changed.emit()
