"""Labels as DICOM-SEG: highdicom and pydicom, as independent readers, put them where we do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError, FormatError
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.files import read_items
from napari_apprentice.io import FORMATS

from ._dicom_phantom import image, ramp, series, write

NAMES = {1: "liver", 2: "tumour 腫瘍"}
COLORS = {1: "#E69F00", 2: "#0072B2"}
OBLIQUE = np.linalg.qr(np.array([[1, 0.3, 0.1], [-0.2, 1, 0.4], [0.1, -0.3, 1]]))[0]


@pytest.fixture
def scan(tmp_path: Path) -> Volume:
    """An oblique series whose slices are 5 rows and 7 columns: frames do not start at a byte."""
    turn = OBLIQUE * np.sign(np.linalg.det(OBLIQUE))
    series(tmp_path / "ct", ramp((6, 5, 7)), turn=turn, origin=(-80, 30, 412.5))
    return io.open_volume(tmp_path / "ct")


def drawn(volume: Volume, values: tuple[int, int] = (1, 2)) -> np.ndarray:
    labels = np.zeros(volume.grid.spatial_shape, np.uint8)
    labels[2:4, 1:3, 1:5] = values[0]
    labels[3, 4, 6] = values[1]
    return labels


def test_labels_come_back_on_the_grid_of_their_series(scan: Volume, tmp_path: Path) -> None:
    labels = drawn(scan)
    path = tmp_path / "labels.dcm"
    io.save(io.labels_like(scan, labels, NAMES, COLORS), path)
    again = io.open_labels(path)
    assert again.grid == scan.grid.spatial
    np.testing.assert_array_equal(again.numpy(), labels)
    assert (dict(again.classes), dict(again.colors)) == (NAMES, COLORS)
    assert again.is_labels
    assert again.metadata["refers_to"] == "1.2.3.4.5"


def test_highdicom_puts_every_label_at_the_same_place(scan: Volume, tmp_path: Path) -> None:
    import highdicom

    labels = drawn(scan)
    path = tmp_path / "labels.dcm"
    io.save(io.labels_like(scan, labels, NAMES), path)
    theirs = highdicom.seg.segread(path).get_volume(combine_segments=True)
    assert theirs.shape == scan.grid.shape
    for index in np.ndindex(*scan.grid.shape):
        place = scan.grid.to_world(index)[::-1]
        there = theirs.map_reference_to_indices(place[None])[0]
        np.testing.assert_allclose(there, np.round(there), atol=1e-4)
        assert theirs.array[tuple(np.round(there).astype(int))] == labels[index]


def test_segments_refer_to_the_images_they_were_drawn_on(scan: Volume, tmp_path: Path) -> None:
    path = tmp_path / "labels.dcm"
    io.save(io.labels_like(scan, drawn(scan), NAMES, COLORS), path)
    data = pydicom.dcmread(path)
    sources = {pydicom.dcmread(p).SOPInstanceUID for p in (tmp_path / "ct").iterdir()}
    referred = data.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {one.ReferencedSOPInstanceUID for one in referred} == sources
    assert data.StudyInstanceUID == "1.2.3.4"
    assert data.FrameOfReferenceUID == "1.2.3.9"
    assert data.SeriesInstanceUID != "1.2.3.4.5"
    assert [(s.SegmentNumber, s.SegmentLabel) for s in data.SegmentSequence] == list(NAMES.items())


def test_values_with_gaps_are_kept(scan: Volume, tmp_path: Path) -> None:
    labels = drawn(scan, (7, 40))
    path = tmp_path / "labels.dcm"
    io.save(io.labels_like(scan, labels, {7: "a", 40: "b", 90: "not there"}), path)
    again = io.open_labels(path)
    np.testing.assert_array_equal(again.numpy(), labels)
    assert dict(again.classes) == {7: "a", 40: "b", 90: "not there"}
    numbers = [s.SegmentNumber for s in pydicom.dcmread(path).SegmentSequence]
    assert numbers == [1, 2, 3]


def test_no_label_at_all_keeps_the_extent(scan: Volume, tmp_path: Path) -> None:
    path = tmp_path / "labels.dcm"
    io.save(io.labels_like(scan, np.zeros(scan.grid.shape, np.uint8), {1: "nothing"}), path)
    again = io.open_labels(path)
    assert again.grid == scan.grid
    assert not again.numpy().any()


def test_a_segmentation_beside_its_series_is_no_second_image(scan: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "ct"
    io.save(io.labels_like(scan, drawn(scan), NAMES), folder / "labels.dcm")
    assert io.open_volume(folder).grid == scan.grid
    assert io.list_images(folder) == [folder]
    assert [one.modality for one in io.list_series(folder)] == ["CT", "SEG"]
    key = io.list_series(folder)[1].key
    np.testing.assert_array_equal(io.open_labels(folder, series=key).numpy(), drawn(scan))


def test_labels_where_a_slice_is_missing_are_refused(tmp_path: Path) -> None:
    series(tmp_path / "ct", ramp((6, 5, 7)), skip=(3,))
    volume = io.open_volume(tmp_path / "ct")
    path = tmp_path / "labels.dcm"
    with pytest.raises(FormatError, match="labels on slice 3, which is missing"):
        io.save(io.labels_like(volume, drawn(volume), NAMES), path)
    assert not path.exists()
    labels = drawn(volume)
    labels[3] = 0
    io.save(io.labels_like(volume, labels, NAMES), path)
    np.testing.assert_array_equal(io.open_labels(path).numpy(), labels)


def test_what_cannot_be_written_says_why(scan: Volume, tmp_path: Path) -> None:
    check = FORMATS["dicom"].check
    labels = io.labels_like(scan, drawn(scan), NAMES)
    assert check(labels) is None
    assert "images are not written as DICOM" in check(scan)
    assert "not read from one" in check(replace(labels, metadata={}))
    grid = scan.grid.crop((0, 0, 0), (5, 5, 7))
    assert "moved or cropped" in check(replace(labels, data=labels.data[:5], grid=grid))
    lacking = {**labels.metadata["dicom"], "lacks": "StudyInstanceUID"}
    assert "no StudyInstanceUID" in check(replace(labels, metadata={"dicom": lacking}))
    (tmp_path / "ct" / "IM0006").rename(tmp_path / "elsewhere")
    assert "no longer at" in check(labels)
    with pytest.raises(BadInputError, match="no longer at"):
        io.save(labels, tmp_path / "labels.dcm")


def test_an_image_without_a_place_takes_no_segmentation(tmp_path: Path) -> None:
    volume = io.open_volume(write(image(ramp((5, 7))), tmp_path / "a.dcm"))
    labels = io.labels_like(volume, np.ones((5, 7), np.uint8), {1: "all"})
    assert "axes ZYX" in (FORMATS["dicom"].check(labels) or "")


def test_predictions_on_dicom_are_written_as_dicom_seg(scan: Volume, tmp_path: Path) -> None:
    from napari_apprentice.engine.files import output_path

    labels = io.labels_like(scan, drawn(scan), NAMES)
    assert output_path(tmp_path / "ct", labels, tmp_path / "out").name == "ct.dcm"
    moved = replace(labels, metadata={})
    assert output_path(tmp_path / "ct", moved, tmp_path / "out").name == "ct.nii.gz"


# -- segmentations of other programs --------------------------------------------------------------


def foreign(scan: Volume, array: np.ndarray, kind: str, path: Path) -> Path:
    """A segmentation as highdicom writes it by itself: without the slices that hold nothing."""
    import highdicom
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    sources = [pydicom.dcmread(file) for file, _ in scan.metadata["dicom"]["frames"]]
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            setattr(source, keyword, None)
        source.AccessionNumber = source.ReferringPhysicianName = None
    tissue = codes.SCT.Tissue
    data = Segmentation(
        sources,
        array,
        kind,
        [SegmentDescription(i, n, tissue, tissue, "MANUAL") for i, n in ((1, "a"), (2, "b"))],
        series_instance_uid=highdicom.UID(),
        series_number=9,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="someone",
        manufacturer_model_name="else",
        software_versions="1",
        device_serial_number="1",
    )
    data.save_as(path)
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_slices_left_out_are_filled_up_from_the_image(
    scan: Volume, tmp_path: Path, kind: str
) -> None:
    path = foreign(scan, drawn(scan), kind, tmp_path / "theirs.dcm")
    labels = io.open_labels(path)
    assert labels.grid.shape == (2, 5, 7)
    np.testing.assert_allclose(labels.grid.to_world((0, 0, 0)), scan.grid.to_world((2, 0, 0)))
    assert dict(labels.classes) == {1: "a", 2: "b"}
    whole = io.labels_onto(labels, scan.grid)
    assert whole.grid == scan.grid
    np.testing.assert_array_equal(whole.numpy(), drawn(scan))
    (item,) = read_items(tmp_path / "ct", path)
    np.testing.assert_array_equal(item.annotation.labels, drawn(scan))
    moved = io.labels_onto(labels, scan.grid.crop((1, 0, 0), (3, 5, 7)))
    assert moved is labels


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_overlapping_segments_are_said(scan: Volume, tmp_path: Path) -> None:
    array = np.zeros((*scan.grid.shape, 2), np.uint8)
    array[2, 1:3, 1:4, 0] = 1
    array[2, 1, 1, 1] = 1
    labels = io.open_labels(foreign(scan, array, "BINARY", tmp_path / "theirs.dcm"))
    assert labels.numpy()[0, 1, 1] == 2
    assert labels.metadata["warnings"][0].startswith("1 voxels belong to several segments")
