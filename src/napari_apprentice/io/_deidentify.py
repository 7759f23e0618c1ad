"""DICOM files without the patient: copies after the Basic Profile of PS3.15 Annex E, and a report of what was done."""

from __future__ import annotations

import csv
import json
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ApprenticeError, BadInputError, FormatError
from napari_apprentice.core.jobs import Progress, run_to_end

from ._atomic import writing, writing_folder
from ._dicom_burned import burned_in
from ._dicom_rules import Dates, Rules
from ._dicom_sniff import dicom_files, is_dicom
from ._dicom_values import quiet, text, whole
from ._faults import reading

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from pydicom.dataset import Dataset

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.volume import Volume

__all__ = ["DeidentifyReport", "deidentify", "deidentify_job", "without_patient"]

_PROFILE = ("113100", "Basic Application Confidentiality Profile")
_SHIFTED = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
_METHOD = "napari-apprentice, DICOM PS3.15 2026c Basic Profile"
_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_HEADS = ("HEAD", "BRAIN", "FACE", "SKULL", "NECK", "ORBIT", "SINUS", "JAW")


@dataclass(frozen=True)
class DeidentifyReport:
    """What was done, as plain data.

    Parameters
    ----------
    method, dates
        Profile, and what became of dates.
    files
        ``{source, output}`` of every file written. The sources may name the patient: keep the report with the originals.
    skipped
        ``{source, reason}`` of every file left out.
    actions
        ``{tag, keyword, action, count}`` of every element touched, nested ones included.
    warnings
        What a person still has to look at.
    """

    method: str
    dates: str
    files: tuple[dict[str, str], ...]
    skipped: tuple[dict[str, str], ...]
    actions: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "method": self.method,
            "dates": self.dates,
            "files": list(self.files),
            "skipped": list(self.skipped),
            "actions": list(self.actions),
            "warnings": list(self.warnings),
        }

    def save(self, path: os.PathLike[str] | str) -> None:
        """Write as CSV (the actions) where the name ends in ``.csv``, else as JSON (everything)."""
        target = Path(path)
        with (
            writing(target) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            if target.suffix.lower() != ".csv":
                json.dump(self.to_dict(), file, indent=2)
                return
            table = csv.DictWriter(file, ["tag", "keyword", "action", "count"])
            table.writeheader()
            table.writerows(self.actions)


def deidentify(
    source: os.PathLike[str] | str,
    destination: os.PathLike[str] | str,
    *,
    dates: Dates = "remove",
    pixels_checked: bool = False,
    salt: bytes | None = None,
    listen: Callable[[Event], None] | None = None,
) -> DeidentifyReport:
    """Write copies of DICOM files without the patient; see `deidentify_job`."""
    job = deidentify_job(source, destination, dates=dates, pixels_checked=pixels_checked, salt=salt)
    return run_to_end(job, listen)


def deidentify_job(
    source: os.PathLike[str] | str,
    destination: os.PathLike[str] | str,
    *,
    dates: Dates = "remove",
    pixels_checked: bool = False,
    salt: bytes | None = None,
) -> Job[DeidentifyReport]:
    """Write copies of DICOM files without the patient, all of them or none.

    The Basic Application Level Confidentiality Profile of PS3.15 Annex E: names, numbers, dates, free text and private
    elements go, nested ones too; UIDs are replaced by the same new ones everywhere. Pixels stay as they are.

    Parameters
    ----------
    source
        File or folder; folders below it belong to it.
    destination
        Folder that does not exist yet or is empty; files get new names: ``001-CT/00001.dcm``.
    dates
        ``"remove"``, or ``"shift"`` by a number of whole days that is the same for all files of a patient.
    pixels_checked
        A person has looked and says that no text in the pixels names the patient.
    salt
        Secret from which new UIDs, pseudonyms and shifts follow; give the same one to let two runs agree. Random by default,
        and never written.

    Raises
    ------
    BadInputError
        Nothing to de-identify, a destination in use, or text in the pixels that cannot be excluded.
    """
    origin, target = Path(source), Path(destination)
    _check_target(origin, target)
    plan, skipped = yield from _plan(origin, pixels_checked)
    if not plan:
        reason = skipped[0]["reason"] if skipped else "no DICOM file"
        raise BadInputError(
            f"expected DICOM images, found none ({reason})", path=origin, remedy="Check the path."
        )
    rules = Rules(salt or secrets.token_bytes(32), dates)
    done: list[dict[str, str]] = []
    heads = 0
    with writing_folder(target) as folder:
        for number, (path, name) in enumerate(plan):
            yield Progress("de-identifying", number, len(plan), "file")
            try:
                heads += _copy(path, folder / name, rules, pixels_checked=pixels_checked)
            except FormatError as error:
                (folder / name).unlink(missing_ok=True)
                skipped.append({"source": str(path), "reason": error.message})
                continue
            done.append({"source": str(path), "output": str(target / name)})
        if not done:
            raise FormatError(
                f"no file could be de-identified: {skipped[0]['reason']}",
                path=origin,
                remedy="Export the images again from the scanner or the PACS.",
            )
    return _report(rules, dates, done, skipped, heads)


def _check_target(origin: Path, target: Path) -> None:
    if not origin.exists():
        raise BadInputError("no such file or folder", path=origin, remedy="Check the path.")
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise BadInputError(
            "expected a new or empty folder for the copies, found one in use",
            path=target,
            remedy="Choose another folder.",
        )
    if origin.is_dir() and target.resolve().is_relative_to(origin.resolve()):
        raise BadInputError(
            "the copies would lie among the originals",
            path=target,
            remedy="Choose a folder outside the source.",
        )


def _plan(
    origin: Path, pixels_checked: bool
) -> Job[tuple[list[tuple[Path, str]], list[dict[str, str]]]]:
    """Files with the names of their copies, and files left out; nothing is written where a pixel may name the patient."""
    plan: list[tuple[Path, str]] = []
    skipped: list[dict[str, str]] = []
    series: dict[str, list[Path]] = {}
    for number, path in enumerate(dicom_files(origin) if origin.is_dir() else [origin]):
        if number % 50 == 0:
            yield Progress("looking", number, 0, "file")
        try:
            header = _header(path)
        except FormatError as error:
            skipped.append({"source": str(path), "reason": error.message})
            continue
        reason = burned_in(header)
        if reason and not pixels_checked:
            raise BadInputError(
                reason,
                path=path,
                remedy="Look at the images; where none shows a name, say so (--pixels-checked).",
            )
        name = f"{text(header, 'SeriesInstanceUID')}\n{text(header, 'Modality') or 'image'}"
        series.setdefault(name, []).append(path)
    for index, (name, paths) in enumerate(series.items(), start=1):
        modality = "".join(c for c in name.split("\n")[1] if c.isalnum())
        plan += [(p, f"{index:03d}-{modality}/{n:05d}.dcm") for n, p in enumerate(paths, start=1)]
    return plan, skipped


def _header(path: Path) -> Dataset:
    import pydicom

    wanted = (
        "Modality SOPClassUID ImageType BurnedInAnnotation ConversionType SeriesInstanceUID Rows"
    )
    if not is_dicom(path):
        raise FormatError("not a DICOM file", path=path)
    with reading(path, "DICOM"), quiet():
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted.split())
        if not whole(header, "Rows"):
            raise FormatError(
                f"no image ({text(header, 'Modality') or 'unknown kind'}): reports and drawings are not de-identified",
                path=path,
            )
        return header


