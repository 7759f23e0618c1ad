"""Made-up images of a model: as volumes, and as files that say what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.volume import SYNTHETIC, SYNTHETIC_NAME, Volume
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS, MakesImages

from .config import DEVICE, DeviceWish
from .made import between, kinds_in_turn, latent_of, made_images, picture_sheet

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.spec import ModelSpec

__all__ = [
    "Added",
    "SynthesisConfig",
    "add_images",
    "kinds_of",
    "make_images",
    "make_sheet",
    "make_way",
    "synthesise",
]

_MOST_TRIES = 100_000


class SynthesisConfig(BaseModel):
    """Which images are made up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(
        16, ge=1, le=100_000, title="Images", description="How many images of each class"
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Number of the first image: a model makes the same image of a number every time",
    )
    suffix: Literal[".png", ".tif"] | None = Field(
        None, title="Format", description="Format of the files; none: PNG where it can hold them"
    )
    device: DeviceWish = DEVICE


@dataclass(frozen=True)
class Added:
    """Files that were written.

    Parameters
    ----------
    files
        In the order in which they were made.
    by_class
        How many of each class.
    folder
        Where they lie, or their class folders.
    """

    files: tuple[Path, ...]
    by_class: dict[str, int]
    folder: Path

    def describe(self) -> str:
        """Say what was written, and what will become of it."""
        each = ", ".join(f"{count} {name}" for name, count in self.by_class.items())
        return (
            f"{len(self.files)} images written to {self.folder.name} ({each}); marked as synthetic: models learn from them, "
            "and are never checked on them."
        )


def kinds_of(spec: ModelSpec, image_class: str | None = None) -> list[int]:
    """Positions of the class that is wanted, or of all.

    Raises
    ------
    BadInputError
        Another kind of model, or a class that it does not know.
    """
    if not isinstance(TASKS[spec.task], MakesImages):
        raise BadInputError(
            f"expected a model that makes images up, {spec.name} is for {spec.task}",
            remedy="Train one with: napari-apprentice train --task synthesis",
        )
    names = [entry.name for entry in spec.classes]
    if image_class is None:
        return list(range(len(names)))
    known = [n for n, name in enumerate(names) if name.casefold() == image_class.casefold()]
    if not known:
        raise BadInputError(
            f"expected one of the classes {', '.join(names)}, found {image_class!r}",
            remedy="Leave the class out to make images of all of them.",
        )
    return known


def make_images(
    model: Model, config: SynthesisConfig, image_class: str | None = None
) -> Job[list[Volume]]:
    """Make images up, class by class; their names end in ``.synthetic``, and ``Volume.synthetic`` says of which model.

    Parameters
    ----------
    model
        Of a task that makes images.
    config
        How many, beginning with which seed.
    image_class
        Name of a class; None: all of them.

    Raises
    ------
    BadInputError
        Another kind of model, or a class that it does not know.
    """
    kinds = kinds_of(model.spec, image_class)
    seeds = range(config.seed, config.seed + config.count)
    return (yield from _volumes(model, [(k, s) for k in kinds for s in seeds], config.device))


def add_images(
    model: Model, folder: Path, config: SynthesisConfig, image_class: str | None = None
) -> Job[Added]:
    """Write made-up images as files that say what they are: in their names, and in what the format keeps beside the voxels.

    A model of several classes writes into a folder for each of them in `folder`, so that it becomes, or stays, a folder of
    class folders; a model of one class writes into `folder` itself. No file is written over: numbers that are taken are
    passed by.

    Parameters
    ----------
    model, config, image_class
        As of `make_images`.
    folder
        Is made where there is none.

    Raises
    ------
    BadInputError
        What `make_images` refuses, or a folder that cannot be written to.
    """
    from napari_apprentice.io import make_folder, save

    kinds, several = kinds_of(model.spec, image_class), len(model.spec.classes) > 1
    suffix = config.suffix or _suffix(model.spec)
    wanted: list[tuple[int, int]] = []
    places: list[Path] = []
    for kind in kinds:
        place = folder / _folder_name(model.spec.classes[kind].name) if several else folder
        free = _free_seeds(place, model.spec, suffix, config)
        wanted += [(kind, seed) for seed in free]
        places += [place / f"{_name(model.spec, seed)}{suffix}" for seed in free]
    volumes = yield from _volumes(model, wanted, config.device)
    for number, (volume, path) in enumerate(zip(volumes, places, strict=True)):
        yield Progress("writing", number, len(places), "image")
        make_folder(path.parent)
        save(volume, path)
    counts = np.bincount([kind for kind, _ in wanted], minlength=len(model.spec.classes))
    names = (entry.name for entry in model.spec.classes)
    by_class = {n: int(c) for n, c in zip(names, counts, strict=True) if c}
    return Added(tuple(places), by_class, folder)


def make_sheet(model: Model, seed: int, image_class: str | None = None) -> Job[Volume]:
    """Some images beside each other, a class in each row or all of one class: to look at, and as synthetic as they are."""
    chosen = kinds_of(model.spec, image_class)
    kinds = np.array(chosen)[kinds_in_turn(len(chosen), 24)]
    network = model.network
    latent = np.stack([latent_of(network, seed + n) for n in range(len(kinds))])
    images = yield from _made(model, latent, kinds, "cpu")
    sheet = picture_sheet(images, kinds - kinds.min())
    return _as_volume(
        sheet, model.spec, f"{model.spec.name} ▸ from seed {seed}", f"from seed {seed}"
    )


