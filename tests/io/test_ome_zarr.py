"""OME-Zarr: what other programs write is read, what is written is what the standard says."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError, FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Display, Volume

SPACE = {"type": "space", "unit": "micrometer"}
STACK = [{"name": "z", **SPACE}, {"name": "y", **SPACE}, {"name": "x", **SPACE}]
VERSIONS = ["0.4", "0.5"]


def scale(*values: float) -> list[dict[str, Any]]:
    return [{"type": "scale", "scale": list(values)}]


def foreign(
    path: Path,
    array: np.ndarray,
    axes: Any = STACK,
    *,
    version: str = "0.4",
    transforms: list | None = None,
    own: dict | None = None,
    below: dict | None = None,
    **extra: Any,
) -> Path:
    """An image of one level, made by hand from the specification."""
    two = version != "0.5"
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if two else 3)
    made = group.create_array("0", shape=array.shape, chunks=(4,) * array.ndim, dtype=array.dtype)
    made[:] = array
    level = {"path": "0", "coordinateTransformations": transforms or scale(*(1,) * array.ndim)}
    image = {"axes": axes, "datasets": [level], **(own or {})}
    if two:
        group.attrs.update({"multiscales": [{**image, "version": version}], **extra})
    else:
        group.attrs.update({"ome": {"version": version, "multiscales": [image], **extra}})
    return path


def noise(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def metadata(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]


# -- reading -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_both_transformations_are_composed_in_order(tmp_path: Path, version: str) -> None:
    array = noise(6, 7, 8)
    level = [*scale(2, 0.5, 0.25), {"type": "translation", "translation": [10, 20, 30]}]
    image = {"coordinateTransformations": [*scale(3, 2, 2), {"type": "translation", "translation": [1, 1, 1]}]}  # fmt: skip
    path = foreign(tmp_path / "a.zarr", array, version=version, transforms=level, own=image)
    volume = io.open_volume(path)
    np.testing.assert_allclose(volume.grid.to_world((0, 0, 0)), (31, 41, 61))
    np.testing.assert_allclose(volume.grid.spacing, (6, 1, 0.5))
    assert (volume.grid.axes, volume.grid.unit) == ("ZYX", "um")
    assert volume.metadata["kind"] == f"OME-Zarr {version}"
    np.testing.assert_array_equal(volume.numpy(), array)


def test_axes_are_told_by_type_and_put_in_order(tmp_path: Path) -> None:
    axes = [
        {"name": "x", **SPACE},
        {"name": "lambda", "type": "channel"},
        {"name": "y", "type": "space", "unit": "nanometer"},
        {"name": "when", "type": "time", "unit": "millisecond"},
        {"name": "position"},
    ]
    array = noise(5, 2, 4, 3, 1)
    volume = io.open_volume(
        foreign(tmp_path / "a.zarr", array, axes, transforms=scale(0.5, 1, 250, 40, 1))
    )
    assert volume.grid.axes == "TCYX"
    assert volume.grid.unit == "um"
    np.testing.assert_allclose(volume.grid.spacing, (0.25, 0.5))
    assert volume.grid.time_step == pytest.approx(0.04)
    np.testing.assert_array_equal(volume.numpy(), array[..., 0].transpose(3, 1, 2, 0))


def test_old_versions_name_their_axes_or_have_the_usual_five(tmp_path: Path) -> None:
    named = foreign(tmp_path / "a.zarr", noise(3, 4, 5), ["c", "y", "x"], version="0.3")
    assert io.open_volume(named).grid.axes == "CYX"
    usual = foreign(tmp_path / "b.zarr", noise(1, 2, 3, 4, 5), [], version="0.1")
    assert io.open_volume(usual).grid.axes == "CZYX"


def test_channels_have_names_colours_and_windows(tmp_path: Path) -> None:
    axes = [{"name": "c", "type": "channel"}, *STACK[1:]]
    omero = {
        "channels": [
            {"label": "DAPI", "color": "0000ff", "window": {"start": 5, "end": 90, "min": 0, "max": 255}},
            {"label": "GFP", "color": "00FF00"},
        ]
    }  # fmt: skip
    volume = io.open_volume(foreign(tmp_path / "a.zarr", noise(2, 4, 5), axes, omero=omero))
    assert volume.channels == ("DAPI", "GFP")
    assert volume.display == (Display("#0000FF", (5, 90)), Display("#00FF00"))
    assert volume.select((1,)).display == (Display("#00FF00"),)


def test_several_images_open_one_by_one(tmp_path: Path) -> None:
    root = tmp_path / "converted.zarr"
    zarr.open_group(str(root), mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for name in ("10", "2"):
        foreign(root / name, noise(int(name), 4, 4))
    entry: Any = io.format_of(root)
    assert [s.key for s in entry.list_series(root)] == ["2", "10"]
    assert io.open_volume(root).grid.shape == (2, 4, 4)
    assert io.open_volume(root).metadata["series"] == ("2", "10")
    assert entry.open_series(root, "10").grid.shape == (10, 4, 4)
    assert io.open_volume(f"{root}#10").grid.shape == (10, 4, 4)
    with pytest.raises(FormatError, match="no series fits"):
        entry.open_series(root, "../x")


def test_a_plate_is_its_fields(tmp_path: Path) -> None:
    root = tmp_path / "plate.zarr"
    plate = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    zarr.open_group(str(root), mode="w", zarr_format=2).attrs["plate"] = plate
    for well in ("A/1", "B/2"):
        group = zarr.open_group(str(root / well), mode="w", zarr_format=2)
        group.attrs["well"] = {"images": [{"path": "0"}]}
        foreign(root / well / "0", noise(3, 4, 4))
    entry: Any = io.format_of(root)
    assert [s.key for s in entry.list_series(root)] == ["A-1-0", "B-2-0"]
    assert io.open_volume(root).grid.shape == (3, 4, 4)
    assert [p.name for p in io.list_images(root)] == ["plate.zarr#A-1-0", "plate.zarr#B-2-0"]
    assert io.open_volume(root, series="B-2-0").grid.shape == (3, 4, 4)


def test_sixteen_gigabytes_open_at_once(tmp_path: Path) -> None:
    shape = (2000, 2000, 2000)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=3)
    array = group.create_array("0", shape=shape, chunks=(64, 256, 256), dtype="u2")
    array[1500, :300, :300] = 7
    level = {"path": "0", "coordinateTransformations": scale(1, 1, 1)}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": STACK, "datasets": [level]}]}
    io.open_volume(tmp_path / "a.zarr")
    tracemalloc.start()
    try:
        volume = io.open_volume(tmp_path / "a.zarr")
        plane = np.asarray(volume.data[1500])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.nbytes == 16 * 10**9
    assert plane.sum() == 7 * 300 * 300
    assert peak < 200e6
    assert "2044 of 2048 chunks are not there; shown as 0" in volume.metadata["warnings"][0]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_folder_is_one_image_wherever_images_are_listed(tmp_path: Path, version: str) -> None:
    path = foreign(tmp_path / "a.zarr", noise(3, 4, 4), version=version)
    foreign(tmp_path / "b.ome.zarr", noise(3, 4, 4), version=version)
    assert io.list_images(path) == [path]
    assert io.list_images(tmp_path) == [path, tmp_path / "b.ome.zarr"]


# -- writing -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pyramid_is_made_anew_and_lies_where_the_image_lies(
    tmp_path: Path, version: str
) -> None:
    array = noise(5, 1100, 700)
    grid = Grid.regular("ZYX", array.shape, (2, 0.5, 0.5), origin=(1, 2, 3), unit="um")
    kind = {"kind": f"OME-Zarr {version}"}
    io.save(Volume(array, grid, metadata=kind), tmp_path / "a.ome.zarr")
    again = io.open_volume(tmp_path / "a.ome.zarr")
    assert again.metadata["kind"] == f"OME-Zarr {version}"
    assert [level.shape for level in again.pyramid] == [(5, 550, 350), (5, 275, 175)]
    blocks = array[:, :1100, :700].reshape(5, 275, 4, 175, 4).mean((2, 4))
    np.testing.assert_allclose(np.asarray(again.pyramid[1]), blocks, atol=1.5)
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="r")
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    found = group.attrs["multiscales"] if version == "0.4" else group.attrs["ome"]["multiscales"]
    steps = found[0]["datasets"][2]["coordinateTransformations"]
    assert steps[0] == {"type": "scale", "scale": [2, 2, 2]}
    # The middle of four voxels of half a micrometre.
    assert steps[1] == {"type": "translation", "translation": [1, 2.75, 3.75]}


def test_levels_end_where_an_axis_cannot_be_halved(tmp_path: Path) -> None:
    grid = Grid.regular("ZYX", (9, 1, 3000), (0.5, 0.1, 2), unit="um")
    io.save(Volume(noise(*grid.shape), grid), tmp_path / "a.ome.zarr")
    again = io.open_volume(tmp_path / "a.ome.zarr")
    assert again.pyramid[-1].shape[-1] <= 512


def test_values_of_labels_are_never_mixed(tmp_path: Path) -> None:
    array = np.where(noise(1201, 900) > 100, 40, 0).astype("u4")
    volume = Volume(array, Grid.regular("YX", array.shape), is_labels=True)
    io.save(volume, tmp_path / "a.ome.zarr")
    again = io.open_labels(tmp_path / "a.ome.zarr")
    assert (again.is_labels, again.dtype) == (True, np.uint8)
    assert [set(np.unique(np.asarray(level))) for level in again.pyramid] == [{0, 40}, {0, 40}]


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_go_into_the_image_they_were_drawn_on(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a.ome.zarr"
    image = foreign(path, noise(3, 20, 30), version=version, transforms=scale(2, 0.5, 0.5))
    volume = io.open_volume(image)
    labels = (volume.numpy() > 100).astype(np.uint16)
    io.save(io.labels_like(volume, labels, {1: "cell ü"}, {1: "#112233"}), path)
    io.save(io.labels_like(volume, labels, {1: "cell ü"}, {1: "#445566"}), path)
    np.testing.assert_array_equal(io.open_volume(path).numpy(), volume.numpy())
    assert io.open_volume(path).metadata["labels"] == ("labels",)
    again = io.open_labels(path)
    assert again.grid == volume.grid
    assert (again.classes, again.colors) == ({1: "cell ü"}, {1: "#445566"})
    np.testing.assert_array_equal(again.numpy(), labels)
    (part,) = io.labels_in(path)
    assert io.open_labels(part).source == str(part)
    theirs = zarr.open_group(str(path / "labels" / "labels"), mode="r")
    own = dict(theirs.attrs) if version == "0.4" else theirs.attrs["ome"]
    assert own["image-label"]["source"] == {"image": "../../"}
    assert own["image-label"]["colors"] == [{"label-value": 1, "rgba": [0x44, 0x55, 0x66, 255]}]


def test_labels_never_replace_an_image_elsewhere(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.ome.zarr", noise(3, 20, 30))
    other = Volume(np.ones((3, 20, 31), np.uint8), Grid.regular("ZYX", (3, 20, 31)), is_labels=True)
    with pytest.raises(BadInputError, match="would replace an image"):
        io.save(other, path)
    assert io.open_volume(path).grid.shape == (3, 20, 30)


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    path.mkdir()
    (path / "thesis.txt").write_text("x")
    volume = Volume(noise(4, 5), Grid.regular("YX", (4, 5)))
    with pytest.raises(BadInputError, match="something else"):
        io.save(volume, path)
    assert (path / "thesis.txt").read_text() == "x"


def test_an_oblique_grid_comes_back_and_others_see_its_spacing(tmp_path: Path) -> None:
    turn = np.array([[0, 0, -3, 5], [1, 0, 0, 6], [0, 2, 0, 7], [0, 0, 0, 1.0]])
    grid = Grid("ZYX", (3, 4, 5), Grid.freeze(turn), "mm", "LPS")
    io.save(Volume(noise(3, 4, 5), grid), tmp_path / "a.ome.zarr")
    again = io.open_volume(tmp_path / "a.ome.zarr").grid
    assert again == grid
    assert again.world == "LPS"
    level = metadata(tmp_path / "a.ome.zarr")["multiscales"][0]["datasets"][0]
    assert level["coordinateTransformations"][0]["scale"] == [1, 2, 3]


def test_a_large_volume_is_written_without_holding_it(tmp_path: Path) -> None:
    import dask.array as da

    data = da.random.default_rng(0).integers(0, 9, (200, 500, 500), chunks=(10, 500, 500), dtype="u2")  # fmt: skip
    volume = Volume(data, Grid.regular("ZYX", data.shape, (9, 1, 1), unit="um"))
    io.save(Volume(noise(4, 5), Grid.regular("YX", (4, 5))), tmp_path / "first.ome.zarr")
    tracemalloc.start()
    try:
        io.save(volume, tmp_path / "a.ome.zarr")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.nbytes == 100e6
    assert peak < 75e6


# -- bad input -----------------------------------------------------------------------------


def break_multiscales(**changes: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        attributes = json.loads((path / ".zattrs").read_text())
        attributes["multiscales"][0].update(changes)
        (path / ".zattrs").write_text(json.dumps(attributes))

    return apply


def break_array(**changes: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        header = json.loads((path / "0" / ".zarray").read_text())
        (path / "0" / ".zarray").write_text(json.dumps({**header, **changes}))

    return apply


def symlink(path: Path) -> None:
    (path / "0").rename(path.parent / "elsewhere")
    (path / "0").symlink_to(path.parent / "elsewhere")


DATASETS = "datasets"
FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "path out": (break_multiscales(datasets=[{"path": "../../x"}]), "inside the folder"),
    "absolute path": (break_multiscales(datasets=[{"path": "/etc"}]), "inside the folder"),
    "symlink out": (symlink, "inside the folder"),
    "no level": (break_multiscales(datasets=[]), "datasets"),
    "missing level": (break_multiscales(datasets=[{"path": "7"}]), "expected a Zarr array"),
    "wrong count of axes": (break_multiscales(axes=STACK[1:]), "expected 2 axes"),
    "same axis twice": (break_multiscales(axes=[STACK[1], *STACK[1:]]), "axes of t, c, z, y, x"),
    "newer": (break_multiscales(coordinateSystems=[]), "newer version"),
    "scale of two": (
        break_multiscales(coordinateTransformations=scale(1, 1)),
        "scale or translation of 3 values",
    ),
    "affine": (
        break_multiscales(coordinateTransformations=[{"type": "affine"}]),
        "scale or translation of 3 values",
    ),
    "no list": (lambda p: (p / ".zattrs").write_text('{"multiscales": 3}'), "list of multiscales"),
    "pickle": (break_array(filters=[{"id": "pickle"}]), "compression for numbers"),
    "objects": (break_array(dtype="|O", filters=[{"id": "pickle"}]), "."),
    "complex": (break_array(dtype="<c8", fill_value=[0.0, 0.0]), "whole or real numbers"),
    "huge chunk": (break_array(shape=[10**6] * 3, chunks=[10**5] * 3), "chunks that fit in memory"),
    "no length": (break_array(shape=[0, 4, 4]), "positive lengths"),
    "negative length": (break_array(shape=[-3, 4, 4]), "."),
    "header is text": (lambda p: (p / "0" / ".zarray").write_text("hello"), "."),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_folders_are_typed_errors(tmp_path: Path, fault: str) -> None:
    path = foreign(tmp_path / "a.zarr", noise(6, 7, 8))
    apply, message = FAULTS[fault]
    apply(path)
    with pytest.raises(FormatError, match=message) as caught:
        io.open_volume(path)
    assert str(path) in str(caught.value.path)
    assert caught.value.remedy


def test_attributes_that_are_no_json_are_no_image(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", noise(4, 4, 4))
    (path / ".zattrs").write_text("{" * 100_000)
    with pytest.raises(FormatError, match=r"a\.zarr"):
        io.open_volume(path)


def test_a_huge_shape_opens_without_allocating(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", noise(6, 7, 8))
    break_array(shape=[10**6] * 3)(path)
    tracemalloc.start()
    try:
        volume = io.open_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.grid.shape == (10**6,) * 3
    assert peak < 50e6
    with pytest.raises(FormatError, match="fits in memory"):
        np.asarray(volume.data[:2, 0, 0])


def test_a_scale_that_is_no_number_is_replaced_and_said(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", noise(6, 7, 8), transforms=scale(0, 2, float("nan")))
    volume = io.open_volume(path)
    assert volume.grid.spacing == (1, 2, 1)
    assert "not a finite" in volume.metadata["warnings"][0]


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", noise(6, 7, 8))
    chunk = path / "0" / "1.0.1"
    chunk.write_bytes(b"\xff" * chunk.stat().st_size)
    volume = io.open_volume(path)
    with pytest.raises(FormatError, match=r"chunk 1\.0\.1 cannot be read"):
        volume.numpy()


def test_a_missing_chunk_reads_as_nothing_and_is_said(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.zarr", noise(6, 7, 8))
    (path / "0" / "1.1.1").unlink()
    volume = io.open_volume(path)
    assert volume.metadata["warnings"] == ("1 of 8 chunks are not there; shown as 0",)
    assert not volume.numpy()[4:, 4:, 4:].any()


@pytest.mark.parametrize("version", VERSIONS)
def test_flipped_bytes_give_a_volume_or_a_typed_error(tmp_path: Path, version: str) -> None:
    path = foreign(tmp_path / "a.zarr", noise(4, 8, 8), version=version)
    files = [p for p in path.rglob("*") if p.is_file()]
    random = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        file = files[random.integers(len(files))]
        whole = file.read_bytes()
        raw = bytearray(whole)
        for at in random.integers(0, len(raw), 3):
            raw[at] = random.integers(256)
        file.write_bytes(raw)
        try:
            volume = io.open_volume(path)
            if volume.nbytes < 10**8:
                volume.numpy()
        except FormatError:
            refused += 1
        file.write_bytes(whole)
    assert refused > 0
