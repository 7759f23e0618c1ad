"""Which model is offered first for an image."""

from __future__ import annotations

import numpy as np

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.session.choice import best_choice, model_choices

from .conftest import make_spec, make_volume

SPECS = {
    spec.name: spec
    for spec in (
        make_spec("far", spacing=(2.0, 2.0), unit="um"),
        make_spec("near old", spacing=(0.25, 0.25), unit="um", created="2026-01-01"),
        make_spec("near new", spacing=(0.25, 0.25), unit="um", created="2026-02-01"),
        make_spec("brain", 3, spacing=(1.0, 1.0, 1.0), unit="mm", orientation="LPS"),
        make_spec("two stains", channels=("a", "b")),
    )
}


def test_the_nearest_fitting_model_comes_first_and_the_newest_of_equals() -> None:
    choices = model_choices(SPECS, make_volume())
    assert [c.name for c in choices][:3] == ["near new", "near old", "far"]
    assert {c.name: c.reason for c in choices if c.reason} == {
        "brain": "expects 3-D",
        "two stains": "expects 2 channels, found 1",
    }
    assert best_choice(choices) == "near new"


def test_a_patient_volume_gets_a_patient_model() -> None:
    grid = Grid.regular("ZYX", (4, 5, 6), [1, 1, 1], unit="mm", world="LPS")
    choices = model_choices(SPECS, Volume(np.zeros((4, 5, 6)), grid))
    assert best_choice(choices) == "brain"


def test_without_an_image_models_are_listed_by_name() -> None:
    choices = model_choices(SPECS, None)
    assert [c.name for c in choices] == sorted(SPECS)
    assert best_choice([]) is None


def test_a_choice_describes_itself() -> None:
    spec = make_spec("child", parent="nuclei v1", scores={"dice": 0.876})
    (choice,) = model_choices({"child": spec}, None)
    assert choice.describe() == "semantic · 2-D · nucleus · learned from nuclei v1 · Dice 0.88"
