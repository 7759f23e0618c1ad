"""What `Filter` promises, asked of every filter that is registered."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import FilterSpec
from napari_apprentice.engine.filters import FILTERS, filtered, filtering

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Small enough for a test; a filter that is not listed is asked with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "bias_field": {"steps": 2, "levels": 2, "longest": 12},
    "background": {"radius": 4},
    "local_contrast": {"size": 8},
    "non_local_means": {"patch": 3, "distance": 2},
    "total_variation": {"steps": 10},
}
SHAPES = [(1, 24, 20), (2, 6, 18, 16)]


def step(name: str) -> FilterSpec:
    return FilterSpec(name=name, args=SMALL.get(name, {}))


def image(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A bright block on a dim ground, with noise."""
    data = np.random.default_rng(0).normal(100, 5, shape).astype(np.float32)
    data[..., shape[-2] // 4 : shape[-2] // 2, shape[-1] // 4 : -4] += 80
    return data


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FILTERS.names())
def test_keeps_shape_and_what_it_was_given(name: str, shape: tuple[int, ...]) -> None:
    data = image(shape)
    before = data.copy()
    result = filtered(data, [step(name)], ndim=len(shape) - 1)
    assert result.dtype == np.float32
    assert result.shape == shape
    assert np.isfinite(result).all()
    assert (data == before).all()
    assert not np.allclose(result, data), "a filter that does nothing"
    again = filtered(data, [step(name)], ndim=len(shape) - 1)
    assert (again == result).all()


@pytest.mark.parametrize("name", FILTERS.names())
def test_planes_are_filtered_one_by_one_for_a_network_that_sees_planes(name: str) -> None:
    data = image((1, 3, 20, 18))
    whole = filtered(data, [step(name)], ndim=2)
    alone = filtered(np.ascontiguousarray(data[:, 1]), [step(name)], ndim=2)
    assert (whole[:, 1] == alone).all()


@pytest.mark.parametrize("name", FILTERS.names())
def test_channels_do_not_disturb_each_other(name: str) -> None:
    data = image((2, 20, 18))
    data[1] *= 3
    result = filtered(data, [step(name)], ndim=2)
    alone = filtered(data[1:], [step(name)], ndim=2)
    assert (result[1:] == alone).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FILTERS.names())
def test_a_brighter_image_gives_the_same_brighter(name: str, shape: tuple[int, ...]) -> None:
    data = image(shape)
    one, two = (filtered(data * k, [step(name)], ndim=len(shape) - 1) for k in (1, 4))
    np.testing.assert_allclose(two, 4 * one, atol=4 * 0.01 * float(np.ptp(data)))


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1, 1), (1, 1, 3), (1, 1, 5, 1), (1, 2, 1, 30)])
@pytest.mark.parametrize("name", FILTERS.names())
def test_constant_and_tiny_images_pass(name: str, shape: tuple[int, ...]) -> None:
    flat = filtered(np.full(shape, 7.0, np.float32), [step(name)], ndim=len(shape) - 1)
    assert np.ptp(flat) < 1e-4
    ramp = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    result = filtered(ramp, [step(name)], ndim=len(shape) - 1)
    assert result.shape == shape
    assert np.isfinite(result).all()


@pytest.mark.parametrize("name", FILTERS.names())
def test_negative_values_pass(name: str) -> None:
    result = filtered(image((1, 20, 18)) - 1000, [step(name)], ndim=2)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("name", FILTERS.names())
def test_it_can_be_cancelled(name: str) -> None:
    data = image((1, 40, 32))
    job = filtering(data, [step(name)], ndim=2)
    events = [next(job) for _ in range(3)]
    job.close()
    assert events[0].stage == FILTERS[name].title.lower()


@pytest.mark.parametrize("name", FILTERS.names())
def test_arguments_are_a_frozen_config_that_explains_itself(name: str) -> None:
    entry = FILTERS[name]
    assert entry.title
    args = entry.Args()
    for key, info in entry.Args.model_fields.items():
        assert info.title, key
        assert info.description, key
    with pytest.raises(ValidationError, match="frozen"):
        setattr(args, next(iter(entry.Args.model_fields)), 1)
    stored = json.loads(json.dumps(args.model_dump(mode="json")))
    assert entry.Args.model_validate(stored) == args


@pytest.mark.parametrize("name", FILTERS.names())
def test_unknown_arguments_are_refused_by_name(name: str) -> None:
    wrong = FilterSpec(name=name, args={"strengh": 3})
    with pytest.raises(BadInputError, match=r"'strengh'.*found 3.*Known arguments: "):
        filtered(image((1, 8, 8)), [wrong], ndim=2)


def test_listing_and_describing_filters_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "from napari_apprentice.engine.filters import FILTERS\n"
        "print([(f.title, f.Args()) for _, f in FILTERS.items()])\n"
        "sys.exit(bool({'torch', 'monai', 'SimpleITK', 'skimage.restoration'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
