"""Points and boxes are scored as an independent, slow reading of the definitions has it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure._matching import match_by_distance
from napari_apprentice.measure.detection import (
    Case,
    DetectionScores,
    Ranked,
    detection_scores,
    mean_ap,
    mistakes,
    rank_boxes,
    rank_points,
    score_detections,
)

SPACING = (2.0, 0.5)


def best_by_trying(gaps: np.ndarray, reach: float) -> tuple[int, float]:
    """Try every way to pair: most pairs in reach, then the shortest sum of distances."""
    rows, columns = gaps.shape
    best = (0, 0.0)
    for count in range(min(rows, columns) + 1):
        for left in itertools.combinations(range(rows), count):
            for right in itertools.permutations(range(columns), count):
                pairs = [gaps[a, b] for a, b in zip(left, right, strict=True)]
                if all(g <= reach for g in pairs) and (count, -sum(pairs)) > (best[0], -best[1]):
                    best = (count, float(sum(pairs)))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_pairs_are_the_best_there_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, found = random.uniform(0, 6, (4, 2)), random.uniform(0, 6, (5, 2))
    gaps = np.linalg.norm(truth[:, None] - found[None], axis=2)
    rows, columns, distances = match_by_distance(truth, found, np.full(4, 2.0))
    count, total = best_by_trying(gaps, 2.0)
    assert (len(rows), pytest.approx(distances.sum())) == (count, total)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == count
    np.testing.assert_allclose(gaps[rows, columns], distances)


def test_a_reach_includes_its_edge_and_is_in_the_unit_of_the_spacing() -> None:
    truth = Detections.of([(0.0, 0.0), (10.0, 0.0)])
    found = Detections.of([(1.0, 0.0), (10.0, 4.1)])  # 2 and 2.05 away
    scores = score_detections(found, truth, SPACING, reach=2.0)
    assert (scores.found, scores.missed, scores.false) == (1, 1, 1)
    assert scores.distance == pytest.approx(2.0)
    assert scores.to_dict("um")["distance_um"] == pytest.approx(2.0)


def test_by_default_the_radius_of_each_object_is_its_reach() -> None:
    truth = Detections.of([(5.0, 5.0), (30.0, 30.0)], [(4.0, 4.0), (16.0, 16.0)])
    found = Detections.of([(5.0, 8.0), (30.0, 37.0)])
    scores = score_detections(found, truth, (1.0, 1.0))
    assert (scores.found, scores.missed, scores.false) == (1, 1, 1)


def test_objects_beyond_what_counts_are_neither_missed_nor_false() -> None:
    counts = np.zeros((20, 20), bool)
    counts[:10] = True
    truth = Detections.of([(5.0, 5.0), (9.4, 15.0), (15.0, 5.0)])
    found = Detections.of([(5.0, 5.5), (10.4, 15.0), (15.0, 15.0), (3.0, 15.0)])
    scores = score_detections(found, truth, (1.0, 1.0), reach=2.0, counts=counts)
    # The pair over the edge is found; what lies below the edge is nobody's business.
    assert (scores.found, scores.missed, scores.false) == (2, 0, 1)


def test_nothing_on_either_side() -> None:
    nothing, one = Detections.none(2), Detections.of([(1.0, 1.0)])
    assert np.isnan(score_detections(nothing, nothing, (1, 1)).f1)
    assert score_detections(one, nothing, (1, 1)).precision == 0.0
    assert score_detections(nothing, one, (1, 1)).recall == 0.0
    assert rank_points(nothing, one, (1, 1)).froc((1.0,)) == {1.0: 0.0}
    assert np.isnan(rank_boxes(one, nothing).average_precision())


def test_counts_of_images_add_up() -> None:
    both = DetectionScores.pooled([DetectionScores(3, 1, 0, 1.5), DetectionScores(1, 0, 2, 0.5)])
    assert both == DetectionScores(4, 1, 2, 2.0)
    assert both.f1 == pytest.approx(2 * (4 / 6) * (4 / 5) / (4 / 6 + 4 / 5))


def test_with_classes_a_wrong_class_is_a_miss_and_a_false_one() -> None:
    truth = Detections.of([(5.0, 5.0), (15.0, 15.0)], kinds=[1, 2])
    found = Detections.of([(5.0, 5.0), (15.0, 15.0)], kinds=[1, 1])
    scores = detection_scores(
        [Case(found, truth, (1, 1))], "um", {1: "cell", 2: "dead cell"}, reach=1.0
    )
    assert scores["f1_any"] == 1.0
    assert scores["f1_cell"] == pytest.approx(2 / 3)
    assert scores["f1_dead_cell"] == 0.0
    assert scores["f1"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("reach", [0.0, -1.0, float("nan")])
def test_a_reach_that_is_none_is_refused(reach: float) -> None:
    with pytest.raises(BadInputError, match="distance above 0"):
        score_detections(Detections.none(2), Detections.none(2), (1, 1), reach=reach)


# -- over all thresholds ----------------------------------------------------------------


def slow_froc(ranked: list[Ranked], rate: float) -> float:
    """Best sensitivity of any threshold that keeps to the rate."""
    truth = sum(r.truth for r in ranked)
    best = 0.0
    for threshold in {float(s) for r in ranked for s in r.scores}:
        kept = [r.hits[r.scores >= threshold] for r in ranked]
        if sum(int((~k).sum()) for k in kept) <= rate * len(ranked):
            best = max(best, sum(int(k.sum()) for k in kept) / truth)
    return best


def slow_ap(ranked: Ranked) -> float:
    """Mean over the recalls reached of the best precision at that recall or beyond."""
    points = []
    for threshold in sorted({float(s) for s in ranked.scores}, reverse=True):
        kept = ranked.hits[ranked.scores >= threshold]
        points.append((kept.sum() / ranked.truth, kept.mean()))
    area, before = 0.0, 0.0
    for recall, _ in points:
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return float(area)


@pytest.mark.parametrize("seed", range(6))
def test_froc_and_average_precision_by_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    several = [
        Ranked(
            random.integers(0, 8, 12).astype(np.float32) / 8,  # with ties
            random.random(12) < 0.5,
            9 + image,
        )
        for image in range(3)
    ]
    pooled = Ranked.pooled(several)
    for rate, value in pooled.froc((0.125, 0.5, 1.0, 2.0)).items():
        assert value == pytest.approx(slow_froc(several, rate))
    assert pooled.average_precision() == pytest.approx(slow_ap(pooled))


def test_the_surest_takes_the_nearest_and_leaves_none_for_the_next() -> None:
    truth = Detections.of([(5.0, 5.0)])
    found = Detections.of([(5.0, 6.0), (5.0, 5.0)], scores=[0.9, 0.8])
    assert rank_points(found, truth, (1, 1), 2.0).hits.tolist() == [True, False]


def test_boxes_hit_by_overlap() -> None:
    truth = Detections.of([(10.0, 10.0), (30.0, 30.0)], [(10.0, 10.0), (10.0, 10.0)])
    # Shifted by 3 of 10: IoU 7/13; by 5: 5/15.
    found = Detections.of(
        [(13.0, 10.0), (35.0, 30.0)], [(10.0, 10.0), (10.0, 10.0)], scores=[0.5, 0.9]
    )
    assert rank_boxes(found, truth, 0.5).hits.tolist() == [True, False]
    assert rank_boxes(found, truth, 7 / 13 + 1e-9).hits.tolist() == [False, False]
    assert mean_ap([found], [truth], [1]) == pytest.approx(0.25)


@pytest.mark.parametrize("whole", [True, False])
def test_mistakes_are_those_that_are_counted(whole: bool) -> None:
    random = np.random.default_rng(3)
    truth = Detections.of(random.uniform(0, 20, (12, 2)))
    found = Detections.of(random.uniform(0, 20, (10, 2)))
    counts = None if whole else np.arange(400).reshape(20, 20) < 250
    scores = score_detections(found, truth, SPACING, reach=2.0, counts=counts)
    missed, false = mistakes(found, truth, SPACING, reach=2.0, counts=counts)
    assert 0 < len(missed) < 12
    assert (len(missed), len(false)) == (scores.missed, scores.false)
    assert {tuple(p) for p in missed.centres} < {tuple(p) for p in truth.centres}
    assert {tuple(p) for p in false.centres} < {tuple(p) for p in found.centres}
