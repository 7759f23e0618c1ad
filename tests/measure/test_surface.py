from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure.surface import (
    SurfaceDistances,
    average_surface_distance,
    hausdorff_distance,
    surface_dice,
    surface_distances,
    surface_distances_per_class,
)

MASKS = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6).flatmap(
    lambda shape: st.tuples(hnp.arrays(bool, shape), hnp.arrays(bool, shape))
)


def blob(shape, seed):
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 1.5) > 0.02


def disc(shape, centre, radius, spacing):
    grids = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"
    )
    return sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) <= radius**2


def test_a_pair_of_single_voxels_is_as_far_as_their_centres():
    first, second = np.zeros((2, 5, 9, 9), bool)
    first[1, 2, 2] = second[3, 6, 5] = True

    distances = surface_distances(first, second, (2.0, 0.5, 1.0))

    expected = np.sqrt(4.0**2 + 2.0**2 + 3.0**2)
    assert hausdorff_distance(distances) == pytest.approx(expected)
    assert average_surface_distance(distances) == pytest.approx(expected)
    assert surface_dice(distances, expected) == 1.0
    assert surface_dice(distances, expected - 0.01) == 0.0


@pytest.mark.parametrize(("axis", "step"), [(0, 5.0), (1, 0.7), (2, 0.7)])
def test_a_shifted_cube_is_off_by_the_spacing_of_that_axis(axis, step):
    truth = np.zeros((12, 14, 14), bool)
    truth[3:8, 4:10, 4:10] = True
    prediction = np.roll(truth, 1, axis=axis)

    distances = surface_distances(prediction, truth, (5.0, 0.7, 0.7))

    assert hausdorff_distance(distances, 100) == pytest.approx(step)
    assert surface_dice(distances, step) == 1.0
    assert surface_dice(distances, step / 2) < 1.0


def test_concentric_discs_are_apart_by_the_difference_of_their_radii():
    spacing = (0.5, 0.25)
    shape, centre = (120, 240), (30.0, 30.0)
    small, large = (disc(shape, centre, radius, spacing) for radius in (10.0, 14.0))

    distances = surface_distances(small, large, spacing)

    assert hausdorff_distance(distances, 100) == pytest.approx(4.0, abs=0.5)
    assert average_surface_distance(distances) == pytest.approx(4.0, abs=0.25)
    assert surface_dice(distances, 3.4) == 0.0
    assert surface_dice(distances, 4.6) == 1.0


def test_a_few_stray_voxels_move_the_maximum_but_not_the_95th_percentile():
    truth = np.zeros((60, 60), bool)
    truth[10:40, 10:40] = True
    prediction = truth.copy()
    prediction[55, 55] = True

    distances = surface_distances(prediction, truth)

    assert hausdorff_distance(distances, 100) == pytest.approx(np.hypot(16, 16))
    assert hausdorff_distance(distances, 95) == 0.0


def test_empty_masks():
    empty, full = np.zeros((6, 6), bool), np.ones((6, 6), bool)

    neither = surface_distances(empty, empty)
    assert np.isnan([hausdorff_distance(neither), average_surface_distance(neither)]).all()
    assert np.isnan(surface_dice(neither, 1.0))
    for pair in [(empty, full), (full, empty)]:
        missed = surface_distances(*pair)
        assert hausdorff_distance(missed) == np.inf
        assert average_surface_distance(missed) == np.inf
        assert surface_dice(missed, 1e9) == 0.0


# MONAI 1.6 passes itself an argument that it has deprecated.
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 30), (1.0, 1.0)), ((31, 44), (0.3, 1.7)), ((20, 22, 24), (3.0, 0.8, 1.1))],
)
def test_agrees_with_monai(shape, spacing):
    torch = pytest.importorskip("torch")
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    prediction, truth = blob(shape, 1), blob(shape, 2)
    hot = [torch.from_numpy(m[None, None].astype(np.float32)) for m in (prediction, truth)]
    options = {"include_background": True, "spacing": spacing}

    distances = surface_distances(prediction, truth, spacing)

    for percentile in (95, 100):
        expected = compute_hausdorff_distance(*hot, percentile=percentile, **options).item()
        assert hausdorff_distance(distances, percentile) == pytest.approx(expected, rel=1e-5)
    expected = compute_average_surface_distance(*hot, symmetric=True, **options).item()
    assert average_surface_distance(distances) == pytest.approx(expected, rel=1e-5)
    for tolerance in (0.0, 0.9, 2.05):
        expected = compute_surface_dice(*hot, class_thresholds=[tolerance], **options).item()
        assert surface_dice(distances, tolerance) == pytest.approx(expected, rel=1e-6)


