"""Scanners' own DICOM files: what our reader says against SimpleITK, nibabel and the facts that came with them."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from napari_apprentice import io

pytestmark = pytest.mark.real
SERIES = ("ct/example_ct_dicom", "dicom_mr/hippocrop_1mm", "dicom_mr/t1post_brain_6p5mm")
CODECS = ("rle", "jpeg2000", "jpegls", "jpeg_lossless")


def facts(shared_data: Path, path: str) -> dict[str, str]:
    table = shared_data / Path(path).parent / "volumes.csv"
    with table.open(encoding="utf-8", newline="") as file:
        return next(row for row in csv.DictReader(file) if row["path"] == Path(path).name)


@pytest.mark.parametrize("path", SERIES)
def test_series_lie_where_itk_puts_them(shared_data: Path, path: str) -> None:
    volume = io.open_volume(shared_data / path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(shared_data / path)))
    theirs = reader.Execute()
    np.testing.assert_array_equal(volume.numpy(), sitk.GetArrayFromImage(theirs))
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, volume.grid.shape, strict=True)]
        place = theirs.TransformIndexToPhysicalPoint(index[::-1])[::-1]
        np.testing.assert_allclose(volume.grid.to_world(index), place, atol=1e-4)


@pytest.mark.parametrize("path", SERIES)
def test_series_have_the_shape_and_gaps_of_their_facts(shared_data: Path, path: str) -> None:
    said = facts(shared_data, path)
    volume = io.open_volume(shared_data / path)
    assert "x".join(map(str, volume.grid.shape)) == said["shape"]
    gap = float(said["detail"].rsplit("slice gaps mm", 1)[1])
    assert volume.grid.spacing[0] == pytest.approx(gap, abs=1e-4)
    assert volume.metadata["warnings"] == []


@pytest.mark.parametrize("codec", CODECS)
def test_every_compression_gives_the_reference(shared_data: Path, codec: str) -> None:
    folder = shared_data / "formats" / "dicom"
    volume = io.open_volume(folder / f"series_{codec}")
    reference = nibabel.load(folder / "series_reference.nii.gz")
    ours, theirs = volume.numpy(), np.asanyarray(reference.dataobj)
    back = np.linalg.inv(reference.affine)
    for index in [(0, 0, 0), (3, 0, 0), (1, 17, 200), (2, 255, 255), (0, 128, 3)]:
        z, y, x = volume.grid.to_world(index)
        there = back @ (-x, -y, z, 1)
        np.testing.assert_allclose(there, np.round(there), atol=1e-4)
        assert theirs[tuple(np.round(there[:3]).astype(int))] == ours[index]


def test_an_enhanced_file_has_its_spacing_from_the_functional_groups(shared_data: Path) -> None:
    path = shared_data / "formats" / "dicom" / "enhanced_multiframe_siemens_xa10.dcm"
    volume = io.open_volume(path)
    theirs = sitk.ReadImage(str(path))
    assert volume.grid.axes == "ZYX"
    assert volume.grid.spacing == pytest.approx((2.4, 3.375, 3.375), abs=1e-6)
    assert (volume.numpy().min(), volume.numpy().max()) == (0, 1195)
    np.testing.assert_array_equal(volume.numpy(), sitk.GetArrayFromImage(theirs))


def test_ultrasound_is_a_colour_picture(shared_data: Path) -> None:
    volume = io.open_volume(shared_data / "formats" / "dicom" / "ultrasound_rgb.dcm")
    assert volume.rgb
    assert volume.grid.shape == (3, 240, 320)
    assert "ultrasound" in volume.metadata["burned_in"]


def test_labels_of_another_program_lie_on_the_series(shared_data: Path) -> None:
    """TotalSegmentator's labels, stored along other axes, agree with the CT they were made of."""
    volume = io.open_volume(shared_data / "ct" / "example_ct_dicom")
    labels = io.open_labels(shared_data / "ct" / "example_ct_dicom_seg_totalsegmentator.nii.gz")
    inside = np.argwhere(labels.numpy() > 0)[::5000]
    back = np.linalg.inv(volume.grid.matrix)
    places = np.c_[labels.grid.to_world(inside), np.ones(len(inside))]
    there = (places @ back.T)[:, :3]
    np.testing.assert_allclose(there, np.round(there), atol=2e-3)
    values = volume.numpy()[tuple(np.round(there).astype(int).T)]
    assert np.median(values) > -200  # organs, not air


def test_a_segmentation_of_a_brain_comes_back(shared_data: Path, tmp_path: Path) -> None:
    volume = io.open_volume(shared_data / "dicom_mr" / "t1post_brain_6p5mm")
    labels = (np.asarray(volume.data[:]) > 900).astype(np.uint8)
    io.save(io.labels_like(volume, labels, {1: "bright"}), tmp_path / "labels.dcm")
    again = io.open_labels(tmp_path / "labels.dcm")
    assert again.grid == volume.grid
    np.testing.assert_array_equal(again.numpy(), labels)
