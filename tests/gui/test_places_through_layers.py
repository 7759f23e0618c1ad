"""From a file to a layer and back to a file: other programs see every voxel where it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Layer
from tests.io.test_geometry import PLACED, numbered, placements, quick, theirs

from napari_apprentice import io
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.widgets.manifest import read, write_image, write_labels

# napari says so of every oblique layer.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

WRITE = {"image": write_image, "labels": write_labels}


@pytest.mark.parametrize("suffix", PLACED)
@quick
@given(grid=placements(st.just("mm")), is_labels=st.booleans())
def test_a_layer_is_where_its_file_was(suffix: str, grid: Grid, is_labels: bool) -> None:
    volume = numbered(grid)
    classes = {1: "one", 2: "two"} if is_labels else {}
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / f"first{suffix}", Path(folder) / f"second{suffix}"
        io.save(Volume(volume.data, grid, is_labels=is_labels, classes=classes), first)
        ((data, state, kind),) = read(str(first))
        layer = Layer.create(data, state, kind)
        WRITE[kind](str(second), layer.data, layer.as_layer_data_tuple()[1])
        array, affine = theirs(second)
        np.testing.assert_array_equal(array, volume.data)
        np.testing.assert_allclose(affine, grid.matrix, atol=1e-4)
        if kind == "labels":
            assert dict(io.open_labels(second).classes) == classes


@pytest.mark.parametrize("other", PLACED)
@quick
@given(grid=placements(st.just("mm")))
def test_a_layer_saved_as_another_format_is_there_too(other: str, grid: Grid) -> None:
    volume = numbered(grid)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.nii", Path(folder) / f"second{other}"
        io.save(volume, first)
        ((data, state, kind),) = read(str(first))
        layer = Layer.create(data, state, kind)
        WRITE[kind](str(second), layer.data, layer.as_layer_data_tuple()[1])
        array, affine = theirs(second)
        np.testing.assert_array_equal(array, volume.data)
        np.testing.assert_allclose(affine, grid.matrix, atol=1e-4)
