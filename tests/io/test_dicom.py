"""DICOM series: each slice where its file says, against SimpleITK as the independent reader."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError, FormatError, SeriesChoiceError
from napari_apprentice.io import _dicom_pixels

from ._dicom_phantom import MR, change, image, ramp, series, write


@st.composite
def turns(draw: st.DrawFn) -> np.ndarray:
    """Rotations, steep ones and exchanges of axes too."""
    vector = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 4)))
    w, x, y, z = vector / np.linalg.norm(vector) if np.linalg.norm(vector) > 0.1 else (1, 0, 0, 0)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def read_with_itk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@settings(max_examples=40, deadline=None)
@given(
    turns(),
    st.tuples(*[st.floats(0.2, 8)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
    st.tuples(*[st.integers(2, 5)] * 3),
)
def test_every_voxel_lies_where_another_reader_puts_it(
    turn: np.ndarray,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        array = ramp(shape)
        series(folder, array, turn=turn, spacing=spacing, origin=origin)
        volume, theirs = io.open_volume(folder), read_with_itk(folder)
        ours = volume.numpy()
    assert volume.grid.world == "LPS"
    np.testing.assert_allclose(volume.grid.spacing, spacing, rtol=1e-5)
    for index in np.ndindex(*shape):
        place = volume.grid.to_world(index)[::-1]
        there = theirs.TransformPhysicalPointToIndex(place)
        assert theirs[there] == ours[index] == array[index]
        exact = theirs.TransformIndexToPhysicalPoint(there)
        np.testing.assert_allclose(place, exact, atol=1e-4)


# -- values -----------------------------------------------------------------------------------


def test_each_slice_has_its_own_slope(tmp_path: Path) -> None:
    slopes = [0.5, 1.5, 2.5, 3.5, 4.5]
    series(tmp_path, ramp(), RescaleSlope=slopes, RescaleIntercept="-10")
    volume = io.open_volume(tmp_path)
    assert volume.dtype == np.float32
    expected = ramp() * np.array(slopes)[:, None, None] - 10
    np.testing.assert_allclose(volume.numpy(), expected)


def test_hounsfield_units_stay_whole_and_the_window_becomes_the_contrast(tmp_path: Path) -> None:
    array = ramp(dtype=np.uint16)
    series(
        tmp_path,
        array,
        BitsStored=12,
        RescaleSlope="1",
        RescaleIntercept="-1024",
        WindowCenter=["40"] * 5,
        WindowWidth=["400"] * 5,
    )
    volume = io.open_volume(tmp_path)
    assert volume.dtype == np.int16
    np.testing.assert_array_equal(volume.numpy(), array.astype(int) - 1024)
    assert volume.display[0].window == (-160, 240)


def test_only_the_slice_asked_for_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series(tmp_path, ramp())
    read = []
    original = _dicom_pixels.read_frame
    monkeypatch.setattr(
        _dicom_pixels, "read_frame", lambda p, i: read.append(p.path) or original(p, i)
    )
    volume = io.open_volume(tmp_path)
    assert read == []
    np.testing.assert_array_equal(np.asarray(volume.data[2]), ramp()[2])
    assert len(read) == 1


def test_inverted_grey_keeps_its_numbers_and_says_so(tmp_path: Path) -> None:
    series(tmp_path, ramp(), PhotometricInterpretation="MONOCHROME1")
    volume = io.open_volume(tmp_path)
    np.testing.assert_array_equal(volume.numpy(), ramp())
    assert volume.metadata["inverted"] is True


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    array = np.array([[0, 1], [2, 1]], np.uint8)
    data = image(array, Modality="OT", PhotometricInterpretation="PALETTE COLOR")
    for name, values in (
        ("Red", (0, 255, 7, 0)),
        ("Green", (0, 10, 8, 0)),
        ("Blue", (0, 20, 9, 0)),
    ):
        setattr(data, f"{name}PaletteColorLookupTableDescriptor", [4, 0, 8])
        setattr(data, f"{name}PaletteColorLookupTableData", bytes(values))
    volume = io.open_volume(write(data, tmp_path / "a.dcm"))
    assert volume.rgb
    assert volume.grid.axes == "CYX"
    assert volume.numpy()[:, 0, 1].tolist() == [255, 10, 20]


def test_a_film_in_colour_has_time_and_the_size_of_its_pixels(tmp_path: Path) -> None:
    film = ramp((4, 5, 6, 3), np.uint8)
    planes = np.moveaxis(film, -1, 1)
    data = image(planes.copy(), Modality="US", NumberOfFrames=4, FrameTime="40")
    data.Rows, data.Columns, data.SamplesPerPixel = 5, 6, 3
    data.PhotometricInterpretation, data.PlanarConfiguration = "RGB", 1
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03
    data.SequenceOfUltrasoundRegions = [region]
    volume = io.open_volume(write(data, tmp_path / "a.dcm"))
    assert volume.grid.axes == "TCYX"
    assert volume.grid.spacing == pytest.approx((0.3, 0.2))
    assert (volume.grid.unit, volume.grid.time_step) == ("mm", 0.04)
    np.testing.assert_array_equal(volume.numpy(), np.moveaxis(film, -1, 1))


@pytest.mark.parametrize(
    ("syntax", "codec", "exact"),
    [("90", "jpeg2k", True), ("80", "jpegls", True), ("50", "jpeg8", False), ("70", "ljpeg", True)],
)
def test_compressed_slices(tmp_path: Path, syntax: str, codec: str, exact: bool) -> None:
    import imagecodecs

    array = np.clip(np.add.outer(np.arange(32), np.arange(24)) * 4, 0, 255).astype(np.uint8)
    options = {"level": 0} if codec == "jpeg2k" else {"level": 98} if codec == "jpeg8" else {}
    encoded = getattr(imagecodecs, f"{codec}_encode")(array, **options)
    data = image(array)
    data.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{syntax}"
    data.PixelData = encapsulate([encoded])
    data["PixelData"].VR = "OB"
    volume = io.open_volume(write(data, tmp_path / "a.dcm"))
    difference = np.abs(volume.numpy().astype(int) - array)
    assert difference.max() <= (0 if exact else 6)


# -- slices that are not as they should be ------------------------------------------------------


def test_a_missing_slice_is_shown_empty_at_its_place(tmp_path: Path) -> None:
    series(tmp_path, ramp() + 1, skip=(2,), RescaleSlope="1", RescaleIntercept="-100")
    volume = io.open_volume(tmp_path)
    assert volume.grid.shape == (5, 6, 7)
    assert (volume.numpy()[2] == -100).all()
    np.testing.assert_array_equal(volume.numpy()[3], ramp()[3] - 99)
    assert "1 of 5 slices are missing (2)" in volume.metadata["warnings"][0]


def test_uneven_slices_are_refused(tmp_path: Path) -> None:
    paths = series(tmp_path, ramp())
    change(paths[2], ImagePositionPatient=[0, 0, 4.7])
    with pytest.raises(FormatError, match=r"evenly spaced slices, found gaps from 1\.3 to 2\.7 mm"):
        io.open_volume(tmp_path)


def test_two_slices_at_one_place_are_refused_and_named(tmp_path: Path) -> None:
    paths = series(tmp_path, ramp())
    data = pydicom.dcmread(paths[2])
    data.SOPInstanceUID = generate_uid()
    write(data, tmp_path / "again")
    with pytest.raises(FormatError, match=r"expected one image at each place.*again"):
        io.open_volume(tmp_path)


def test_a_copy_of_a_file_is_left_out(tmp_path: Path) -> None:
    paths = series(tmp_path, ramp())
    shutil.copy(paths[1], tmp_path / "zz-copy")
    volume = io.open_volume(tmp_path)
    np.testing.assert_array_equal(volume.numpy(), ramp())
    assert "zz-copy is a copy" in volume.metadata["warnings"][0]


def test_a_gantry_tilt_becomes_a_sheared_grid_and_is_said(tmp_path: Path) -> None:
    series(tmp_path, ramp(), shift=(0, 0.5, 0))
    volume = io.open_volume(tmp_path)
    np.testing.assert_allclose(volume.grid.to_world((4, 0, 0)), (8, 2, 0), atol=1e-6)
    assert "gantry tilt of 14.0°" in volume.metadata["warnings"][0]


def test_time_points_become_an_axis(tmp_path: Path) -> None:
    for t in range(3):
        series(
            tmp_path / str(t),
            ramp() + 1000 * t,
            TemporalPositionIdentifier=t + 1,
            TemporalResolution="1500",
        )
    volume = io.open_volume(tmp_path)
    assert volume.grid.axes == "TZYX"
    assert volume.grid.time_step == 1.5
    np.testing.assert_array_equal(volume.numpy()[2], ramp() + 2000)
    assert "told apart by their temporal position" in volume.metadata["warnings"][0]


def test_b_values_become_an_axis_and_echoes_become_series(tmp_path: Path) -> None:
    for b in (500.0, 0.0):
        series(tmp_path / f"b{b}", ramp() + int(b), DiffusionBValue=b)
    volume = io.open_volume(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[:, 0, 0, 0], [0, 500])
    assert "b-value (0, 500)" in volume.metadata["warnings"][0]
    for path in tmp_path.rglob("IM*"):
        change(path, EchoTime=12 if "b500" in str(path) else 80, DiffusionBValue=None)
    assert sorted(one.title.split("TE ")[1] for one in io.list_series(tmp_path)) == [
        "12 ms",
        "80 ms",
    ]


def test_one_slice_is_a_volume_of_one(tmp_path: Path) -> None:
    (path,) = series(tmp_path, ramp((1, 4, 5)), SliceThickness="3")
    volume = io.open_volume(path)
    assert volume.grid.shape == (1, 4, 5)
    assert volume.grid.spacing == pytest.approx((3, 0.75, 0.5))


# -- folders -------------------------------------------------------------------------------------


def two_series(folder: Path) -> None:
    series(folder, ramp(), SeriesDescription="thin")
    more = {"SeriesInstanceUID": "1.2.9.9001", "SeriesNumber": 8, "SeriesDescription": "T1/thick"}
    series(folder, ramp((3, 4, 4)), name="b{}", SOPClassUID=MR, Modality="MR", **more)


def test_several_series_ask_and_can_be_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "study.1"
    two_series(folder)
    with pytest.raises(SeriesChoiceError, match=r"found 2 series: 3: thin .*8: T1/thick") as caught:
        io.open_volume(folder)
    assert [one.key for one in caught.value.series] == ["3", "8"]
    for chosen in ("8", "1.2.9.9001", "9001", "t1/THICK"):
        assert io.open_volume(folder, series=chosen).grid.shape == (3, 4, 4)
    volume = io.open_volume(f"{folder}#8")
    assert (volume.name, volume.source) == ("T1/thick", f"{folder}#8")
    assert [p.name for p in io.list_images(folder)] == ["study.1#3", "study.1#8"]
    assert io.stem(f"{folder}#8") == "study.1-8"
    assert io.describe(volume)["shape"] == [3, 4, 4]
    with pytest.raises(SeriesChoiceError, match=r"no series fits '5'"):
        io.open_volume(folder, series="5")


def test_files_given_together_are_one_volume_per_series(tmp_path: Path) -> None:
    two_series(tmp_path)
    volumes = io.open_volumes(sorted(tmp_path.iterdir()))
    assert sorted(v.grid.shape for v in volumes) == [(3, 4, 4), (5, 6, 7)]
    assert len({v.source for v in volumes}) == 2


def test_a_folder_of_folders_is_a_list_of_images(tmp_path: Path) -> None:
    for name in ("anna", "berta"):
        series(tmp_path / name / "raw", ramp())
    assert [p.name for p in io.list_images(tmp_path)] == ["anna", "berta"]


def test_a_scout_in_another_direction_is_a_series_of_its_own(tmp_path: Path) -> None:
    series(tmp_path, ramp())
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    series(tmp_path, ramp((1, 6, 7)), turn=sagittal, name="scout{}")
    assert sorted(one.shape[0] for one in io.list_series(tmp_path)) == [1, 5]


def test_pictures_beside_one_dicom_file_are_no_series(tmp_path: Path) -> None:
    series(tmp_path, ramp((1, 4, 4)), name="a{}.dcm")
    for i in range(3):
        (tmp_path / f"{i}.txt").write_text("notes")
    assert not io.FORMATS["dicom"].sniff(tmp_path)
    assert [p.name for p in io.list_images(tmp_path)] == ["a1.dcm"]


def test_a_series_of_a_format_with_one_image_is_refused(tmp_path: Path) -> None:
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

    path = tmp_path / "a.nii.gz"
    io.save(Volume(ramp(), Grid.regular("ZYX", (5, 6, 7), unit="mm")), path)
    with pytest.raises(BadInputError, match="holds one image"):
        io.open_volume(path, series="3")
    assert io.list_series(path) == []
