"""The package's functions are there, light to import, and do what their examples say."""

from __future__ import annotations

import doctest
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import napari_apprentice
from napari_apprentice.core.errors import BadInputError, ModelError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Progress
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ModelSpec(
    name="tiny model",
    task="semantic",
    network="unet",
    network_args={"channels": [4, 8], "strides": [2], "num_res_units": 0},
    ndim=3,
    tile=(8, 16, 16),
    classes=(ClassSpec(value=1, name="spot"),),
)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples speak of: a brain, images and labels, and a model."""
    import torch

    from napari_apprentice.models.store import ModelStore, build_network

    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    ModelStore().save(SPEC, build_network(SPEC).state_dict())
    random = np.random.default_rng(0)
    grid = Grid.regular("ZYX", (8, 16, 16), (1, 1, 1), unit="mm", world="LPS")
    labels = np.zeros(grid.shape, np.uint8)
    labels[2:6, 4:9, 4:9] = 1
    image = (random.normal(0, 1, grid.shape) + 5 * labels).astype(np.float32)
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    for path, array in {
        "brain.nii.gz": image,
        "images/a.nii.gz": image,
        "images/b.nii.gz": image[::-1],
        "labels/a.nii.gz": labels,
        "labels/b.nii.gz": labels[::-1],
    }.items():
        classes = {1: "spot"} if array.dtype == np.uint8 else {}
        napari_apprentice.save(Volume(array, grid, classes=classes), path)
    return tmp_path


def test_every_public_name_is_there() -> None:
    for name in napari_apprentice.__all__:
        assert getattr(napari_apprentice, name) is not None
        assert name in dir(napari_apprentice)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="segment_everything"):
        napari_apprentice.segment_everything  # noqa: B018


def test_reading_an_image_loads_no_torch(workplace: Path) -> None:
    code = (
        "import sys, napari_apprentice as a; a.open_volume('brain.nii.gz'); a.info('brain.nii.gz');"
        "a.list_models(); print([m for m in ('torch', 'monai', 'napari', 'qtpy') if m in sys.modules])"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(
        command, cwd=workplace, capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(set(napari_apprentice.__all__) - {"__version__"}))
def test_examples_run(workplace: Path, name: str) -> None:
    function = getattr(napari_apprentice, name)
    names = {n: getattr(napari_apprentice, n) for n in napari_apprentice.__all__}
    examples = doctest.DocTestFinder(recurse=False).find(function, name, globs=names)
    output: list[str] = []
    for example in examples:
        doctest.DocTestRunner(verbose=False).run(example, out=output.append)
    assert output == []
    if function.__module__.endswith("verbs"):
        assert any(example.examples for example in examples)


def test_predict_takes_a_volume_and_tells_what_it_does(workplace: Path) -> None:
    events: list[Event] = []
    volume = napari_apprentice.open_volume("brain.nii.gz")
    model = napari_apprentice.load_model("tiny model")
    prediction = napari_apprentice.predict(volume, model, device="cpu", listen=events.append)
    assert prediction.grid == volume.grid
    assert prediction.provenance is not None
    assert prediction.provenance.model == "tiny model"
    assert any(isinstance(event, Progress) for event in events)


def test_train_saves_where_it_is_told(workplace: Path) -> None:
    model = napari_apprentice.train(
        "images", "labels", out="new model", init="tiny model", steps=1, device="cpu"
    )
    assert model.folder is not None
    assert model.spec.name == "new model"
    assert napari_apprentice.load_model("new model").fingerprint == model.fingerprint


def test_wrong_settings_are_named(workplace: Path) -> None:
    with pytest.raises(BadInputError, match=r"overlapp.*Known settings: device"):
        napari_apprentice.predict("brain.nii.gz", "tiny model", overlapp=0.5)
    with pytest.raises(BadInputError, match="minutes"):
        napari_apprentice.train("images", "labels", minutes=0)
    with pytest.raises(ModelError, match="tiny model"):
        napari_apprentice.predict("brain.nii.gz", "tiny modell")
    with pytest.raises(BadInputError, match="resume"):
        napari_apprentice.train("images", "labels", resume=True)
