"""Real files: what our readers say against what other readers said (``formats/manifest.csv``)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from napari_apprentice import io

pytestmark = pytest.mark.real


def manifest(shared_data: Path, group: str) -> list[dict[str, str]]:
    with (shared_data / "formats" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["group"] == group]


@pytest.mark.parametrize("group", ["tiff", "nifti", "nrrd", "zarr"])
def test_shape_and_range_are_those_of_the_manifest(shared_data: Path, group: str) -> None:
    rows = manifest(shared_data, group)
    assert rows
    for row in rows:
        volume = io.open_volume(shared_data / "formats" / row["path"])
        lengths = sorted(int(n) for n in row["shape"].split("x"))
        assert sorted(volume.grid.shape) == lengths, row["path"]
        array = volume.numpy()
        assert (array.min(), array.max()) == (float(row["min"]), float(row["max"])), row["path"]


@pytest.mark.parametrize(
    ("name", "axes", "spacing", "unit"),
    [
        ("cell_3channel_16bit_imagej.tif", "CYX", (0.13249, 0.13249), "um"),
        ("nuclei_stack_zyx_imagej.tif", "ZYX", (4, 0.82864, 0.82864), "um"),
        ("spots_zcyx_imagej.tif", "CZYX", (0.4, 0.094134, 0.094134), "um"),
        ("polyp_timelapse_tyx_imagej.tif", "TYX", (1, 1), "pixel"),
        ("cells_rgb.tif", "CYX", (1, 1), "pixel"),
        ("multichannel_int8.ome.tif", "CYX", (1, 1), "pixel"),
        ("nup_nuclei_2channel_label.tif", "YX", (1, 1), "pixel"),
    ],
)
def test_microscopy(
    shared_data: Path, name: str, axes: str, spacing: tuple[float, ...], unit: str
) -> None:
    path = shared_data / "formats" / "tiff" / name
    volume = io.open_volume(path)
    assert volume.grid.axes == axes
    assert volume.grid.unit == unit
    np.testing.assert_allclose(volume.grid.spacing, spacing, rtol=1e-4)
    theirs = tifffile.imread(path)
    assert volume.numpy().sum(dtype=float) == theirs.sum(dtype=float)


def test_radiology_agrees_with_nibabel(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "ct").glob("*.nii.gz"))[:3]
    paths += sorted((shared_data / "formats" / "nifti").iterdir())
    assert paths
    for path in paths:
        theirs = nibabel.load(path)
        volume = io.open_volume(path)
        np.testing.assert_array_equal(volume.numpy(), np.asanyarray(theirs.dataobj).T)
        corner = np.array(theirs.shape[:3]) - 1
        x, y, z = theirs.affine[:3, :3] @ corner + theirs.affine[:3, 3]
        np.testing.assert_allclose(volume.grid.to_world(corner[::-1]), (z, -y, -x), atol=1e-4)
        labels = np.ones(volume.grid.spatial_shape, np.uint8)
        io.save(io.labels_like(volume, labels, {1: "all"}), tmp_path / "labels.nii.gz")
        np.testing.assert_array_equal(
            nibabel.load(tmp_path / "labels.nii.gz").affine, theirs.affine
        )


def test_names_of_another_program_are_read(shared_data: Path) -> None:
    path = shared_data / "ct" / "example_ct_sm_seg_totalsegmentator.nii.gz"
    classes = io.open_labels(path).classes
    assert classes[1] == "spleen"
    assert len(classes) > 100


def test_grey_stored_as_colours_is_grey(shared_data: Path) -> None:
    folder = shared_data / "nuclei2d" / "val"
    pairs = io.pair(folder / "images", folder / "labels")
    assert len(pairs) == 79
    grey = [i for i, _ in pairs if i.name.startswith(("fluo", "brightfield"))][:5]
    assert grey
    for path in grey:
        assert io.open_volume(path).grid.axes == "YX"
    purple = io.open_volume(next(i for i, _ in pairs if i.name.startswith("purple")))
    assert purple.channels == ("red", "green", "blue")
    image, labels = pairs[0]
    assert io.open_labels(labels).grid.shape == io.open_volume(image).grid.spatial_shape


def test_nrrd_agrees_with_itk(shared_data: Path) -> None:
    folder = shared_data / "formats" / "nrrd"
    for path in sorted(folder.glob("*.nrrd")):
        theirs = SimpleITK.ReadImage(str(path))
        volume = io.open_volume(path)
        np.testing.assert_array_equal(volume.numpy(), SimpleITK.GetArrayFromImage(theirs))
        for index in ((0, 0, 0), tuple(n - 1 for n in theirs.GetSize())):
            world = theirs.TransformIndexToPhysicalPoint(index)
            np.testing.assert_allclose(volume.grid.to_world(index[::-1]), world[::-1], atol=1e-4)
    image, labels = folder / "breast_mr_image.nrrd", folder / "breast_mr_lesion_label.nrrd"
    assert io.open_labels(labels).grid == io.open_volume(image).grid.spatial


def test_an_image_converted_to_zarr_is_that_image(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "formats"
    volume = io.open_volume(folder / "zarr" / "cell_3channel_v04.ome.zarr")
    source = io.open_volume(folder / "tiff" / "cell_3channel_16bit_imagej.tif")
    assert (volume.grid.axes, volume.grid.unit, volume.grid.spacing) == ("CYX", "um", (0.1, 0.1))
    assert [level.shape for level in volume.pyramid] == [(3, 175, 175), (3, 88, 88)]
    np.testing.assert_array_equal(volume.numpy(), source.numpy())


def test_what_we_say_of_every_file_is_what_others_say(shared_data: Path) -> None:
    """`describe`, which `info` prints, against the manifest's facts."""
    for group in ("tiff", "nifti", "nrrd", "zarr"):
        for row in manifest(shared_data, group):
            facts = io.describe(io.open_volume(shared_data / "formats" / row["path"]))
            lengths = sorted(int(n) for n in row["shape"].split("x"))
            assert sorted(facts["shape"]) == lengths, row["path"]
            assert np.dtype(facts["dtype"]) == np.dtype(row["dtype"]).newbyteorder("="), row["path"]
            if group == "nifti":
                wanted = [float(n) for n in row["spacing"].split("x")[:3]]
                assert facts["spacing"] == pytest.approx(wanted[::-1], rel=1e-3), row["path"]


