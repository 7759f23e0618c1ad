"""Form → config → the same value, for every valid value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.session.choice import network_choices
from napari_apprentice.widgets.form import ConfigForm

pytestmark = pytest.mark.usefixtures("qapp")

share = st.floats(0, 0.8)
predict_configs = st.builds(
    PredictConfig,
    device=st.sampled_from(["auto", "cpu", "cuda", "cuda:3", "mps"]),
    overlap=share,
    mirror=st.booleans(),
    tile=st.none() | st.lists(st.integers(1, 4096), min_size=2, max_size=3).map(tuple),
    mixed_precision=st.booleans(),
)
train_configs = st.builds(
    TrainConfig,
    minutes=st.floats(1e-6, 100_000),
    epochs=st.none() | st.integers(1, 10**9),
    steps=st.none() | st.integers(1, 10**9),
    batch_size=st.integers(1, 64),
    learning_rate=st.none() | st.floats(1e-12, 1),
    weight_decay=st.floats(0, 1),
    ema=share,
    augment=st.sampled_from(["none", "light", "strong"]),
    held_out=share,
    patience=st.none() | st.integers(1, 100),
    freeze=share,
    seed=st.integers(0, 2**31 - 1),
)


@settings(max_examples=25, deadline=None)
@given(predict_configs | train_configs)
def test_a_form_says_what_it_was_given(config: BaseModel) -> None:
    assert ConfigForm(config).value() == config
    other = ConfigForm(type(config)())
    other.set_value(config)
    assert other.value() == config


def test_small_numbers_are_not_rounded_away() -> None:
    form = ConfigForm(TrainConfig(learning_rate=1e-3, weight_decay=1e-5))
    form.row("learning_rate").value = "2e-4"
    assert form.value().learning_rate == 2e-4
    assert form.value().weight_decay == 1e-5


def test_fields_stand_below_each_other(qtbot: Any) -> None:
    form = ConfigForm(TrainConfig(), main=("minutes", "epochs", "learning_rate", "held_out"))
    qtbot.addWidget(form.native)
    form.native.show()
    names = ("minutes", "epochs", "learning_rate", "held_out")
    for size in (10, 16):
        form.native.setStyleSheet(f"* {{ font-size: {size}pt }}")
        qtbot.wait(1)
        origin = form.native.mapToGlobal(form.native.rect().topLeft())
        fields = [form.row(name).native for name in names]
        lefts = {field.mapToGlobal(field.rect().topLeft()).x() - origin.x() for field in fields}
        assert len(lefts) == 1


def test_every_field_has_a_row_with_title_tooltip_and_unit() -> None:
    form = ConfigForm(TrainConfig(), main=("minutes",))
    assert form.names == list(TrainConfig.model_fields)
    for name, field in TrainConfig.model_fields.items():
        assert field.title in form.row(name).label
        assert form.row(name).tooltip == field.description
    assert form.row("minutes").label == "Time (min)"


def test_empty_means_none_where_none_is_allowed() -> None:
    form = ConfigForm(TrainConfig(epochs=3))
    form.row("epochs").value = " "
    assert form.value().epochs is None


def test_tiles_are_written_as_people_write_them() -> None:
    form = ConfigForm(PredictConfig(tile=(32, 64, 64)))
    assert form.row("tile").value == "32 × 64 × 64"
    for text in ("16 x 32 x 32", "16, 32 32"):
        form.row("tile").value = text
        assert form.value().tile == (16, 32, 32)


@pytest.mark.parametrize(
    ("config", "name", "text", "says"),
    [
        (PredictConfig(), "overlap", "2", "Tile overlap: input should be less than"),
        (PredictConfig(), "overlap", "a lot", "Tile overlap: input should be a valid number"),
        (PredictConfig(), "unsure", "", "Unsure below:"),
        (PredictConfig(), "tile", "64 × big", "Tile:"),
        (TrainConfig(), "minutes", "0", "Time: input should be greater than 0"),
        (TrainConfig(), "minutes", "nan", "Time:"),
    ],
)
def test_nonsense_is_said_in_a_sentence(config: Any, name: str, text: str, says: str) -> None:
    form: ConfigForm[Any] = ConfigForm(config)
    assert form.problem is None
    form.row(name).value = text
    assert str(form.problem).startswith(says)
    assert str(form.problem).endswith(text.split(" × ")[-1])
    with pytest.raises(ValidationError):
        form.value()


def test_a_choice_is_read_by_title_and_may_be_none() -> None:
    form = ConfigForm(TrainConfig(), choices={"network": network_choices("semantic")})
    row = form.row("network")
    assert [row.native.itemText(n) for n in (0, 1)] == ["automatic", "Attention U-Net"]
    assert form.value() == TrainConfig()
    row.value = "recurrent_unet"
    assert form.value() == TrainConfig(network="recurrent_unet")
    form.offer("network", network_choices("anomaly"))
    assert row.choices == (None, "autoencoder")
    assert form.value().network is None
    form.set_value(TrainConfig(network="gone"))
    assert form.value().network == "gone"
    form.set_value(TrainConfig())
    assert form.value().network is None


def test_edits_are_told_and_settings_are_not() -> None:
    form, heard = ConfigForm(PredictConfig()), []
    form.changed.connect(lambda: heard.append(1))
    form.set_value(PredictConfig(overlap=0.25, device="cuda:1"))
    assert heard == []
    form.row("mirror").value = True
    assert heard == [1]


def test_what_is_not_main_is_folded_away(qtbot: Any) -> None:
    form = ConfigForm(PredictConfig(), main=("device",))
    qtbot.addWidget(form.native)
    form.native.show()
    assert form.row("device").native.isVisible()
    assert form.native.findChild(type(form.row("mirror").native)) is not None
    assert form.row("overlap").native.visibleRegion().isEmpty()
