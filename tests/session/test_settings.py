"""Preferences: what is valid is taken, the rest never blocks the start."""

from __future__ import annotations

from typing import Any

import pytest

from napari_apprentice.session.settings import Preferences


def test_valid_values_reach_both_forms() -> None:
    found = Preferences.read({"device": "cpu", "training_minutes": 2})
    assert (found.predict.device, found.train.device, found.train.minutes) == ("cpu", "cpu", 2.0)


@pytest.mark.parametrize(
    "values", [{}, {"device": "abacus"}, {"training_minutes": -1}, {"training_minutes": "soon"}]
)
def test_anything_else_keeps_the_defaults(values: dict[str, Any]) -> None:
    assert Preferences.read(values) == Preferences()
