"""What becomes of each element of a DICOM file on de-identification: the table of PS3.15 Annex E, and how it is carried out.

Where the table leaves a choice that depends on the kind of image (X/Z, X/D …), the element stays with an empty or a dummy
value, which is right for every kind. Beyond the table are removed: private elements, those that pydicom's dictionary does
not know, dates and times the table does not name, and names of people.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ._dicom_values import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

__all__ = ["Dates", "Rules", "profile"]

Dates = Literal["remove", "shift"]
_CLOCKS = {"DA", "TM", "DT"}
_TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_DUMMY: Mapping[str, Any] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
    **dict.fromkeys(("FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), b"\0\0"),
    "AS": "000Y",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "UR": "https://removed.invalid",
}
_CHOICES = {"Z/D": "D", "X/Z": "Z", "X/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}
_PEOPLE = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
_PATIENT = {0x00100010, 0x00100020}
_KEPT_PEOPLE = {0x00120063}
_LONGEST_SHIFT = 3650
_SHORTEST_SECRET = 4


@cache
def profile() -> Mapping[str, str]:
    """Tag as eight hexadecimal digits (``x`` for any) → action of the Basic Profile."""
    table = Path(__file__).with_name("_dicom_profile.csv").read_text(encoding="ascii")
    lines = [line for line in table.splitlines() if not line.startswith("#")]
    return {row["tag"]: row["action"] for row in csv.DictReader(lines)}


def action_for(tag: int) -> str | None:
    """Return the table's action for a tag, with choices made; None where the table does not name it."""
    group = tag >> 16
    if group & 0xFF00 == 0x6000 or group & 0xFF00 == 0x5000:
        return "X"  # overlays and curves go whole: without their data the rest says nothing
    found = profile().get(f"{tag:08X}")
    return None if found is None else _CHOICES.get(found, found)


class Rules:
    """De-identifies data sets one after the other; the same UID and patient become the same everywhere.

    Parameters
    ----------
    salt
        Secret of the run: new UIDs, pseudonyms and shifts follow from it and from the old values.
    dates
        ``"remove"`` or ``"shift"``: by whole days, one number per patient, so that intervals stay.
    """

    def __init__(self, salt: bytes, dates: Dates) -> None:
        self._salt = salt
        self.dates = dates
        self._patient = ""
        self.done: Counter[tuple[int, str, str]] = Counter()
        self.uids: dict[str, str] = {}

    def apply(self, data: Dataset) -> None:
        """De-identify a data set in place, nested ones included."""
        self._patient = str(data.get("PatientID") or data.get("PatientName") or "")
        secrets = _secrets(data)
        self._clean(data, top=True)
        self._search(data, secrets)

    def new_uid(self, old: str) -> str:
        """Return the UID that stands for an old one."""
        if old not in self.uids:
            digest = hashlib.sha256(self._salt + old.encode()).digest()[:16]
            self.uids[old] = f"2.25.{int.from_bytes(digest, 'big')}"
        return self.uids[old]

    def pseudonym(self) -> str:
        """Return what the present patient is called from now on."""
        return f"ANON-{self._hashed(b'patient')[:8].upper()}"

    def _hashed(self, purpose: bytes) -> str:
        return hashlib.sha256(self._salt + purpose + self._patient.encode()).hexdigest()

    def shift(self) -> timedelta:
        """Return how far dates of the present patient are moved."""
        days = 1 + int(self._hashed(b"dates")[:8], 16) % _LONGEST_SHIFT
        return timedelta(days=-days)

    # -- one element ------------------------------------------------------------------------

    def _clean(self, data: Dataset, *, top: bool = False) -> None:
        for tag in list(data.keys()):
            try:
                element = data[tag]
            except Exception:  # noqa: BLE001  # what cannot be read cannot be judged
                del data[tag]
                self._note(tag, "", "removed: cannot be read")
                continue
            self._act(data, element)
            if tag in data and element.VR == "SQ":
                for item in element.value:
                    self._clean(item)
        if top and "PatientName" in data:
            data.PatientName = self.pseudonym()

    def _act(self, data: Dataset, element: DataElement) -> None:
        tag, action = int(element.tag), self._action(element)
        if action is None:
            return
        if action == "shift":
            said = "shifted" if self._shift(element) else "removed"
            if said == "removed":
                element.value = None
        elif tag in _PATIENT:
            element.value, said = self.pseudonym(), "pseudonym"
        elif action == "U" and element.VR == "UI":
            element.value, said = _each(element.value, self.new_uid), "new UID"
        elif action == "U":
            said = "UIDs in it replaced"
        elif action == "X" or (action == "D" and element.VR == "SQ"):
            del data[element.tag]
            said = "removed"
        else:
            element.value = _DUMMY.get(element.VR) if action == "D" else _empty(element)
            said = "dummy value" if action == "D" else "emptied"
        self._note(tag, element.VR, said)

    def _action(self, element: DataElement) -> str | None:
        tag = int(element.tag)
        if element.tag.is_private or (not element.keyword and tag >> 16 != 0x0002):
            return "X"
        action = action_for(tag)
        clock = element.VR in _CLOCKS
        if clock and self.dates == "shift" and tag >> 16 != 0x0010:
            return "shift"
        if action is None and (clock or element.VR == "PN") and tag not in _KEPT_PEOPLE:
            return "Z" if element.VR == "PN" else "X"
        if action is None and element.VR == "UI" and str(element.value) in self.uids:
            return "U"
        return action

    def _shift(self, element: DataElement) -> bool:
        if element.VR == "TM" or not element.value:
            return True
        moved = _each(element.value, self._moved)
        if moved is None or "" in (moved if isinstance(moved, list) else [moved]):
            return False
        element.value = moved
        return True

    def _moved(self, value: str) -> str:
        """Date moved by the shift; the time of a date with time stays. Empty where it is no date."""
        found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})(.*)", value)
        if found is None:
            return ""
        try:
            moved = date(*(int(part) for part in found.groups()[:3])) + self.shift()
        except (ValueError, OverflowError):
            return ""
        return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}{found[4]}"

    # -- what the table cannot know -----------------------------------------------------------

    def _search(self, data: Dataset, secrets: set[str]) -> None:
        """Empty every text that still holds a name or number of the patient."""
        for element in list(data):
            if element.VR == "SQ":
                for item in element.value:
                    self._search(item, secrets)
            elif element.VR in _TEXTS and int(element.tag) not in _PATIENT:
                said = str(element.value).casefold()
                if any(secret in said for secret in secrets):
                    element.value = None
                    self._note(
                        int(element.tag), element.VR, "emptied: held the patient's name or number"
                    )

    def _note(self, tag: int, kind: str, said: str) -> None:
        self.done[tag, kind, said] += 1


def _each(value: Any, change: Any) -> Any:
    """One value or several, changed each by itself."""
    if value is None or isinstance(value, str):
        return change(str(value)) if value else value
    try:
        return [change(str(one)) for one in value]
    except TypeError:
        return change(str(value))


def _empty(element: DataElement) -> Any:
    return [] if element.VR == "SQ" else None


def _secrets(data: Dataset) -> set[str]:
    """Parts of names and numbers of the patient that are long enough to be looked for in other texts."""
    found: set[str] = set()
    for keyword in _PEOPLE:
        parts = re.split(r"[\^=\s]+", text(data, keyword))
        found |= {part.casefold() for part in parts if len(part) >= _SHORTEST_SECRET}
    return found
