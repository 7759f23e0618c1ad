"""`SessionState`: what is worked on: the image, the frame and channels of it, the model, the annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal
from psygnal.containers import EventedDict

from .channels import Channels, default_channels
from .choice import ModelChoice, best_choice, model_choices, object_tasks
from .identity import frame_key
from .preparing import Recipe
from .settings import Preferences

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import ModelStore

    from .edits import AnnotationState

__all__ = ["SessionState"]


class SessionState:
    """What one viewer works on; `Session` adds the jobs.

    Parameters
    ----------
    store
        The models at hand.
    preferences
        What the forms start with.
    """

    image_changed = Signal()
    """Another image is worked on, or none."""
    frame_changed = Signal()
    """Another time point of the image is on show."""
    model_changed = Signal()
    """Another model is chosen, the list of models changed, or other channels feed the model."""
    diameter_changed = Signal()
    """The person said how large objects are."""
    recipe_changed = Signal()
    """New models prepare images in another way."""
    annotations_changed = Signal()
    """Something was annotated, or another annotation came or went."""

    def __init__(self, store: ModelStore, preferences: Preferences | None = None) -> None:
        self.store = store
        self.preferences = preferences or Preferences()
        self.volume: Volume | None = None
        self.key: str | None = None
        self.frame: int | None = None
        self.model: str | None = None
        self.diameter = self.preferences.predict.diameter
        self._diameter_unit = self._unit
        self.recipe = Recipe()
        self.annotations: EventedDict[str, AnnotationState] = EventedDict()
        self.volumes: dict[str, Volume] = {}
        self.frames: dict[str, int] = {}
        self.summary = ""
        self.notes: tuple[str, ...] = ()
        self._selected: int | None = None
        self._channels: dict[tuple[str, tuple[str, ...]], Channels] = {}
        self._specs: dict[str, ModelSpec] | None = None
        self._choices: tuple[dict[str, ModelSpec], Volume | None, list[ModelChoice]] | None = None
        for happened in ("added", "removed", "changed"):
            getattr(self.annotations.events, happened).connect(self._on_annotations_replaced)

    # -- the image ------------------------------------------------------------------------

    def set_image(
        self, volume: Volume | None, key: str | None = None, selected: int | None = None
    ) -> None:
        """Work on another image, or on none.

        Parameters
        ----------
        volume
            The image.
        key
            What its annotation is filed under; default: the volume's name.
        selected
            Channel that the person selected, where the image has one layer per channel.
        """
        key = None if volume is None else key or volume.name
        if volume is self.volume and key == self.key and selected == self._selected:
            return
        if key != self.key:
            self.summary, self.notes = "", ()
        is_alike = key == self.key and _channel_count(volume) == _channel_count(self.volume)
        self.volume, self.key, self._selected = volume, key, selected
        self.frame = None if volume is None or "T" not in volume.grid.axes else self.frame or 0
        self._clip_frame()
        self._remember_volume()
        self._choose_model(is_alike)
        if volume is not None and self._unit != self._diameter_unit:
            self.set_diameter(None)  # so many µm are not as many mm, or pixels
        self.image_changed.emit()
        self.model_changed.emit()

    def set_recipe(self, recipe: Recipe) -> None:
        """Have new models prepare images in this way."""
        if recipe != self.recipe:
            self.recipe = recipe
            self.recipe_changed.emit()

    def set_diameter(self, diameter: float | None) -> None:
        """Say how large objects are, in the image's unit; None: estimated where a model needs to know it.

        It holds for the next images, too, as long as they have the same unit.
        """
        if diameter != self.diameter:
            self.diameter, self._diameter_unit = diameter, self._unit
            self.diameter_changed.emit()

    @property
    def diameter_unit(self) -> str:
        """In which unit `diameter` was told."""
        return self._diameter_unit

    @property
    def _unit(self) -> str:
        """In which lengths in the image are told."""
        return "pixel" if self.volume is None else self.volume.grid.unit

    def set_frame(self, frame: int) -> None:
        """Work on another time point; does nothing for images without time."""
        if self.frame is None or frame == self.frame:
            return
        self.frame = frame
        self._clip_frame()
        self._remember_volume()
        self.frame_changed.emit()

    def _clip_frame(self) -> None:
        if self.frame is not None and self.volume is not None:
            self.frame = min(max(0, self.frame), self.volume.grid.length("T") - 1)

    @property
    def annotation_key(self) -> str | None:
        """What the annotation of the image, or of its frame on show, is filed under."""
        return None if self.key is None else frame_key(self.key, self.frame)

    def _remember_volume(self) -> None:
        """Keep the volumes that someone annotated, and this one: others may be large."""
        self.volumes = {
            k: v for k, v in self.volumes.items() if k in self.annotations or self._is_needed(v)
        }
        self.frames = {k: t for k, t in self.frames.items() if k in self.annotations}
        key = self.annotation_key
        if key is not None and self.volume is not None:
            self.volumes[key] = self.volume
            if self.frame is not None:
                self.frames[key] = self.frame

    def _is_needed(self, volume: Volume) -> bool:
        """Whether a volume is worth its memory though nobody annotated it."""
        return False

    # -- models ---------------------------------------------------------------------------

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """Descriptions of all models, by name."""
        if self._specs is None:
            self._specs = self.store.specs()
        return self._specs

    def choices(self) -> list[ModelChoice]:
        """All models, those that fit the image first; worked out once for an image, as every stroke asks."""
        specs, volume = self.specs, self.volume
        kept = self._choices
        if kept is None or kept[0] is not specs or kept[1] is not volume:
            kept = self._choices = (specs, volume, model_choices(specs, volume))
        return kept[2]

    @property
    def spec(self) -> ModelSpec | None:
        """Description of the chosen model."""
        return None if self.model is None else self.specs.get(self.model)

    def use_model(self, name: str) -> None:
        """Choose a model by name; an unknown name changes nothing."""
        if name in self.specs and name != self.model:
            self.model = name
            self.model_changed.emit()

    @property
    def unfit(self) -> str | None:
        """Why the chosen model cannot take the image, as a sentence; None where it can."""
        reason = next((c.reason for c in self.choices() if c.name == self.model), None)
        return None if reason is None else f"{self.model} is not for this image: {reason}."

    @property
    def numbers_objects(self) -> bool:
        """Whether the chosen model numbers objects; such a model also wants to know how large they are."""
        return self.spec is not None and self.spec.task in object_tasks()

    def refresh_models(self) -> None:
        """Read the list of models anew."""
        self._specs = None
        self._choose_model()
        self.model_changed.emit()

    def _choose_model(self, is_alike: bool = True) -> None:
        """Keep the chosen model while it fits, else offer the best one.

        For another kind of image one that takes all channels is better than one for which some must be chosen.
        """
        choices = self.choices()
        fitting = [c for c in choices if c.reason is None]
        whole = [c.name for c in fitting if not c.is_partial]
        keepable = whole if whole and not is_alike else [c.name for c in fitting]
        if self.model not in keepable:
            self.model = best_choice(choices)

    # -- channels -------------------------------------------------------------------------

    @property
    def channels(self) -> Channels | None:
        """Numbers of the channels that feed the chosen model; None where there is nothing to choose."""
        return None if self.volume is None else self.channels_of(self.key, self.volume, self.spec)

    def channels_of(
        self, key: str | None, volume: Volume, spec: ModelSpec | None
    ) -> Channels | None:
        """Channels of an image that feed a model: as the person chose them, else a proposal."""
        if spec is None or key is None:
            return None
        proposed = default_channels(volume, spec, self._selected if key == self.key else None)
        chosen = self._channels.get((key, spec.channels))
        return proposed if proposed is None else chosen or proposed

    def choose_channels(self, channels: Channels) -> None:
        """Feed the chosen model, and others with channels of the same names, with other channels of this image."""
        if self.key is not None and self.spec is not None and channels != self.channels:
            self._channels[self.key, self.spec.channels] = channels
            self.model_changed.emit()

    # -- annotations ----------------------------------------------------------------------

    def _on_annotations_replaced(self) -> None:
        for state in self.annotations.values():
            state.changed.connect(self._on_state_changed, unique=True)
        self._on_state_changed()

    def _on_state_changed(self) -> None:
        self.annotations_changed.emit()


def _channel_count(volume: Volume | None) -> int:
    return 0 if volume is None else volume.grid.length("C")
