"""The narrow middle of an autoencoder, and the map of many images."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.bottleneck import bottleneck_of, flat_map
from napari_apprentice.models.networks import NETWORKS


def spec() -> ModelSpec:
    args = {"channels": [4, 4], "bottleneck": 2}
    return ModelSpec(
        name="m", task="anomaly", network="autoencoder", network_args=args, ndim=2, tile=(16, 16)
    )


def test_images_of_any_size_have_features_of_one_length() -> None:
    network = NETWORKS["autoencoder"].build(
        ndim=2, in_channels=1, out_channels=1, args=spec().network_args
    )
    rng = np.random.default_rng(0)
    rows = [
        run_to_end(
            bottleneck_of(
                Volume(rng.random(shape), Grid.regular("ZYX"[-len(shape) :], shape)),
                network,
                spec(),
            )
        )
        for shape in ((16, 16), (9, 30), (3, 16, 16))
    ]
    assert [row.shape for row in rows] == [(2 * 4 * 4,)] * 3
    plain = NETWORKS["unet"].build(ndim=2, in_channels=1, out_channels=1, args={})
    with pytest.raises(BadInputError, match="narrow middle"):
        run_to_end(
            bottleneck_of(Volume(rng.random((9, 9)), Grid.regular("YX", (9, 9))), plain, spec())
        )


def test_the_map_shows_where_images_differ_most() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(0, 0.01, (20, 6)).astype(np.float32)
    features[:10, 2] += 5
    points, shares = flat_map(features)
    assert points.shape == (20, 2)
    assert shares[0] > 0.99
    assert len({bool(x > 0) for x in points[:10, 0]}) == 1
    assert (np.sign(points[:10, 0]) != np.sign(points[10:, 0])).all()
    for same in (np.ones((3, 4), np.float32), np.ones((1, 4), np.float32)):
        points, shares = flat_map(same)
        assert not points.any()
        assert not shares.any()
