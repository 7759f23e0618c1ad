"""Which networks can answer which task."""

from __future__ import annotations

import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.wishes import networks_for, with_wishes
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import TASKS


@pytest.mark.parametrize("task", ["semantic", "instance", "detection"])
def test_what_answers_with_scores_needs_no_network_that_rebuilds(task: str) -> None:
    names = networks_for(TASKS[task])
    assert "unet" in names
    assert not {"autoencoder", "restoring_unet", "densenet", "gan"} & set(names)


def test_images_are_restored_by_more_networks_and_anomalies_found_by_one_with_a_middle() -> None:
    assert {"unet", "restoring_unet", "autoencoder"} <= set(networks_for(TASKS["restoration"]))
    assert networks_for(TASKS["anomaly"]) == ["autoencoder"]


def test_box_by_box_only_places_are_told() -> None:
    assert [n for n in TASKS.names() if "retinanet" in networks_for(TASKS[n])] == ["detection"]


def test_a_planned_tile_still_holds_the_images_that_another_network_divides_otherwise(
    tiny_spec,
) -> None:
    planned = tiny_spec.model_copy(
        update={"task": "detection", "ndim": 3, "tile": (40, 56, 40), "spacing": (1.0,) * 3}
    )
    wished = with_wishes(planned, TASKS["detection"], TrainConfig(network="retinanet"))
    assert wished.tile == (48, 64, 48)
    said = TrainConfig(network="retinanet", tile=(40, 56, 40))
    assert with_wishes(planned, TASKS["detection"], said).tile == (32, 64, 32)


def test_every_task_has_a_network_and_every_network_a_task() -> None:
    known = {name: networks_for(TASKS[name]) for name in TASKS.names()}
    assert all(known.values())
    assert {name for names in known.values() for name in names} == set(NETWORKS.names())


@pytest.mark.parametrize(
    ("task", "network", "word"),
    [
        ("semantic", "autoencoder", "not with an image"),
        ("anomaly", "unet", "narrow middle for anomaly, found unet"),
        ("image_class", "unet", "once per image"),
        ("semantic", "retinanet", "voxel by voxel for semantic, found retinanet"),
    ],
)
def test_another_network_is_refused_with_those_that_can(
    tiny_spec, task: str, network: str, word: str
) -> None:
    with pytest.raises(BadInputError, match=word) as told:
        with_wishes(
            tiny_spec.model_copy(update={"network": "any"}),
            TASKS[task],
            TrainConfig(network=network),
        )
    assert networks_for(TASKS[task])[0] in str(told.value)


def test_filters_are_refused_where_the_answer_is_the_image_itself(tiny_spec) -> None:
    config = TrainConfig(filters="median")
    with pytest.raises(BadInputError, match="no filters for restoration, found median"):
        with_wishes(tiny_spec, TASKS["restoration"], config)
    assert with_wishes(tiny_spec, TASKS["semantic"], config).filters