def facts_of(path: Path) -> dict[str, Any]:
    """What `info` prints."""
    return io.describe(io.open_volume(path))


def some(folder: Path, pattern: str, count: int = 4) -> list[Path]:
    """A few files, evenly from first to last."""
    found = sorted(folder.glob(pattern))
    assert found, (folder, pattern)
    return found[:: max(1, len(found) // count)]


def test_info_on_nifti_says_what_nibabel_says(shared_data: Path) -> None:
    paths = some(shared_data / "ct", "*.nii.gz", 99)
    paths += some(shared_data / "hippocampus3d", "imagesTr/*.nii.gz")
    paths += some(shared_data / "hippocampus3d", "labelsTr/*.nii.gz")
    for path in paths:
        facts, theirs = facts_of(path), nibabel.load(path)
        assert facts["axes"] == "ZYX", path
        assert tuple(facts["shape"]) == theirs.shape[::-1], path
        assert np.dtype(facts["dtype"]) == theirs.get_data_dtype().newbyteorder("="), path
        assert facts["spacing"] == pytest.approx(theirs.header.get_zooms()[::-1], rel=1e-5), path
        assert facts["unit"] == "mm", path
        swap = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])  # RAS x y z
        turn = np.eye(4)[[2, 1, 0, 3]]
        np.testing.assert_allclose(facts["affine"], swap @ theirs.affine @ turn, atol=1e-4)


def test_info_on_tiff_says_what_tifffile_says(shared_data: Path) -> None:
    paths = some(shared_data / "nuclei3d", "*.tif", 99)
    paths += some(shared_data / "nuclei2d", "*/labels/*.tif")
    for path in paths:
        facts = facts_of(path)
        with tifffile.TiffFile(path) as theirs:
            page, known = theirs.pages.first, theirs.imagej_metadata or {}
            assert tuple(facts["shape"]) == theirs.series[0].shape, path
            assert np.dtype(facts["dtype"]) == theirs.series[0].dtype.newbyteorder("="), path
            if known.get("unit"):
                up, right = (page.tags[f"{a}Resolution"].value for a in "YX")
                wanted = [known["spacing"], up[1] / up[0], right[1] / right[0]]
                assert facts["unit"] == "um", path
                assert facts["spacing"] == pytest.approx(wanted[-len(facts["axes"]) :]), path
            else:
                assert facts["unit"] == "pixel", path
        assert facts["axes"] == "ZYX"[-len(facts["shape"]) :], path


def test_info_on_pictures_says_what_pillow_says(shared_data: Path) -> None:
    paths = some(shared_data / "nuclei2d", "*/images/*.png", 12)
    paths += some(shared_data / "mednist", "folders/*/*", 12)
    seen = set()
    for path in paths:
        facts = facts_of(path)
        with Image.open(path) as theirs:
            pixels = np.asarray(theirs)
        grey = pixels.ndim == 2 or bool((pixels[..., :3] == pixels[..., :1]).all())
        shape = pixels.shape[:2] if grey else (3, *pixels.shape[:2])
        assert (facts["axes"], tuple(facts["shape"])) == ("YX" if grey else "CYX", shape), path
        assert facts["dtype"] == str(pixels.dtype), path
        assert (facts["unit"], facts["spacing"]) == ("pixel", [1.0, 1.0]), path
        seen.add(grey)
    assert seen == {True, False}
