"""De-identified copies: nothing of the patient is left in the bytes, and what belongs together still does."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.io._dicom_rules import Rules, profile

from ._dicom_phantom import change, image, ramp, series, write

SECRET = "Zyx9Secret"
_VALUES = {
    "AE": SECRET,
    "AS": "093Y",
    "CS": SECRET.upper(),
    "DA": "19410203",
    "DS": "987.123",
    "DT": "19410203040506",
    "FD": 987.1234,
    "FL": 987.125,
    "IS": "98712",
    "LO": SECRET,
    "LT": SECRET,
    "OB": SECRET.encode(),
    "OW": SECRET.encode(),
    "PN": f"{SECRET}^Jane",
    "SH": SECRET,
    "SL": 98712,
    "SS": 9871,
    "ST": SECRET,
    "TM": "040506.987",
    "UC": SECRET,
    "UI": "1.9.8.7.6.5.4.3.2.1",
    "UL": 98712,
    "UN": SECRET.encode(),
    "UR": f"https://{SECRET}",
    "US": 9871,
    "UT": SECRET,
}
LEFT = (SECRET.encode(), SECRET.upper().encode(), b"19410203", b"1.9.8.7.6.5.4.3.2.1", b"987.123")


def seeded() -> Dataset:
    """An image with a telling value in every element of the table, at the top and nested."""
    data = image(ramp((4, 4)))
    inner = Dataset()
    for tag in profile():
        if "x" in tag or tag[:4] in ("0000", "0002"):
            continue
        number = int(tag, 16)
        try:
            kind = dictionary_VR(number).split(" or ")[0]
        except KeyError:
            kind = "LO"
        if kind in _VALUES:
            inner.add_new(number, kind, _VALUES[kind])
            data.add_new(number, kind, _VALUES[kind])
        elif kind == "SQ":
            item = Dataset()
            item.add_new(0x00100010, "PN", f"{SECRET}^Nested")
            data.add_new(number, "SQ", Sequence([item]))
    data.SOPInstanceUID = "1.2.3.4.5.6"
    data.add_new(0x00081115, "SQ", Sequence([inner]))  # a sequence that the profile keeps
    block = data.private_block(0x0099, "MAKER", create=True)
    block.add_new(1, "LO", SECRET)
    data.add_new(0x60003000, "OW", SECRET.encode())
    data.ProtocolName = "brain"
    data.ImageType = ["ORIGINAL", "PRIMARY"]
    data.add_new(
        0x00189005, "SH", f"seq of {SECRET.lower()}"
    )  # a text that the table does not name
    return data


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("dates", ["remove", "shift"])
def test_nothing_of_the_patient_is_left(tmp_path: Path, dates: str) -> None:
    source = write(seeded(), tmp_path / "in" / "Doe_Jane.dcm")
    raw = source.read_bytes()
    assert all(part in raw for part in LEFT)
    report = io.deidentify(tmp_path / "in", tmp_path / "out", dates=dates)
    (copy,) = (tmp_path / "out").rglob("*.dcm")
    clean = copy.read_bytes()
    assert [part for part in LEFT if part.lower() in clean.lower()] == []
    data = pydicom.dcmread(copy)
    assert data.PatientIdentityRemoved == "YES"
    assert data.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert not any(element.tag.is_private for element in data.iterall())
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID != "1.2.3.4.5.6"
    np.testing.assert_array_equal(data.pixel_array, ramp((4, 4)))
    touched = {row["keyword"] for row in report.actions}
    assert {"PatientName", "InstitutionName", "StudyInstanceUID", "private or unknown"} <= touched


def test_what_belongs_together_still_does(tmp_path: Path) -> None:
    paths = series(tmp_path / "in", ramp())
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = pydicom.dcmread(paths[1]).SOPInstanceUID
    reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    change(paths[0], ReferencedImageSequence=[reference])
    before = io.open_volume(tmp_path / "in")
    io.deidentify(tmp_path / "in", tmp_path / "out")
    after = io.open_volume(tmp_path / "out")
    assert after.grid == before.grid
    np.testing.assert_array_equal(after.numpy(), before.numpy())
    copies = [pydicom.dcmread(p) for p in (tmp_path / "out").rglob("*.dcm")]
    assert len({c.SeriesInstanceUID for c in copies}) == len({c.PatientID for c in copies}) == 1
    assert len({c.SOPInstanceUID for c in copies}) == len(paths)
    referred = [
        c.ReferencedImageSequence[0].ReferencedSOPInstanceUID
        for c in copies
        if "ReferencedImageSequence" in c
    ]
    assert referred[0] in {c.SOPInstanceUID for c in copies}


def test_two_runs_agree_only_with_the_same_salt(tmp_path: Path) -> None:
    series(tmp_path / "in", ramp((1, 3, 4)))
    uids = []
    for number, salt in enumerate((b"a", b"a", b"b", None, None)):
        io.deidentify(tmp_path / "in", tmp_path / str(number), salt=salt)
        (copy,) = (tmp_path / str(number)).rglob("*.dcm")
        uids.append(pydicom.dcmread(copy).StudyInstanceUID)
    assert uids[0] == uids[1]
    assert len(set(uids)) == 4


def test_shifted_dates_keep_their_intervals(tmp_path: Path) -> None:
    series(
        tmp_path / "in",
        ramp((2, 3, 4)),
        StudyDate=["20200131", "20200302"],
        AcquisitionDateTime="20200131101500.5",
        StudyTime="101500",
        PatientBirthDate="19500101",
    )
    io.deidentify(tmp_path / "in", tmp_path / "out", dates="shift")
    copies = [pydicom.dcmread(p) for p in (tmp_path / "out").rglob("*.dcm")]
    days = sorted(date.fromisoformat(c.StudyDate) for c in copies)
    assert (days[1] - days[0]).days == 31
    assert days[0] != date(2020, 1, 31)
    assert {c.StudyTime for c in copies} == {"101500"}
    assert {c.AcquisitionDateTime for c in copies} == {f"{days[0]:%Y%m%d}101500.5"}
    assert {c.PatientBirthDate for c in copies} == {""}
    assert copies[0].LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned into its pixels"),
        ({"Modality": "US"}, "ultrasound"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "secondary capture"),
    ],
)
def test_text_in_the_pixels_stops_it_until_a_person_has_looked(
    tmp_path: Path, tags: dict[str, object], why: str
) -> None:
    write(image(ramp((4, 4))), tmp_path / "in" / "good.dcm")
    write(image(ramp((4, 4)), **tags), tmp_path / "in" / "text.dcm")
    with pytest.raises(BadInputError, match=rf"text\.dcm.*{why}.*--pixels-checked"):
        io.deidentify(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    volume = io.open_volume(tmp_path / "in" / "text.dcm")
    with pytest.raises(BadInputError, match=why):
        io.without_patient(volume)
    report = io.deidentify(tmp_path / "in", tmp_path / "out", pixels_checked=True)
    assert len(report.files) == 2
    assert io.without_patient(volume, pixels_checked=True).source is None


def test_ultrasound_that_says_no_is_taken(tmp_path: Path) -> None:
    write(image(ramp((4, 4)), Modality="US", BurnedInAnnotation="NO"), tmp_path / "in" / "a.dcm")
    assert len(io.deidentify(tmp_path / "in", tmp_path / "out").files) == 1


def test_files_that_are_no_images_are_left_out_and_reported(tmp_path: Path) -> None:
    series(tmp_path / "in", ramp((1, 3, 4)))
    (tmp_path / "in" / "letter.txt").write_text("Dear Jane Doe")
    letter = image(ramp((4, 4)), Modality="DOC", SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    del letter.Rows, letter.Columns, letter.PixelData
    write(letter, tmp_path / "in" / "letter.dcm")
    report = io.deidentify(tmp_path / "in", tmp_path / "out")
    assert len(report.files) == 1
    assert sorted(Path(s["source"]).name for s in report.skipped) == ["letter.dcm", "letter.txt"]
    assert len([p for p in (tmp_path / "out").rglob("*") if p.is_file()]) == 1
    assert not any("Doe" in str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("*"))


def test_a_destination_in_use_or_inside_the_source_is_refused(tmp_path: Path) -> None:
    series(tmp_path / "in", ramp((1, 3, 4)))
    with pytest.raises(BadInputError, match="new or empty folder"):
        io.deidentify(tmp_path / "in", tmp_path)
    with pytest.raises(BadInputError, match="among the originals"):
        io.deidentify(tmp_path / "in", tmp_path / "in" / "out")
    with pytest.raises(BadInputError, match="no such"):
        io.deidentify(tmp_path / "none", tmp_path / "out")


def test_the_report_is_plain_data(tmp_path: Path) -> None:
    series(tmp_path / "in", ramp((2, 3, 4)), BodyPartExamined="HEAD")
    report = io.deidentify(tmp_path / "in", tmp_path / "out")
    assert "face" in report.warnings[0]
    report.save(tmp_path / "report.json")
    report.save(tmp_path / "report.csv")
    assert json.loads((tmp_path / "report.json").read_text()) == report.to_dict()
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text(encoding="utf-8").splitlines()))
    name = next(row for row in rows if row["keyword"] == "PatientName")
    assert (name["tag"], name["action"], name["count"]) == ("(0010,0010)", "pseudonym", "2")


def test_a_stopped_job_leaves_nothing(tmp_path: Path) -> None:
    series(tmp_path / "in", ramp())
    job = io.deidentify_job(tmp_path / "in", tmp_path / "out")
    for _ in range(4):
        next(job)
    job.close()
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_volume_without_its_patient_keeps_only_its_voxels_and_place(tmp_path: Path) -> None:
    folder = tmp_path / "Doe_Jane"
    series(folder, ramp(), SeriesDescription="Doe")
    volume = io.without_patient(io.open_volume(folder))
    for name in ("a.nii.gz", "a.ome.tif"):
        io.save(volume, tmp_path / name)
        again = io.open_volume(tmp_path / name)
        np.testing.assert_array_equal(again.numpy(), ramp())
        import gzip

        raw = (tmp_path / name).read_bytes()
        raw = gzip.decompress(raw) if name.endswith("gz") else raw
        assert b"Doe" not in raw
        assert b"PID-0815" not in raw


def test_the_table_is_complete_and_known() -> None:
    table = profile()
    assert len(table) > 600
    assert set(table.values()) == {"D", "Z", "X", "U", "Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"}
    for tag, action in (
        ("00100010", "Z"),
        ("0020000D", "U"),
        ("00081030", "X"),
        ("00080080", "X/Z/D"),
    ):
        assert table[tag] == action
    assert Rules(b"", "remove").new_uid("1.2.3") == Rules(b"", "remove").new_uid("1.2.3")
