"""Showing one image of a gallery in the viewer: a slice, one of several layers, or a picture from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.volume import Volume
from napari_apprentice.session.identity import identity
from napari_apprentice.session.samples import Sample, plane_samples

from . import layers as adapt
from ._upright import upright

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer
    from qtpy.QtGui import QHideEvent

    from napari_apprentice.core.prediction import Prediction

__all__ = ["GalleryView", "layer_sources"]

FLAT = "flat"
# No image to work on elsewhere: the next one takes its place.
_OWN = {adapt.METADATA: {"gallery": True, "of": "gallery"}}


def layer_sources(viewer: napari.viewer.Viewer) -> list[tuple[str, str]]:
    """What in the viewer can be classified: title and key of each stack, and of all flat images together."""
    stacks, flat = [], 0
    for layer in _images(viewer):
        axes = layer.ndim
        if axes == 2:
            flat += 1
        elif axes == 3:
            stacks.append((f"slices of {layer.name}", layer.unique_id))
    if flat:
        stacks.append((f"{flat} flat image{'s' if flat > 1 else ''}", FLAT))
    return stacks


def _images(viewer: napari.viewer.Viewer) -> list[Layer]:
    """Images that a person put there."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image)
        and not adapt.is_helper(layer)
        and not (layer.metadata.get(adapt.METADATA) or {}).get("of")
    ]


class GalleryView:
    """Keeps the viewer at the image that is looked at.

    Parameters
    ----------
    viewer
        Where.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._source: list[str] = []
        self._is_stack = False
        self.own: Layer | None = None
        self._put: tuple[str, Any] = ("", None)
        self._map: Layer | None = None

    def samples(self, key: str) -> tuple[Sample, ...]:
        """Samples of a source in the viewer; see `layer_sources`.

        Raises
        ------
        BadInputError
            A layer that cannot be read as an image.
        """
        self.forget()
        self._is_stack = key != FLAT
        chosen = [
            one
            for one in _images(self._viewer)
            if (one.unique_id == key if self._is_stack else one.ndim == 2)
        ]
        self._source = [one.unique_id for one in chosen]
        volumes = [adapt.volume_of(one) for one in chosen]
        return tuple(sample for volume in volumes for sample in plane_samples(volume))

    def known_by(self, key: str) -> str:
        """What a source in the viewer is known by from one session to the next."""
        stack = next((one for one in _images(self._viewer) if one.unique_id == key), None)
        return FLAT if stack is None else identity(adapt.volume_of(stack))

    def from_folder(self) -> None:
        """From now on pictures come from files and are shown on a layer of their own."""
        self.forget()
        self._source = []

    def add_map(self, answer: Prediction) -> None:
        """Lay a map of evidence over the image that is shown; it goes when another image comes."""
        self._forget_map()
        layer = self.layer
        if layer is None or answer.image is None:
            return
        evidence = upright(Volume(answer.image, answer.grid))
        if answer.grid.ndim == layer.ndim:
            placed = adapt.layer_kwargs(layer, layer.ndim)
        else:  # a slice of a stack
            flat = ("scale", "translate", "units")
            placed = {name: getattr(layer, name)[-2:] for name in flat}
        added: Any = self._viewer.add_image(
            evidence.numpy(),
            name=answer.summary,
            metadata=_OWN,
            colormap="inferno",
            opacity=0.5,
            contrast_limits=(0, 1),
            **placed,
        )
        self._map = added
        self._viewer.layers.selection.active = layer

    def _forget_map(self) -> None:
        if self._map is not None and self._map in self._viewer.layers:
            self._viewer.layers.remove(self._map)
        self._map = None

    def forget(self) -> None:
        """Take the own layer away; one that a person named, or put other data into, is theirs and stays."""
        self._forget_map()
        own, (name, data) = self.own, self._put
        is_as_put = own is not None and own.name == name and own.data is data
        if is_as_put and own in self._viewer.layers:
            self._viewer.layers.remove(own)
        self.own, self._put = None, ("", None)

    def leave_with(self, event: QHideEvent) -> bool:
        """Go when the dock goes: the picture would lie under what other docks show. False where only the window is made small."""
        if event.spontaneous():
            return False
        self.forget()
        return True

    @property
    def is_missing(self) -> bool:
        """Whether pictures come from files, and none of them is shown: it left with the dock, which has come back."""
        return not self._source and self.own is None

    @property
    def layer(self) -> Layer | None:
        """Layer that shows the image."""
        if self.own is not None:
            return self.own
        found = [one for one in self._viewer.layers if one.unique_id in self._source]
        return next((one for one in found if one.visible), None)

    def show(self, at: int, sample: Sample) -> None:
        """Show an image; a file is opened for it.

        Raises
        ------
        ApprenticeError
            The file cannot be read; nothing is shown then, as the image before would be taken for this one.
        """
        self._forget_map()
        if not self._source:
            try:
                volume = sample.open()
            except ApprenticeError:
                self.forget()
                raise
            self._show_file(volume)
            return
        named = {one.unique_id: one for one in self._viewer.layers}
        if self._is_stack:
            layer = named.get(self._source[0])
            if layer is not None:
                world = layer.data_to_world((at, *(n // 2 for n in layer.data.shape[1:3])))
                self._viewer.dims.set_point(self._viewer.dims.ndim - layer.ndim, float(world[0]))
            return
        for number, key in enumerate(self._source):
            if key in named:
                named[key].visible = number == at

    def _show_file(self, volume: Volume) -> None:
        before = None if self.own is None else self.own.data.shape[:2]
        data, kwargs, _ = adapt.layer_tuples(volume)[0]
        kwargs["metadata"] = _OWN
        self.forget()
        added: Any = self._viewer.add_image(data, **kwargs)
        self.own, self._put = added, (added.name, added.data)
        if before != added.data.shape[:2]:
            self._viewer.reset_view(layers=[added])
