"""Which channels of an image feed a model that expects fewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Job, Progress
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.prepare import fits
from napari_apprentice.session.channels import default_channels, fed, outline
from napari_apprentice.session.session import Session

from .conftest import FakeStore, make_spec, prediction_of
from .test_session import fake_train


def stained(*names: str, rgb: bool = False) -> Volume:
    grid = Grid.regular("YX", (12, 16), (0.25, 0.25), unit="um").with_channels(len(names))
    data = np.arange(len(names), dtype=np.uint8)[:, None, None] * np.ones((12, 16), np.uint8)
    return Volume(data, grid, channels=names, name="cells", rgb=rgb)


@pytest.mark.parametrize(
    ("has", "wants", "selected", "proposed"),
    [
        (("DAPI", "GFP"), ("image",), None, (0,)),
        (("DAPI", "GFP"), ("image",), 1, (1,)),
        (("DAPI", "GFP"), ("dapi",), 1, (0,)),
        (("red", "green", "blue", "alpha"), ("R", "G", "B"), None, (0, 1, 2)),
        (("a", "b", "c"), ("c", "other"), None, (2, 0)),
        (("a", "b"), ("a", "b"), None, None),
        (("a",), ("a", "b"), None, None),
    ],
)
def test_proposals(has: Any, wants: Any, selected: int | None, proposed: Any) -> None:
    spec = make_spec("model", channels=wants)
    assert default_channels(stained(*has), spec, selected) == proposed


@pytest.mark.parametrize("channels", [None, (1,), (2, 0)])
def test_an_outline_answers_like_the_image_itself(channels: Any) -> None:
    volume = stained("a", "b", "c", rgb=True)
    whole, line = fed(volume, channels), outline(volume, channels)
    assert line.grid == whole.grid
    assert line.channels == whole.channels
    for wants in (("x",), ("x", "y"), ("x", "y", "z")):
        spec = make_spec("model", channels=wants)
        assert fits(line, spec) == fits(whole, spec)
    if channels is not None:
        assert not any(line.data.strides), "no voxel is copied"


@pytest.fixture
def seen() -> list[Volume]:
    return []


@pytest.fixture
def session(seen: list[Volume], tmp_path: Any) -> Session:
    def predict(volume: Volume, model: Any, config: PredictConfig) -> Job[Prediction]:
        yield Progress("predicting")
        seen.append(volume)
        made = Provenance(model.spec.name, "", "cpu", 0.1)
        return Prediction(volume.grid.spatial, prediction_of(volume).labels, provenance=made)

    def train(items: Any, **how: Any) -> Job[Any]:
        seen.extend(item.volume for item in items)
        return (yield from fake_train(items, **how))

    store = FakeStore(make_spec("nuclei v1"), make_spec("pair", channels=("GFP", "DAPI")))
    return Session(
        store, lambda do: do(), predict=predict, train=train, folder=tmp_path / "training"
    )


def test_a_model_sees_the_chosen_channel_and_the_answer_names_it(
    session: Session, seen: list[Volume]
) -> None:
    answers: list[Any] = []
    session.predicted.connect(answers.append)
    session.set_image(stained("DAPI", "GFP", "RFP"), "key")
    session.use_model("nuclei v1")
    assert session.channels == (0,)
    session.choose_channels((2,))
    assert session.predict(PredictConfig())
    assert seen[0].grid.axes == "YX"
    assert (np.asarray(seen[0].data) == 2).all()
    assert answers[0].prediction.provenance.parameters["channels"] == ["RFP"]
    session.use_model("pair")
    assert session.channels == (1, 0), "channels meet by name"
    session.use_model("nuclei v1")
    assert session.channels == (2,), "the choice is remembered"
    session.set_image(stained("DAPI", "GFP", "RFP"), "another image")
    assert session.channels == (0,)


def test_a_model_for_grey_and_colour_sees_one_channel_of_what_is_no_colour() -> None:
    spec = make_spec("pictures", channels=("red", "green", "blue"), grey_as_color=True)
    for names in (("DAPI", "GFP"), ("DAPI", "GFP", "RFP")):
        assert default_channels(stained(*names), spec, selected=1) == (1,)
        assert default_channels(stained(*names), spec) == (0,)
        assert fits(outline(stained(*names), (1,)), spec) is None
    colours = stained("red", "green", "blue", rgb=True)
    assert default_channels(colours, spec) is None


def test_a_model_that_takes_all_channels_is_offered_first(session: Session) -> None:
    session.set_image(stained("a", "b"), "key")
    assert session.model == "pair"
    session.use_model("nuclei v1")
    session.set_image(stained("a", "b"), "key")
    assert session.model == "nuclei v1", "the person chose it"
    assert session.channels == (0,)


def test_learning_sees_the_channels_that_predicting_saw(
    session: Session, seen: list[Volume]
) -> None:
    from napari_apprentice.core.annotation import Extent, LabelClass
    from napari_apprentice.session.edits import AnnotationState

    volume = stained("DAPI", "GFP", "RFP")
    session.set_image(volume, "key")
    session.use_model("nuclei v1")
    session.choose_channels((1,))
    labels = np.eye(12, 16, dtype=np.uint8)
    state = AnnotationState(
        "cells", volume.grid.spatial, labels, (LabelClass(1, "nucleus"),), Extent(whole=True)
    )
    session.annotations["key"] = state
    assert session.learn(TrainConfig(), "nuclei v1")
    assert (np.asarray(seen[0].data) == 1).all()
    session.discard()
    assert session.learn(TrainConfig(), None)
    assert seen[1].grid.length("C") == 3, "a new network sees everything"
