"""A report page stands for itself, names no folder, and nothing that was put into a name acts in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from napari_apprentice.measure.bootstrap import Uncertainty
from napari_apprentice.measure.figures import Curve, Matrix, Plot, worst_first
from napari_apprentice.measure.html import page
from napari_apprentice.measure.report import CaseScores, Comparison, Report
from napari_apprentice.measure.svg import as_text, svg
from napari_apprentice.measure.texts import file_name, interval_text, number_text, title_and_unit

HOSTILE = '"><script>alert(1)</script><img src=x onerror=y>'
NAN = float("nan")
VOID = {"meta", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags and attributes, and checks that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def report(name="/home/ann/patients/Doe_John/scan.nii.gz", thing="tumour"):
    curve = Curve(f"{thing}, AUC 0.9", np.linspace(0, 1, 2000), np.linspace(0, 1, 2000) ** 2)
    plot = Plot(f"ROC of {thing}", "x", "y", (curve,), diagonal=True)
    matrix = Matrix("Confusion", (thing, "other"), np.array([[3, 1], [0, 0]]))
    return Report(
        (
            CaseScores(name, {"dice": 0.5, "hd95_mm": 2.0}, {"truth": thing}),
            CaseScores("b.nii", {"dice": 0.9}, {"truth": "other"}),
        ),
        {"dice": 0.7, "hd95_mm": 2.0},
        {"dice": 0.6, "hd95_mm": NAN},
        uncertainty=Uncertainty(0.95, 100, 0, 2, mean={"dice": (0.5, 0.9)}),
        figures=(plot, matrix),
    )


@pytest.mark.parametrize("name", [HOSTILE, "C:\\Users\\ann\\Doe\\scan.nii", "/data/Doe/scan.nii"])
def test_nothing_runs_loads_or_tells_where_it_lay(name):
    found = Reader(page(report(name, HOSTILE), title=HOSTILE, facts=[HOSTILE]))
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert not [a for a in found.attributes if a[0].startswith("on") or a[0] in ("src", "href")]
    texts = "".join(found.texts)
    assert "Doe" not in texts
    assert "ann" not in texts
    assert "<script>" in texts  # as text


def test_the_page_forbids_itself_everything():
    text = page(report())
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_scores_and_intervals_are_there():
    texts = Reader(page(report())).texts
    for expected in ("Dice", "0.7", "0.5 – 0.9", "HD95", "mm", "scan.nii.gz", "95 % interval"):
        assert expected in texts
    assert any("100 bootstrap resamples of 2 cases" in text for text in texts)


def test_one_case_says_that_it_says_nothing_about_others():
    alone = Report.from_cases([CaseScores("a", {"dice": 1.0})])
    assert "there are no intervals" in page(alone)
    assert "<figure>" not in page(alone)


def test_two_reports_are_set_side_by_side():
    both = Comparison(
        report(),
        report(),
        ("x/new", "x/old"),
        {"dice": 0.25, "dice (pooled)": -0.1},
        {"dice": (0.1, 0.4)},
    )
    text = page(both)
    found = Reader(text)
    assert "new against old" in found.texts
    assert "+0.25" in found.texts
    assert "Dice, pooled" in found.texts
    assert ("class", "clear") in found.attributes
    assert text.count('class="clear"') == 6


def test_many_cases_are_cut_and_said():
    cases = tuple(CaseScores(f"{n}.png", {"accuracy": 1.0}) for n in range(2100))
    text = page(Report(cases, {"accuracy": 1.0}))
    assert "The first 2000 of 2100" in text


def test_control_and_direction_characters_do_not_disguise_a_name():
    assert as_text("scan\u202egnp.exe\x00") == "scan\ufffdgnp.exe\ufffd"


@pytest.mark.parametrize("size", [2, 20, 60])
def test_matrices_of_any_size_are_drawn(size):
    names = tuple(f"class {n}" for n in range(size))
    drawn = Reader(svg(Matrix("m", names, np.eye(size, dtype=int) * 7)))
    assert drawn.tags.count("rect") == size * size
    assert ("class 3" in drawn.texts) == (3 < size <= 40)


def test_curves_are_thinned_but_keep_their_ends():
    curve = Curve("c", np.arange(5000.0), np.arange(5000.0))
    thin = curve.thinned()
    assert len(thin.x) <= 300
    assert (thin.x[0], thin.x[-1]) == (0, 4999)


def test_a_flat_or_broken_curve_is_drawn():
    flat = Plot(
        "p", "x", "y", (Curve("c", np.array([1.0, NAN]), np.array([1.0, 2.0]), True),), (1, 1)
    )
    assert "nan" not in svg(flat)


def test_cases_are_ranked_by_their_score():
    cases = [{"dice": 0.9}, {"dice": NAN}, {"dice": 0.2}, {}]
    plot = worst_first(cases, {"dice": "Dice", "iou": "IoU"}, "score")
    assert plot.curves[0].y.tolist() == [0.2, 0.9]
    assert len(plot.curves) == 1
    assert worst_first(cases[:2], {"dice": "Dice"}, "score") is None


def test_scores_are_written_as_people_read_them():
    assert title_and_unit("hd95_mm_tumour") == ("HD95 tumour", "mm")
    assert title_and_unit("area_um2_cell") == ("area cell", "µm²")
    assert title_and_unit("ap50") == ("AP50", "")
    assert number_text(12345.6) == "12 346"
    assert number_text(NAN) == "–"
    assert interval_text((0.5, 1)) == "0.5 – 1"
    assert file_name("a\\b/c.png/") == "c.png"
