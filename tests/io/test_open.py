"""Names, folders, pairs and what `describe` says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError, MissingDependencyError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io._faults import reading

PLANE = Volume(np.arange(12, dtype=np.uint8).reshape(3, 4), Grid.regular("YX", (3, 4)))


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        io.save(PLANE, folder / name)
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("case.nii.gz", "case"),
        ("case.1.NII.GZ", "case.1"),
        ("a.b.ome.tif", "a.b"),
        ("cell.ome.tiff", "cell"),
        ("cell.TIF", "cell"),
        ("ü 'x' 50%.png", "ü 'x' 50%"),
        ("notes.txt", "notes"),
        ("noext", "noext"),
        (".tif", ".tif"),
    ],
)
def test_stem(name: str, expected: str) -> None:
    assert io.stem(Path("some") / name) == expected


def test_a_folder_stands_for_its_images(tmp_path: Path) -> None:
    folder = make(tmp_path / "in", "b.tif", "a.nii.gz", "c.png", ".hidden.tif")
    (folder / "notes.txt").write_text("x")
    (folder / "deeper").mkdir()
    assert [p.name for p in io.list_images(folder)] == ["a.nii.gz", "b.tif", "c.png"]
    assert io.list_images(folder / "b.tif") == [folder / "b.tif"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no image"):
        io.list_images(tmp_path)
    with pytest.raises(BadInputError, match="no such"):
        io.list_images(tmp_path / "none")


def test_pairs_by_name(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.png", "b.tif")
    labels = make(tmp_path / "labels", "b.nii.gz", "a.tif")
    names = [(i.name, j.name) for i, j in io.pair(images, labels)]
    assert names == [("a.png", "a.tif"), ("b.tif", "b.nii.gz")]


def test_pairs_by_name_without_their_roles(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a_image.tif", "b_0000.tif")
    labels = make(tmp_path / "labels", "a_label.tif", "b.tif")
    assert [j.name for _, j in io.pair(images, labels)] == ["a_label.tif", "b.tif"]


def test_two_files_pair_whatever_their_names(tmp_path: Path) -> None:
    folder = make(tmp_path / "x", "a.tif", "other.tif")
    assert io.pair(folder / "a.tif", folder / "other.tif") == [
        (folder / "a.tif", folder / "other.tif")
    ]


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif", "b.tif")
    labels = make(tmp_path / "labels", "b.tif", "z.tif")
    with pytest.raises(BadInputError, match=r"images: no partner in .*labels for a\."):
        io.pair(images, labels)
    with pytest.raises(BadInputError, match=r"labels: no partner in .*b\.tif for z\."):
        io.pair(images / "b.tif", labels)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.tif", "a.png")
    labels = make(tmp_path / "labels", "a.tif")
    with pytest.raises(BadInputError, match="two files are named a"):
        io.pair(images, labels)


def test_describe_is_json(tmp_path: Path) -> None:
    grid = Grid.regular("CZYX", (2, 3, 4, 5), (2, 0.5, 0.25), unit="um")
    volume = Volume(np.zeros(grid.shape, np.uint16), grid, channels=("DAPI", "GFP"))
    io.save(volume, tmp_path / "a.ome.tif")
    facts = json.loads(json.dumps(io.describe(io.open_volume(tmp_path / "a.ome.tif"))))
    assert facts["path"] == str(tmp_path / "a.ome.tif")
    assert facts["format"] == "tiff"
    assert facts["shape"] == [2, 3, 4, 5]
    assert facts["axes"] == "CZYX"
    assert facts["spacing"] == [2, 0.5, 0.25]
    assert facts["unit"] == "um"
    assert facts["affine"] == [[2, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.25, 0], [0, 0, 0, 1]]
    assert facts["channels"] == ["DAPI", "GFP"]
    assert facts["dtype"] == "uint16"
    assert facts["world"] == "stage"
    assert facts["orientation"] is None


def test_labels_stored_as_real_numbers(tmp_path: Path) -> None:
    grid = Grid.regular("ZYX", (2, 3, 4), unit="mm")
    io.save(Volume(np.full(grid.shape, 3.0, np.float32), grid), tmp_path / "a.nii")
    assert io.open_labels(tmp_path / "a.nii").dtype == np.uint8
    io.save(Volume(np.full(grid.shape, 0.5, np.float32), grid), tmp_path / "b.nii")
    with pytest.raises(BadInputError, match="fractions"):
        io.open_labels(tmp_path / "b.nii")


@pytest.mark.parametrize("axes", ["CYX", "TYX"])
def test_labels_have_one_value_per_voxel(tmp_path: Path, axes: str) -> None:
    grid = Grid.regular(axes, (2, 3, 4))
    io.save(Volume(np.zeros(grid.shape, np.uint8), grid), tmp_path / "a.tif")
    with pytest.raises(BadInputError, match="axes YX or ZYX"):
        io.open_labels(tmp_path / "a.tif")


def test_an_unknown_suffix_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot write.*Known: .*\.tif"):
        io.save(PLANE, tmp_path / "a.xyz")


def test_importing_io_is_cheap() -> None:
    heavy = "{'dask', 'tifffile', 'zarr', 'nibabel', 'PIL', 'torch', 'monai', 'napari', 'scipy'}"
    code = f"import sys, napari_apprentice.io as io; list(io.FORMATS.items()); print({heavy} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


def test_a_missing_library_keeps_its_kind_and_names_the_file() -> None:
    with (
        pytest.raises(MissingDependencyError, match=r"^scan\.x: needs it") as caught,
        reading("scan.x", "X"),
    ):
        raise MissingDependencyError("needs it", remedy="Install it.")
    assert caught.value.remedy == "Install it."