def _copy(path: Path, target: Path, rules: Rules, *, pixels_checked: bool) -> bool:
    """De-identify one file; return whether it may show a face."""
    import pydicom

    with reading(path, "DICOM"), quiet():
        data = pydicom.dcmread(path)
        head = _may_show_a_face(data)
        _complete(data, path)
        rules.apply(data)
        _say_so(data, rules, checked=pixels_checked)
        meta = pydicom.dataset.FileMetaDataset()
        meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
        meta.MediaStorageSOPClassUID = data.SOPClassUID
        meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.file_meta, data.preamble = meta, b"\0" * 128
    target.parent.mkdir(parents=True, exist_ok=True)
    with reading(path, "DICOM"), quiet():
        try:
            data.save_as(target, enforce_file_format=True)
        except OSError as error:
            raise ApprenticeError(
                f"cannot be written: {error.strerror or error}",
                path=target,
                remedy="Save elsewhere.",
            ) from error
    return head


def _complete(data: Dataset, path: Path) -> None:
    """Give a file that lost its identifiers what no DICOM file can be written without.

    Raises
    ------
    FormatError
        The kind of image cannot be known.
    """
    if not text(data, "SOPInstanceUID"):
        data.SOPInstanceUID = str(path.resolve())  # replaced by a new UID in the next step
    if not text(data, "SOPClassUID"):
        known = _CLASSES.get(text(data, "Modality"))
        if known is None:
            raise FormatError("the file does not say what kind of image it is", path=path)
        data.SOPClassUID = known


def _may_show_a_face(data: Dataset) -> bool:
    where = " ".join(
        text(data, k) for k in ("BodyPartExamined", "StudyDescription", "ProtocolName")
    )
    return text(data, "Modality") in ("CT", "MR", "PT") and any(h in where.upper() for h in _HEADS)


def _say_so(data: Dataset, rules: Rules, *, checked: bool) -> None:
    from pydicom.dataset import Dataset

    shifted = rules.dates == "shift"
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = _METHOD
    data.LongitudinalTemporalInformationModified = "MODIFIED" if shifted else "REMOVED"
    if checked:
        data.BurnedInAnnotation = "NO"
    codes = []
    for value, meaning in (_PROFILE, *((_SHIFTED,) if shifted else ())):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning[:64]
        codes.append(code)
    data.DeidentificationMethodCodeSequence = codes


def _report(
    rules: Rules,
    dates: str,
    done: list[dict[str, str]],
    skipped: list[dict[str, str]],
    heads: int,
) -> DeidentifyReport:
    from pydicom.datadict import keyword_for_tag

    actions = tuple(
        {
            "tag": f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
            "keyword": keyword_for_tag(tag) or "private or unknown",
            "action": said,
            "count": count,
        }
        for (tag, _, said), count in sorted(rules.done.items())
    )
    notes = []
    if heads:
        notes.append(f"{heads} images show a head: a face may be recognised in them")
    if skipped:
        notes.append(f"{len(skipped)} files were left out")
    return DeidentifyReport(_METHOD, dates, tuple(done), tuple(skipped), actions, tuple(notes))


def without_patient(volume: Volume, *, pixels_checked: bool = False) -> Volume:
    """Return a volume that keeps nothing of where it came from: no name, no path, no header, no channel names.

    Voxels, grid, classes and colours stay.

    Raises
    ------
    BadInputError
        Text in the pixels that cannot be excluded.
    """
    reason = volume.metadata.get("burned_in")
    if reason and not pixels_checked:
        raise BadInputError(
            str(reason),
            path=volume.source,
            remedy="Look at the images; where none shows a name, say so (--pixels-checked).",
        )
    count = volume.grid.length("C")
    names = volume.channels if volume.rgb else tuple(f"channel {i + 1}" for i in range(count))
    return replace(
        volume,
        name="image",
        source=None,
        channels=names if count > 1 else ("image",),
        # That an image was made up says nothing of a patient, and stays with it.
        metadata={} if volume.synthetic is None else {"synthetic": volume.synthetic},
    )
