"""The demo tells its story through the docks; a tiny model and two steps make it a short one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.widgets import demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PICTURES = ["1-opened", "2-predicted", "3-corrected", "4-learned", "5-predicted-again"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder with one tiny 3-D model."""
    import torch

    from napari_apprentice.models.store import ModelStore, build_network

    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    spec = ModelSpec(
        name="tiny",
        task="semantic",
        network="unet",
        network_args={"channels": [4, 8], "strides": [2], "num_res_units": 0},
        ndim=3,
        tile=(32, 32, 32),
        classes=tuple(ClassSpec(value=v, name=n) for v, n in ((1, "anterior"), (2, "posterior"))),
    )
    torch.manual_seed(0)
    ModelStore().save(spec, build_network(spec).state_dict())
    return tmp_path / "home"


def test_the_story_is_played_to_its_end(
    make_napari_viewer: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    config = TrainConfig(steps=2, checks=1, batch_size=1, device="cpu")
    outcome = demo.Demo(viewer, tmp_path / "out", config, model="tiny").play()
    assert [path.stem for path in sorted((tmp_path / "out").glob("*.png"))] == PICTURES
    assert len(outcome.corrected) >= 5
    assert 0 <= outcome.before <= 1
    assert 0 <= outcome.after <= 1
    assert f"{len(outcome.corrected)} corrected slices" in outcome.describe()
    names = [layer.name for layer in viewer.layers]
    assert sum("tiny" in name for name in names) == 2
    assert sum("annotation" in name for name in names) == 1
    viewer.close()


def test_a_missing_model_ends_the_story_with_a_sentence(
    make_napari_viewer: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    with pytest.raises(ApprenticeError, match="nobody"):
        demo.Demo(viewer, tmp_path / "out", TrainConfig(steps=1), model="nobody").play()
    viewer.close()


def test_better_means_better_where_nobody_corrected() -> None:
    assert demo.Outcome(0.5, 0.6, (1,), {}).is_better
    assert not demo.Outcome(0.6, 0.6, (1,), {}).is_better
