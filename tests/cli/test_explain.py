"""``explain``: maps beside images, on their grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.io import open_volume

from .conftest import spots, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_image_gets_a_map_on_its_grid(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    (data / "images" / "broken.tif").write_bytes(b"II*\0")
    out = data / "why"
    answer = call(
        *("explain", data / "images", "--model", model, "--out", out, "--class", "spot", "--json")
    )
    assert answer.code == 1
    good = [record for record in answer.json if "error" not in record]
    assert len(good) == 3
    assert {(record["way"], record["class"]) for record in good} == {("gradcam", "spot")}
    for record in good:
        found = open_volume(record["output"])
        assert found.grid == open_volume(record["path"]).grid
        assert found.dtype == np.float32
        assert 0 <= found.numpy().min() <= found.numpy().max() <= 1


@pytest.mark.parametrize("way", ["occlusion", "uncertainty"])
def test_other_ways(call: Callable[..., Any], data: Path, model: Path, way: str) -> None:
    image, out = data / "images" / "Fläche 1.tif", data / "map.tif"
    given = ("--cells", 2) if way == "occlusion" else ("--passes", 2)
    answer = call("explain", image, "--model", model, "--way", way, "--out", out, *given)
    assert (answer.code, answer.err) == (0, "")
    assert str(out) in answer.out
    assert open_volume(out).numpy().max() > 0


def test_a_format_without_fractions_is_left(
    call: Callable[..., Any], tmp_path: Path, model: Path
) -> None:
    grey = write(tmp_path / "grey.png", spots((20, 24))[0].astype(np.uint8))
    answer = call("explain", grey, "--model", model, "--out", "why", "--json")
    assert answer.code == 0
    assert answer.json["output"].endswith(".tif")  # a PNG holds no fractions


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--way", "gradcamm"), "Did you mean 'gradcam'"),
        (("--class", "moon"), "expected one of spot, found 'moon'"),
        (("--time", 3), "expected a time point from 0 to 0, found 3"),
        (("--way", "uncertainty", "--passes", 1), "passes"),
    ],
)
def test_what_cannot_be_explained_is_said(
    call: Callable[..., Any], data: Path, model: Path, arguments: tuple[object, ...], said: str
) -> None:
    image = data / "images" / "Fläche 1.tif"
    answer = call("explain", image, "--model", model, "--out", data / "map.tif", *arguments)
    assert answer.code == 2
    assert said in answer.error
    assert not (data / "map.tif").exists()
