"""Channels by the names that people give them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.channels import pick_channels


@pytest.fixture
def image() -> Volume:
    data = np.stack([np.full((4, 5), value, np.uint8) for value in (1, 2, 3)])
    grid = Grid.regular("CYX", data.shape)
    return Volume(data, grid, channels=("DAPI", "GFP", "2"))


@pytest.mark.parametrize(
    ("said", "values"),
    [("gfp", [2]), ("1", [1]), (" GFP , dapi", [2, 1]), ("3,1", [3, 1]), ("2", [3])],
)
def test_channels_are_named_or_numbered(image: Volume, said: str, values: list[int]) -> None:
    seen = pick_channels(image, said)
    array = np.asarray(seen.data).reshape(len(values), -1)
    assert array[:, 0].tolist() == values
    assert ("C" in seen.grid.axes) == (len(values) > 1)


def test_all_are_kept_unless_some_are_named(image: Volume) -> None:
    assert pick_channels(image, None) is image


@pytest.mark.parametrize("said", ["RFP", "0", "4", "", "GFP,", "-1", "1.5"])
def test_what_is_no_channel_is_refused_with_those_there_are(image: Volume, said: str) -> None:
    with pytest.raises(BadInputError, match=r"3 channels \(DAPI, GFP, 2\)"):
        pick_channels(image, said)


def test_a_grey_image_has_one_channel() -> None:
    grey = Volume(np.zeros((4, 5), np.uint8), Grid.regular("YX", (4, 5)))
    assert pick_channels(grey, "1") is grey
    with pytest.raises(BadInputError, match="the 1 channel"):
        pick_channels(grey, "2")
