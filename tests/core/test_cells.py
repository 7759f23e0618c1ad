"""Text that a spreadsheet would run."""

import pytest

from napari_apprentice.core.cells import inert, original

FORMULAS = ["=1+1", '=HYPERLINK("http://x")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1"]
HARMLESS = ["cell", "", "CD3+", "+", "-", "-1.5", "+7", "1e-3", "'", "O'Neil", "'quoted'", "a=b"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_kept_from_running_and_comes_back(text: str) -> None:
    guarded = inert(text)
    assert guarded == f"'{text}"
    assert original(str(guarded)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text
    assert original(text) == text


def test_numbers_stay_numbers() -> None:
    assert [inert(v) for v in (-1, -1.5, None, True)] == [-1, -1.5, None, True]
