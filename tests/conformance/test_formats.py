"""What every registered format promises, whoever wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.errors import ApprenticeError, BadInputError, FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import (
    FORMATS,
    Format,
    WritableFormat,
    describe,
    open_labels,
    open_volume,
    save,
    stem,
)

NAMES = FORMATS.names()
WRITABLE = [
    (name, suffix)
    for name, entry in FORMATS.items()
    if isinstance(entry, WritableFormat)
    for suffix in entry.writes
]


def refused(name: str, volume: Volume, path: Path) -> bool:
    """Whether the format cannot hold the volume; then saving says so and writes nothing."""
    entry = FORMATS[name]
    assert isinstance(entry, WritableFormat)
    if entry.check(volume) is None:
        return False
    with pytest.raises(BadInputError):
        save(volume, path)
    assert not path.exists()
    return True


def plane(classes: dict[int, str] | None = None) -> Volume:
    array = np.random.default_rng(0).integers(0, 3, (11, 13)).astype(np.uint8)
    array[0, -1] = 2
    return Volume(array, Grid.regular("YX", array.shape), classes=classes or {})


@pytest.mark.parametrize("name", NAMES)
def test_a_format_has_what_the_contract_asks(name: str) -> None:
    entry = FORMATS[name]
    assert isinstance(entry, Format)
    assert entry.name == name
    assert entry.title
    suffixes = {*entry.suffixes, *getattr(entry, "writes", ())}
    assert suffixes or hasattr(entry, "gathers")
    assert all(s.startswith(".") and s == s.lower() for s in suffixes)


@pytest.mark.parametrize("name", NAMES)
def test_sniffing_never_raises(name: str, tmp_path: Path) -> None:
    entry = FORMATS[name]
    (tmp_path / "empty").touch()
    (tmp_path / "junk").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "zipped").write_bytes(b"\x1f\x8b\x08" + bytes(40))
    (tmp_path / "folder").mkdir()
    for path in (*tmp_path.iterdir(), tmp_path / "none"):
        assert entry.sniff(path) is False


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"x", b"junk" * 300, bytes(2000), b"\x1f\x8b" * 200])
def test_junk_is_a_typed_error(name: str, content: bytes, tmp_path: Path) -> None:
    for suffix in FORMATS[name].suffixes:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        with pytest.raises(FormatError, match="a"):
            open_volume(path)


@pytest.mark.parametrize(("name", "suffix"), WRITABLE)
def test_a_plane_survives(name: str, suffix: str, tmp_path: Path) -> None:
    volume = plane()
    path = tmp_path / f"case{suffix}"
    if refused(name, volume, path):
        return
    save(volume, path)
    again = open_volume(path)
    np.testing.assert_array_equal(again.numpy(), volume.data)
    assert FORMATS[name].sniff(path)
    assert (again.format, again.source, again.name) == (name, str(path), "case")
    assert stem(path) == "case"
    assert describe(again)["shape"] == [11, 13]


@pytest.mark.parametrize(("name", "suffix"), WRITABLE)
def test_spacing_survives_or_is_refused(name: str, suffix: str, tmp_path: Path) -> None:
    grid = Grid.regular("ZYX", (3, 4, 5), (2.5, 0.75, 0.5), unit="um")
    array = np.arange(60, dtype=np.uint16).reshape(grid.shape)
    path = tmp_path / f"case{suffix}"
    volume = Volume(array, grid)
    if refused(name, volume, path):
        return
    save(volume, path)
    again = open_volume(path)
    assert again.grid == grid
    np.testing.assert_array_equal(again.numpy(), array)


@pytest.mark.parametrize(("name", "suffix"), WRITABLE)
def test_class_names_and_colours_survive(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"case{suffix}"
    colors = {1: "#E69F00", 2: "#0072B2"}
    labels = replace(plane({1: "one", 2: "zwei ü"}), colors=colors)
    if suffix not in FORMATS[name].suffixes:
        pytest.skip("written only")
    if refused(name, labels, path):
        return
    save(labels, path)
    again = open_labels(path)
    assert (dict(again.classes), dict(again.colors)) == ({1: "one", 2: "zwei ü"}, colors)


@pytest.mark.parametrize(("name", "suffix"), WRITABLE)
def test_numbered_objects_are_the_same_numbers(name: str, suffix: str, tmp_path: Path) -> None:
    labels = replace(plane(), data=np.where(plane().data == 2, 40_000, 7), is_labels=True)
    path = tmp_path / f"case{suffix}"
    if suffix not in FORMATS[name].suffixes:
        pytest.skip("written only")
    if refused(name, labels, path):
        return
    save(labels, path)
    again = open_labels(path)
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again.numpy(), labels.data)


@pytest.mark.parametrize(("name", "suffix"), WRITABLE)
def test_what_was_there_stays_when_writing_fails(name: str, suffix: str, tmp_path: Path) -> None:
    class Broken:
        """An array whose second half cannot be read."""

        shape, dtype, ndim = (64, 8, 8), np.dtype(np.uint8), 3

        def __getitem__(self, key: object) -> np.ndarray:
            raise FormatError("the network is gone")

        def __array__(self, *_: object, **__: object) -> np.ndarray:
            raise FormatError("the network is gone")

    path = tmp_path / f"case{suffix}"
    if refused(name, plane(), path):
        return
    save(plane(), path)
    before = open_volume(path).numpy()
    grid = Grid.regular("ZYX", Broken.shape, unit="um")
    with pytest.raises(ApprenticeError):
        save(Volume(Broken(), grid), path)
    np.testing.assert_array_equal(open_volume(path).numpy(), before)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