def make_way(
    model: Model, first: int, last: int, count: int, image_class: str | None = None
) -> Job[list[Volume]]:
    """`count` images on the way from the one of a seed to that of another, both among them; of the first class, if none is said."""
    kind = kinds_of(model.spec, image_class)[0]
    network = model.network
    latent = between(latent_of(network, first), latent_of(network, last), count)
    images = yield from _made(model, latent, np.full(count, kind), "cpu")
    name = f"{model.spec.name} ▸ {model.spec.classes[kind].name} from seed {first} to {last}"
    return [_as_volume(i, model.spec, name, f"from seed {first} to {last}") for i in images]


def synthesise(
    model: Model | os.PathLike[str] | str,
    image_class: str | None = None,
    *,
    out: os.PathLike[str] | str | None = None,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> list[Volume]:
    """Make images up with a model that learned what real ones look like.

    Parameters
    ----------
    model
        A model of the task ``synthesis``, its name, or its folder.
    image_class
        Name of a class; None: all of them.
    out
        Folder to write them to, see `add_images`; what is returned are the files then, opened.
    listen
        Called with every event of the job (`Progress`).
    **settings
        Fields of `SynthesisConfig`: ``count`` (of each class), ``seed``, ``suffix``, ``device``.

    Returns
    -------
    list of Volume
        Whose ``synthetic`` says what made them up. No training holds such images out, and no evaluation scores them.

    Raises
    ------
    BadInputError
        Another kind of model, a class that it does not know, settings that make no sense.
    """
    from napari_apprentice.io import open_volume

    from .verbs import config_of, load_model

    loaded = model if isinstance(model, Model) else load_model(model)
    config = config_of(SynthesisConfig, settings)
    if out is None:
        return run_to_end(make_images(loaded, config, image_class), listen)
    added = run_to_end(add_images(loaded, Path(out), config, image_class), listen)
    return [open_volume(path) for path in added.files]


def _volumes(model: Model, wanted: Sequence[tuple[int, int]], device: str) -> Job[list[Volume]]:
    """Images of kinds and seeds."""
    yield Progress("making images", 0, len(wanted), "image")
    network = model.network
    latent = np.stack([latent_of(network, seed) for _, seed in wanted])
    kinds = np.array([kind for kind, _ in wanted])
    images = yield from _made(model, latent, kinds, device)
    return [
        _as_volume(
            image,
            model.spec,
            f"{model.spec.classes[kind].name} {_name(model.spec, seed)}",
            f"class {model.spec.classes[kind].name}, seed {seed}",
        )
        for image, (kind, seed) in zip(images, wanted, strict=True)
    ]


def _made(
    model: Model, latent: NDArray[np.float32], kinds: NDArray[np.int64], device: str
) -> Generator[Event, None, NDArray[np.float32]]:
    from .device import choose_device

    place = choose_device(device).name
    network = model.network if place == "cpu" else model.build().to(place)
    now = Progress("making images", 0, len(latent), "image")
    return (yield from made_images(network, latent, kinds, place, now))


def _as_volume(image: NDArray[Any], spec: ModelSpec, name: str, which: str) -> Volume:
    """An image ``(C, Y, X)`` from 0 to 1 as a volume that says that it was made up."""
    answer = TASKS[spec.task].decode(image, Grid.regular("YX", image.shape[1:]), spec)
    assert answer.image is not None  # noqa: S101  # a task that makes images; mypy cannot see it
    is_colour = "C" in answer.grid.axes and answer.grid.length("C") in (3, 4)
    by = f"made up by the model {spec.name} ({which})"
    return Volume(
        answer.image,
        answer.grid,
        channels=spec.channels if len(image) > 1 else (),
        name=name,
        rgb=is_colour and spec.channels[0] == "red",
        metadata={SYNTHETIC: by},
    )


def _name(spec: ModelSpec, seed: int) -> str:
    """File name without suffix: model and seed, so that an image can be made again."""
    return f"{re.sub(r'[^0-9A-Za-z]+', '-', spec.name).strip('-') or 'model'}-{seed:06d}{SYNTHETIC_NAME}"


def _folder_name(image_class: str) -> str:
    """A class as the name of a folder; names that lead elsewhere, as a foreign model might have them, lose what does so."""
    return re.sub(r'[<>:"/\\\\|?*\x00-\x1f]', "-", image_class).strip(" .") or "class"


def _suffix(spec: ModelSpec) -> str:
    """PNG where it can hold the images: whole numbers, grey or colours of eight bits."""
    dtype = str(spec.task_args.get("dtype"))
    colours = len(spec.channels) == 3 and spec.channels[0] == "red"
    fits = dtype == "uint8" and (colours or len(spec.channels) == 1)
    return ".png" if fits or (dtype == "uint16" and len(spec.channels) == 1) else ".tif"


def _free_seeds(place: Path, spec: ModelSpec, suffix: str, config: SynthesisConfig) -> list[int]:
    """The first seeds whose images do not lie there yet."""
    found: list[int] = []
    for seed in range(config.seed, config.seed + _MOST_TRIES + config.count):
        if len(found) == config.count:
            break
        if not (place / f"{_name(spec, seed)}{suffix}").exists():
            found.append(seed)
    return found
