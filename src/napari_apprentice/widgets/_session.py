"""One `Session` per viewer, and what ties the two: the active layer in, results out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Image, Labels, Points, Shapes
from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QEvent, QObject, QTimer

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.session import Predicted, Session
from napari_apprentice.session.settings import Preferences

from . import layers as adapt
from ._keys import refused_keys
from ._near_slices import NearSlices
from ._places import boxes_remark
from .workers import MainThread, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_apprentice.core.jobs import Preview

__all__ = ["link_for", "session_for"]

_HIDDEN = "Your annotation is hidden, so that you see the prediction. Correct shows it again."
_PLACEMENT = ("name", "data", "scale", "translate", "rotate", "shear", "affine", "units")

# The only state of the module: it forgets a viewer as soon as nobody else holds it.
_LINKS: WeakKeyDictionary[Any, ViewerLink] = WeakKeyDictionary()


def session_for(viewer: napari.viewer.Viewer) -> Session:
    """Return the session that all docks of a viewer share."""
    return link_for(viewer).session


def link_for(viewer: napari.viewer.Viewer) -> ViewerLink:
    """Return what ties a viewer to its session; made at the first call."""
    # Plugins get a proxy, a new one for each dock.
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _LINKS:
        _LINKS[real] = ViewerLink(real)
    return _LINKS[real]


def preferences() -> Preferences:
    """Read what the person set in napari's preferences."""
    from napari.settings import get_plugin_settings

    try:
        general = get_plugin_settings("napari-apprentice").apprentice_general
    except (AttributeError, KeyError, ValueError):
        # Started from a script without the plugin being discovered.
        return Preferences()
    return Preferences.read({n: getattr(general, n) for n in ("device", "training_minutes")})