def test_a_tolerance_of_one_voxel_survives_rounding():
    first, second = np.zeros((2, 200), bool).reshape(2, 1, 200)
    first[0, ::4] = True
    second[0, 1::4] = True

    # 0.1 is no binary fraction: differences of its multiples miss it by a hair.
    assert surface_dice(surface_distances(first, second, (1.0, 0.1)), 0.1) == 1.0


@given(MASKS)
@settings(deadline=None)
def test_symmetry_identity_and_bounds(pair):
    first, second = pair
    there, back = surface_distances(first, second), surface_distances(second, first)

    np.testing.assert_array_equal(there.to_truth, back.to_prediction)
    if first.any():
        same = surface_distances(first, first)
        assert hausdorff_distance(same, 100) == 0
        assert surface_dice(same, 0) == 1
    if first.any() and second.any():
        assert average_surface_distance(there) <= hausdorff_distance(there, 100)
        assert hausdorff_distance(there, 95) <= hausdorff_distance(there, 100)
        shares = [surface_dice(there, tolerance) for tolerance in (0, 1, 2, 99)]
        assert shares == sorted(shares)
        assert shares[-1] == 1


@given(MASKS)
@settings(deadline=None)
def test_counting_everywhere_is_as_no_mask(pair):
    plain = surface_distances(*pair)
    masked = surface_distances(*pair, counts=np.ones(pair[0].shape, bool))

    np.testing.assert_array_equal(plain.to_truth, masked.to_truth)
    np.testing.assert_array_equal(plain.to_prediction, masked.to_prediction)


def test_where_nothing_was_said_there_is_no_surface():
    truth = np.zeros((20, 20), bool)
    truth[5:15, 5:10] = True
    prediction = truth.copy()
    prediction[5:15, 12:18] = True
    counts = np.zeros((20, 20), bool)
    counts[:, :11] = True

    assert hausdorff_distance(surface_distances(prediction, truth, counts=counts), 100) == 0
    # The border of what counts, across the truth, is nobody's surface either.
    half = np.zeros((20, 20), bool)
    half[:10] = True
    seen = surface_distances(prediction, truth, counts=half).to_prediction
    assert seen.size == 2 * 5 + 5 - 2


def test_classes_are_measured_each_in_its_own_box():
    truth = np.zeros((30, 30), np.uint16)
    truth[2:8, 2:8] = 400
    truth[20:26, 20:26] = 3
    prediction = np.roll(truth, 1, axis=0)
    prediction[prediction == 3] = 9

    found = dict(surface_distances_per_class(prediction, truth, (3, 400, 9, 77)))

    assert list(found) == [3, 400, 9, 77]
    assert hausdorff_distance(found[400], 100) == 1
    assert hausdorff_distance(found[3]) == hausdorff_distance(found[9]) == np.inf
    assert found[77].pooled.size == 0


def test_what_does_not_fit_is_refused():
    mask = np.ones((3, 3), bool)
    with pytest.raises(GridMismatchError, match="found"):
        surface_distances(mask, np.ones((3, 4), bool))
    with pytest.raises(BadInputError, match="boolean masks"):
        surface_distances(mask.astype(int), mask)
    with pytest.raises(BadInputError, match="spacings"):
        surface_distances(mask, mask, (1.0, -1.0))
    distances = SurfaceDistances(np.zeros(1), np.zeros(1))
    with pytest.raises(BadInputError, match="percentile"):
        hausdorff_distance(distances, 101)
    for tolerance in (-1.0, np.inf, np.nan):
        with pytest.raises(BadInputError, match="tolerance"):
            surface_dice(distances, tolerance)
