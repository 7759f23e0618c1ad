"""What napari.yaml offers beside the docks: readers, writers and samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ApprenticeError, SeriesChoiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_apprentice.core.volume import Volume

__all__ = [
    "get_reader",
    "read",
    "sample_brain",
    "sample_cells",
    "sample_noisy_nuclei",
    "sample_nuclei",
    "write_image",
    "write_labels",
]

_LayerTuples = list[tuple[Any, dict[str, Any], str]]


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], _LayerTuples] | None:
    """Return a reader for a file or several, or None where one of them is none of ours; never raises."""
    from napari_apprentice.io import format_of

    paths = [path] if isinstance(path, str) else list(path)
    try:
        for one in paths:
            format_of(Path(one))
    except (ApprenticeError, OSError, ValueError, TypeError):
        return None
    return _read_or_ask if paths else None


def _read_or_ask(path: str | list[str]) -> list[Any]:
    """Open files, or show what a folder of several series holds: napari takes ``[(None,)]`` for "nothing yet"."""
    try:
        return read(path)
    except SeriesChoiceError:
        from .series import show_series

        if isinstance(path, list) and len(path) > 1:
            raise
        if not show_series(path if isinstance(path, str) else path[0]):
            raise
        return [(None,)]


def read(path: str | list[str]) -> _LayerTuples:
    """Open files as layers with their axes, spacing and unit.

    Raises
    ------
    FormatError
        A damaged file: says which, what was expected, and what to do.
    """
    from napari_apprentice.io import open_volumes

    paths = [path] if isinstance(path, str) else path
    return [layer for volume in open_volumes(paths) for layer in _layers(volume)]


def _layers(volume: Volume) -> _LayerTuples:
    """Layers of one file: the image, and the labels that lie in it on the same grid."""
    from napari_apprentice.io import labels_in, open_labels

    from ._labels import labels_tuple
    from .layers import layer_tuples

    path = volume.source or ""
    if volume.is_labels and "C" not in volume.grid.axes:
        return [labels_tuple(volume)]
    found = [open_labels(part) for part in (labels_in(path) if path else ())]
    return layer_tuples(volume) + [
        labels_tuple(labels, path) for labels in found if labels.grid == volume.grid.spatial
    ]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a labels layer in the format of the suffix, on its own grid, with its class names.

    Returns
    -------
    list of str
        The file that was written; napari tells the user.
    """
    from napari_apprentice.io import save

    from ._labels import labels_of

    save(labels_of(data, attributes), Path(path))
    return [path]


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save an image layer in the format of the suffix, on its own grid.

    Returns
    -------
    list of str
        The file that was written.
    """
    from napari_apprentice.io import save

    from .layers import as_stored, volume_from

    save(as_stored(volume_from(data, attributes)), Path(path))
    return [path]


def sample_brain() -> _LayerTuples:
    """Open the synthetic brain MRI."""
    return _sample("brain-mri")


def sample_nuclei() -> _LayerTuples:
    """Open the synthetic nuclei."""
    return _sample("nuclei")


def sample_nuclei_volume() -> _LayerTuples:
    """Open the synthetic volume of nuclei."""
    return _sample("nuclei-volume")


def sample_noisy_nuclei() -> _LayerTuples:
    """Open synthetic nuclei in very little light, and what they are without noise, hidden."""
    return _sample("nuclei-noisy")


def sample_cells() -> _LayerTuples:
    """Open the synthetic stained cells as a stack, one on each slice."""
    return _sample("cells")


def _sample(key: str) -> _LayerTuples:
    from ._samples import sample_layers

    return sample_layers(key)
