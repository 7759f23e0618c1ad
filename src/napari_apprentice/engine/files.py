"""Between files and the engine: annotated items out of folders, predictions into files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import (
    FORMATS,
    WritableFormat,
    format_of,
    labels_like,
    labels_onto,
    list_images,
    open_labels,
    open_volume,
    pair,
    stem,
)
from napari_apprentice.tasks import TASKS, ClassesObjects, FindsPlaces, NumbersObjects

from ._frames import single_frame
from .groups import check_groups
from .label_files import find_classes
from .object_files import open_objects
from .place_files import open_places
from .split import TrainItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction

__all__ = [
    "item_of",
    "open_pairs",
    "output_path",
    "parse_classes",
    "read_images",
    "read_items",
    "result_volume",
]


# -- what to learn from -------------------------------------------------------------------


def open_pairs(
    pairs: Sequence[tuple[Path, Path]],
    *,
    classes: Sequence[LabelClass] = (),
    known: Sequence[LabelClass] = (),
    groups: Mapping[str, str] | None = None,
    task: str = "semantic",
) -> Job[list[TrainItem]]:
    """Open images and their labels, one pair at a time; every voxel of the labels counts.

    Parameters
    ----------
    pairs
        Image and label files, see `napari_apprentice.io.pair`.
    classes
        What the label values mean; by default the values found in the labels, under the names the files give them.
    known
        Names for values that the files do not name.
    groups
        Name (without suffixes) → group; items of one group stay on one side of the split.
    task
        Registry name of the task; for one that numbers objects, values are objects and their names are classes.

    Raises
    ------
    BadInputError
        Files that cannot be read, only background, a time series.
    GridMismatchError
        Labels that do not lie on the grid of their image.
    """
    if isinstance(TASKS[task], FindsPlaces):
        return (
            yield from open_places(pairs, task=task, classes=classes, known=known, groups=groups)
        )
    if isinstance(TASKS[task], ClassesObjects):
        return (yield from open_objects(pairs, classes=classes, groups=groups))
    opened = []
    for number, (image, label) in enumerate(pairs):
        yield Progress("opening", number, len(pairs), "image")
        opened.append((open_volume(image), open_labels(label)))
    chosen = TASKS[task]
    volumes = [label for _, label in opened]
    if isinstance(chosen, NumbersObjects):
        said = tuple(classes) or chosen.named_classes(volumes)
        return [
            item_of(image, label, said, groups or {}, chosen.annotation) for image, label in opened
        ]
    said = tuple(classes) or find_classes(volumes, known)
    if not said:
        raise BadInputError(
            "expected labelled voxels, found only background",
            path=pairs[0][1].parent if pairs else None,
            remedy="Check that these are label images.",
        )
    return [item_of(image, label, said, groups or {}, _as_classes) for image, label in opened]


def _as_classes(labels: Volume, grid: Grid, classes: Sequence[LabelClass]) -> Annotation:
    return Annotation(grid, labels.numpy(), tuple(classes))


def read_items(
    images: Path,
    labels: Path,
    *,
    classes: Sequence[LabelClass] = (),
    known: Sequence[LabelClass] = (),
    groups: Mapping[str, str] | None = None,
    task: str = "semantic",
) -> list[TrainItem]:
    """Pair two files or folders by file name and open them; see `open_pairs`.

    Raises
    ------
    BadInputError
        A name without a partner, a group without an image, and what `open_pairs` refuses.
    """
    pairs = pair(images, labels)
    items = run_to_end(open_pairs(pairs, classes=classes, known=known, groups=groups, task=task))
    check_groups(groups, (item.name for item in items), images)
    return items


def read_images(
    images: Path, clean: Path | None = None, groups: Mapping[str, str] | None = None
) -> Job[list[TrainItem]]:
    """Open images to learn from without labels, alone or with their clean counterparts of the same names.

    Parameters
    ----------
    images
        A file, or a folder.
    clean
        A file, or a folder; None: the images are all there is.
    groups
        Name (without suffixes) → group; a group is never divided between learning and checking.

    Raises
    ------
    BadInputError
        Files that cannot be read, a name without a partner, a group without an image, a time series.
    GridMismatchError
        A clean image that does not lie on the grid of its noisy one.
    """
    files: Sequence[tuple[Path, Path | None]] = (
        [(path, None) for path in list_images(images)] if clean is None else pair(images, clean)
    )
    check_groups(groups, (stem(image) for image, _ in files), images)
    items = []
    for number, (image, other) in enumerate(files):
        yield Progress("opening", number, len(files), "image")
        frame = single_frame(open_volume(image))
        grid, name = frame.grid.spatial, stem(image)
        wanted = None if other is None else _clean(frame, single_frame(open_volume(other)))
        items.append(
            TrainItem(name, frame, Annotation.of_clean(grid, wanted), (groups or {}).get(name))
        )
    return items


def _clean(frame: Volume, clean: Volume) -> NDArray[Any]:
    """The voxels of a clean image ``(C, *spatial)``, which must lie where its noisy one does."""
    same = clean.grid == frame.grid or (
        (clean.grid.axes, clean.grid.shape) == (frame.grid.axes, frame.grid.shape)
        and "pixel" in (clean.grid.unit, frame.grid.unit)
    )
    if not same:
        raise GridMismatchError(
            f"expected a clean image like its noisy one, {frame.grid.axes} {frame.grid.shape}, spacing "
            f"{_numbers(frame.grid.spacing)} {frame.grid.unit}, found {clean.grid.axes} {clean.grid.shape}, "
            f"spacing {_numbers(clean.grid.spacing)} {clean.grid.unit}",
            path=clean.source or clean.name,
            remedy="Both images of a pair must show the same place with the same voxels.",
        )
    return clean.channel_first()


def item_of(
    volume: Volume,
    labels: Volume,
    classes: tuple[LabelClass, ...],
    groups: Mapping[str, str],
    annotate: Callable[[Volume, Grid, tuple[LabelClass, ...]], Annotation],
) -> TrainItem:
    """An image with what its labels say, on the image's own grid.

    Parameters
    ----------
    annotate
        Makes an annotation of the labels.

    Raises
    ------
    BadInputError
        A film.
    GridMismatchError
        Labels that do not lie on the grid of their image.
    """
    source = volume.source or volume.name
    frame = single_frame(volume)
    grid = frame.grid.spatial
    if labels.metadata.get("left_out_is_background"):
        labels = labels_onto(labels, grid)
    if labels.grid != grid and not _only_size_known(labels, frame):
        raise GridMismatchError(
            f"expected labels on the grid of their image {grid.axes} {grid.shape}, spacing "
            f"{_numbers(grid.spacing)} {grid.unit}, found {labels.grid.axes} {labels.grid.shape}, "
            f"spacing {_numbers(labels.grid.spacing)} {labels.grid.unit}",
            path=labels.source or labels.name,
            remedy="Labels must have been drawn on this very image.",
        )
    name = stem(source)
    return TrainItem(name, frame, annotate(labels, grid, classes), groups.get(name))


def _only_size_known(labels: Volume, frame: Volume) -> bool:
    """Whether two grids differ only because one of the files keeps no voxel size."""
    same = (
        labels.grid.axes == frame.grid.spatial_axes
        and labels.grid.shape == frame.grid.spatial_shape
    )
    return same and "pixel" in (labels.grid.unit, frame.grid.unit)


def _numbers(values: Iterable[float]) -> str:
    return " × ".join(f"{value:.6g}" for value in values)


def parse_classes(text: str) -> tuple[LabelClass, ...]:
    """Read ``"1=anterior,2=posterior"``.

    Raises
    ------
    BadInputError
        Anything else.
    """
    found: dict[int, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        value, sign, name = (p.strip() for p in part.partition("="))
        if (
            not (sign and name and value.isdecimal() and 0 < int(value) < 65535)
            or int(value) in found
        ):
            raise BadInputError(
                f"expected classes as value=name, each value once, found {part!r}",
                remedy='For example: "1=anterior,2=posterior".',
            )
        found[int(value)] = name
    return tuple(LabelClass(value, found[value]) for value in sorted(found))


# -- where a prediction goes ----------------------------------------------------------------


def result_volume(prediction: Prediction, source: Volume) -> Volume | None:
    """What there is to save of a prediction, with the geometry of its source; None where it is only a table."""
    if prediction.labels is None and prediction.image is None:
        return None
    names, colors = _meanings(prediction)
    if prediction.labels is not None and prediction.grid.axes == source.grid.spatial_axes:
        return labels_like(source, prediction.labels, names, colors)
    data = prediction.labels if prediction.labels is not None else prediction.image
    assert data is not None  # noqa: S101  # said two lines above; mypy cannot see it
    same = prediction.labels is None and prediction.grid.length("C") == source.grid.length("C")
    return Volume(
        data,
        prediction.grid,
        source.channels if same else (),
        name=source.name,
        format=source.format,
        rgb=source.rgb and same,
        classes=names if prediction.labels is not None else {},
        colors=colors if prediction.labels is not None else {},
        metadata=source.metadata,
    )


def _meanings(prediction: Prediction) -> tuple[dict[int, str], dict[int, str]]:
    """Name and colour by label value; of numbered objects those of their classes, or none."""
    names = {c.value: c.name for c in prediction.classes}
    colors = {c.value: c.color for c in prediction.classes}
    if prediction.count is None:
        return names, colors
    if "class" not in prediction.objects or "frame" in prediction.objects:
        return {}, {}
    pairs = zip(
        prediction.objects["label"].tolist(), prediction.objects["class"].tolist(), strict=True
    )
    of_object = dict(pairs)
    return (
        {number: names[value] for number, value in of_object.items()},
        {number: colors[value] for number, value in of_object.items()},
    )


def output_path(source: Path, result: Volume, out: Path) -> Path:
    """File for the result of one input.

    `out` itself where its name has the suffix of a format; else in the folder `out` under the input's name, in the
    input's own format where that can hold the result, else ``.nii.gz`` for patients and ``.tif`` for the rest.

    Raises
    ------
    BadInputError
        The format of `out` cannot hold the result, or the input itself would be overwritten.
    """
    target = out if is_file_name(out) else out / (stem(source) + _suffix(source, result))
    if (
        target.exists()
        and source.exists()
        and target.samefile(source)
        and not _adds(result, target)
    ):
        raise BadInputError(
            "the result would overwrite its input", path=target, remedy="Choose another --out."
        )
    return target


def _adds(result: Volume, target: Path) -> bool:
    """Whether the format puts labels into the image that is there, rather than writing over it."""
    adds = getattr(format_of(target), "adds_to", None)
    return adds is not None and bool(adds(result, target))


def is_file_name(out: Path) -> bool:
    """Whether a path names a file that can be written, rather than a folder."""
    named = [entry for s, entry in _writable().items() if out.name.lower().endswith(s)]
    return any(not out.is_dir() or entry.sniff(out) for entry in named)


def _writable() -> dict[str, WritableFormat]:
    """Formats that can be written by suffix."""
    entries = (entry for _, entry in FORMATS.items() if isinstance(entry, WritableFormat))
    return {s: entry for entry in entries for s in entry.writes}


def _suffix(source: Path, result: Volume) -> str:
    family = format_of(source).suffixes
    own = sorted((s for s in family if source.name.lower().endswith(s)), key=len)[-1:]
    common = [".nii.gz", ".ome.tif"] if result.grid.world == "LPS" else [".ome.tif", ".nii.gz"]
    writable = _writable()
    for suffix in (*own, *family, *common, *writable):
        if suffix in writable and writable[suffix].check(result) is None:
            return suffix
    raise BadInputError(
        f"no format can hold this result ({result.grid.axes}, {result.dtype})", path=source
    )