class ViewerLink(QObject):
    """Tells the session which image is worked on, and shows what it answers as layers.

    Parameters
    ----------
    viewer
        Held weakly: the viewer may go at any time.
    session
        Default: a new one with the user's models.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._main = MainThread()
        self._near = NearSlices(viewer)
        self.session = session or self._new_session()
        self._followed: Layer | None = None
        self._watched: set[int] = set()
        layers = viewer.layers
        layers.selection.events.active.connect(self._on_selection_active)
        layers.events.inserted.connect(self._on_selection_active)
        layers.events.removed.connect(self._on_layers_removed)
        viewer.dims.events.current_step.connect(self._on_dims_step)
        self.session.predicted.connect(self._on_session_predicted)
        self.session.previewed.connect(self._on_session_previewed)
        self.session.candidate_changed.connect(self._on_session_candidate)
        self._follow()

    def _new_session(self) -> Session:
        from napari_apprentice.models.store import ModelStore

        for sentence in refused_keys():
            show_warning(sentence)
        return Session(ModelStore(), self._start, self._main.post, preferences=preferences())

    def _start(self, function: Callable[[], None]) -> None:
        start_worker(function, self.session.cancel, self.session.status.name)

    # -- the end --------------------------------------------------------------------------

    def watch(self, window: QWidget) -> None:
        """Close the session with this window."""
        if id(window) not in self._watched:
            self._watched.add(id(window))
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """See the window close; it may still decide not to."""
        if event.type() == QEvent.Type.Close:
            # Weakly: the window and all it holds must be able to go before the timer comes.
            window = ref(watched)
            QTimer.singleShot(0, lambda: self._close_unless_shown(window()))
        return False

    def _close_unless_shown(self, window: Any) -> None:
        try:
            is_shown = window is not None and window.isVisible()
        except RuntimeError:
            is_shown = False  # deleted by now
        if not is_shown:
            self.close()

    def close(self) -> None:
        """End the session; nothing is added to the viewer any more."""
        self.session.close()
        self._main.close()

    # -- the image ------------------------------------------------------------------------

    def _on_selection_active(self) -> None:
        self._follow()

    def _on_layers_removed(self) -> None:
        viewer = self._viewer()
        if viewer is not None and self._followed not in viewer.layers:
            self._follow()

    def _on_layer_changed(self) -> None:
        self._tell_session()

    def _follow(self) -> None:
        """Find the image to work on and tell the session."""
        layer = self._image_to_follow()
        if layer is not self._followed:
            for name in _PLACEMENT:
                if self._followed is not None:
                    getattr(self._followed.events, name).disconnect(self._on_layer_changed)
                if layer is not None:
                    getattr(layer.events, name).connect(self._on_layer_changed)
            self._followed = layer
            self._tell_session()

    def _image_to_follow(self) -> Layer | None:
        viewer = self._viewer()
        if viewer is None:
            return None
        active = viewer.layers.selection.active
        if _is_source(active):
            return active
        if isinstance(active, Labels | Points | Shapes):
            owner = self._layer_of(adapt.image_key_of(active))
            if owner is not None:
                return owner
        if self._followed is not None and self._followed in viewer.layers:
            return self._followed
        return next((one for one in reversed(viewer.layers) if _is_source(one)), None)

    def _tell_session(self) -> None:
        layer, viewer = self._followed, self._viewer()
        if layer is None or viewer is None:
            self.session.set_image(None)
            return
        others = [o for o in viewer.layers if isinstance(o, Image)]
        group = adapt.channel_group(layer, others)
        together = any(1 < len(spec.channels) <= len(group) for spec in self.session.specs.values())
        try:
            volume = adapt.volume_of(layer, others if together else ())
        except ApprenticeError as error:
            self.session.set_image(None)
            self.session.refused.emit(str(error))
            return
        selected = group.index(layer) if together else None
        self.session.set_image(volume, adapt.key_of(layer), selected)
        self._tell_frame()

    def _on_dims_step(self) -> None:
        self._tell_frame()

    def _tell_frame(self) -> None:
        """Tell the session which time point is on show."""
        layer, viewer = self._followed, self._viewer()
        if layer is None or viewer is None or self.session.frame is None:
            return
        point = layer.world_to_data(viewer.dims.point[-layer.ndim :])
        self.session.set_frame(round(float(point[0])))

    def _layer_of(self, key: str | None) -> Layer | None:
        viewer = self._viewer()
        if viewer is None or key is None:
            return None
        found = (one for one in viewer.layers if _is_source(one) and adapt.key_of(one) == key)
        return next(found, None)

    # -- results --------------------------------------------------------------------------

    def _on_session_predicted(self, done: Predicted) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        source = self._layer_of(done.key)
        placed = None
        if source is None:
            show_info(f"{done.volume.name} was closed meanwhile; its prediction is a new layer.")
        else:
            placed = adapt.layer_kwargs(source, len(done.prediction.grid.without("C").axes))
        made = adapt.prediction_layers(done.prediction, done.volume, done.name, placed, done.key)
        self.session.remark = boxes_remark(done.prediction)
        if made and source is not None:
            self._hide_older(viewer, done)
        for data, kwargs, kind in made:
            kwargs["name"] = adapt.unique_name([one.name for one in viewer.layers], kwargs["name"])
            if kind == "labels":
                # As outlines from the start: changed afterwards, napari would cut and draw the slice twice.
                layer = Labels(data, **kwargs)
                layer.contour = adapt.contour_width(data.shape)
                viewer.add_layer(layer)
            else:
                is_picture = kind == "image" and not done.prediction.is_map and len(made) == 1
                kept = _look_of(source) if is_picture else {}
                self._near.show(getattr(viewer, f"add_{kind}")(data, **{**kept, **kwargs}))

    def _hide_older(self, viewer: napari.viewer.Viewer, done: Predicted) -> None:
        """Hide what would cover the answer: earlier ones, and the annotation, unless someone paints in it just now."""
        for layer in viewer.layers:
            facts = layer.metadata.get(adapt.METADATA) or {}
            if facts.get("of") != done.key:
                continue
            if facts.get("result"):
                layer.visible = False
            elif facts.get("annotation") and layer.visible and not done.is_annotating:
                layer.visible = False
                self.session.remark = f"{_HIDDEN} {self.session.remark}".strip()

    def _on_session_previewed(self, preview: Preview) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        layer = self._preview_layer()
        colours = preview.grid.length("C") in (3, 4) and not preview.labels
        data = preview.data.transpose(1, 2, 0) if colours else preview.data
        if layer is not None and layer.data.shape == data.shape:
            layer.data = data
            if isinstance(layer, Image) and not colours:
                layer.reset_contrast_limits()
            return
        active = viewer.layers.selection.active
        add = viewer.add_labels if preview.labels else viewer.add_image
        facts = {adapt.METADATA: {"preview": True}}
        placed = adapt.spatial_kwargs(preview.grid)
        if colours:
            placed["rgb"] = True
        added = add(data, name=preview.name, metadata=facts, **placed)
        state = self.session.annotations.get(self.session.annotation_key or "")
        if preview.labels and state is not None and not state.objects:
            look = adapt.class_colors(state.classes)
            added.colormap, added.features = look["colormap"], look["features"]
        if preview.labels:
            added.contour = adapt.contour_width(preview.data.shape)
        viewer.layers.selection.active = active

    def _preview_layer(self) -> Layer | None:
        viewer = self._viewer()
        layers = () if viewer is None else viewer.layers
        return next(
            (o for o in layers if (o.metadata.get(adapt.METADATA) or {}).get("preview")), None
        )

    def _on_session_candidate(self) -> None:
        """Take the preview away once the decision about the new model is made."""
        viewer, layer = self._viewer(), self._preview_layer()
        if viewer is not None and layer is not None and self.session.candidate is None:
            viewer.layers.remove(layer)


def _look_of(source: Layer | None) -> dict[str, Any]:
    """Contrast and colours of the image that a result stands beside: else they could not be compared by eye."""
    if not isinstance(source, Image) or source.rgb:
        return {}
    return {name: getattr(source, name) for name in ("contrast_limits", "colormap", "gamma")}


def _is_source(layer: object) -> bool:
    """Whether a layer is an image to work on, not a result of ours."""
    if not isinstance(layer, Image):
        return False
    facts = layer.metadata.get(adapt.METADATA) or {}
    return not (facts.get("of") or facts.get("preview"))
