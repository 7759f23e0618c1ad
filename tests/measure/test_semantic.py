from __future__ import annotations

import json

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure.semantic import semantic_scores

NAMES = {0: "background", 1: "Anterior", 2: "posterior part"}


@pytest.fixture
def pair():
    truth = np.zeros((10, 16, 16), np.uint8)
    truth[2:8, 2:8, 2:8] = 1
    truth[2:8, 10:14, 10:14] = 2
    prediction = truth.copy()
    prediction[truth == 1] = 0
    prediction[3:9, 2:8, 2:8] = 1
    return prediction, truth


def test_names_carry_class_and_unit_and_the_mean_comes_first(pair):
    scores = semantic_scores(*pair, NAMES, (2.0, 1.0, 1.0), "mm")

    assert scores["dice_anterior"] == pytest.approx(5 / 6)
    assert scores["dice_posterior_part"] == 1.0
    assert scores["dice"] == pytest.approx((5 / 6 + 1) / 2)
    assert scores["hd95_mm_anterior"] == pytest.approx(2.0)
    assert scores["hd95_mm"] == pytest.approx(1.0)
    assert scores["assd_mm_posterior_part"] == 0.0
    assert scores["volume_mm3_anterior"] == scores["truth_volume_mm3_anterior"] == 6**3 * 2.0
    assert not any("background" in name for name in scores)
    assert json.loads(json.dumps(scores)) == scores
    names = list(scores)
    assert names.index("dice") < names.index("dice_anterior")


def test_the_tolerance_is_the_smallest_spacing_unless_given(pair):
    default = semantic_scores(*pair, NAMES, (2.0, 1.0, 1.0), "mm")
    wider = semantic_scores(*pair, NAMES, (2.0, 1.0, 1.0), "mm", tolerance=2)

    assert default["surface_dice_1mm_anterior"] < 1.0
    assert wider["surface_dice_2mm_anterior"] == 1.0


def test_a_missed_class_costs_the_diagonal_and_an_absent_one_is_left_out():
    truth = np.zeros((30, 40), np.uint8)
    truth[3:9, 3:9] = 1
    names = {1: "a", 2: "b"}

    scores = semantic_scores(np.zeros_like(truth), truth, names, (0.5, 0.5), "um")

    assert scores["dice"] == scores["dice_a"] == 0.0
    assert scores["hd95_um"] == scores["assd_um"] == pytest.approx(25.0)
    assert scores["surface_dice_0.5um"] == 0.0
    for name in ("dice_b", "hd95_um_b", "assd_um_b", "surface_dice_0.5um_b"):
        assert np.isnan(scores[name])
    assert scores["area_um2_a"] == 0.0
    assert scores["truth_area_um2_a"] == pytest.approx(9.0)


def test_only_what_counts_is_scored(pair):
    prediction, truth = pair
    counts = np.zeros(truth.shape, bool)
    counts[4] = True

    scores = semantic_scores(prediction, truth, NAMES, counts=counts)

    assert scores["dice"] == 1.0
    assert scores["hd95_px"] == 0.0
    assert scores["truth_volume_px3_anterior"] == 36


def test_surfaces_can_be_left_out(pair):
    scores = semantic_scores(*pair, NAMES, surfaces=False)

    assert "dice" in scores
    assert not any(name.startswith(("hd95", "assd", "surface")) for name in scores)


def test_equal_names_stay_apart_and_units_become_ascii():
    labels = np.array([[0, 1], [2, 3]])

    scores = semantic_scores(labels, labels, {1: "cell", 2: "Cell", 3: "?"}, unit="µm")

    assert {"dice_cell_1", "dice_cell_2", "dice_class_3", "hd95_um"} <= scores.keys()


def test_what_does_not_fit_is_refused(pair):
    prediction, truth = pair
    with pytest.raises(BadInputError, match="foreground class"):
        semantic_scores(prediction, truth, {0: "background"})
    with pytest.raises(GridMismatchError):
        semantic_scores(prediction[:5], truth, NAMES)
    with pytest.raises(BadInputError, match="tolerance"):
        semantic_scores(prediction, truth, NAMES, tolerance=-1)
    with pytest.raises(BadInputError, match="3 positive spacings"):
        semantic_scores(prediction, truth, NAMES, (1.0, 1.0))
