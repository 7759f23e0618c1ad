"""From class folders to a model that makes images up, to files that say what they are, and to a classifier beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_apprentice
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.synthesise import make_sheet, make_way
from napari_apprentice.io import open_volume, save
from napari_apprentice.models.store import Model, ModelStore, build_network, load_spec

FAST = ("--steps", "2", "--checks", "1", "--batch-size", "4", "--device", "cpu", "--tile", "32,32")


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(number).integers(0, 255, (16, 16)).astype(np.uint8)
    save(Volume(data, Grid.regular("YX", (16, 16))), path)


def maker(name: str = "coins v1", kinds: tuple[str, ...] = ("Füße", "hand"), **args: Any) -> Model:
    """A model with fresh weights."""
    spec = ModelSpec(
        name=name,
        task="synthesis",
        network="gan",
        network_args={"channels": [4, 8], "latent": 4, "size": [16, 16]},
        task_args={"sees": "whole", "dtype": "uint8", **args},
        ndim=2,
        tile=(16, 16),
        normalization=Normalization(kind="window", low=0, high=255),
        classes=tuple(ClassSpec(value=n, name=k) for n, k in enumerate(kinds, start=1)),
    )
    return ModelStore().save(spec, build_network(spec).state_dict())


def test_from_class_folders_to_marked_files_beside_them(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(12):
        picture(tmp_path / "images" / ("a", "b")[number % 2] / f"{number}.png", number)
    (tmp_path / "images" / "empty").mkdir()
    made = call(
        "train", "--task", "synthesis", "--images", "images", "--out", "model", *FAST, "--json"
    )
    assert made.code == 0, made.err
    assert "empty has no image" in made.err
    assert {"kernel_distance", "variety"} <= set(made.json["scores"])
    assert [c.name for c in load_spec(tmp_path / "model").classes] == ["a", "b"]
    said = call("synthesise", "model", "--out", "images", "--count", "3", "--json")
    assert said.code == 0, said.err
    assert said.json["classes"] == {"a": 3, "b": 3}
    files = [Path(f) for f in said.json["files"]]
    assert files[0] == Path("images/a/model-000000.synthetic.png")
    volume = open_volume(files[0])
    assert (volume.grid.shape, volume.dtype) == ((32, 32), np.uint8)
    assert volume.synthetic == "made up by the model model (class a, seed 0)"
    shown = call("info", files[0], "--json")
    assert "made up by" in shown.json["synthetic"]
    again = call("synthesise", "model", "--out", "images", "--count", "2", "--class", "B")
    assert "2 images written to images (2 b); marked as synthetic" in again.out
    assert (tmp_path / "images" / "b" / "model-000004.synthetic.png").exists()
    taught = call(
        "train", "--task", "image_class", "--images", "images", "--out", "classes", *FAST, "--json"
    )
    assert taught.code == 0, taught.err
    split = taught.json["split"]
    assert split["note"].endswith("8 made-up images only learned from")
    assert not any("synthetic" in name for name in split["held_out"])


def test_a_plain_folder_makes_one_kind_and_files_lie_in_the_folder_itself(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    for number in range(4):
        picture(tmp_path / "images" / f"{number}.png", number)
    made = call("train", "--task", "synthesis", "--images", "images", "--out", "model", *FAST)
    assert made.code == 0, made.err
    said = call("synthesise", "model", "--out", "more", "--count", "2", "--suffix", ".tif")
    assert said.code == 0, said.err
    assert sorted(p.name for p in (tmp_path / "more").iterdir()) == [
        "model-000000.synthetic.tif",
        "model-000001.synthetic.tif",
    ]


def test_a_seed_makes_the_same_image_every_time() -> None:
    maker()
    one = napari_apprentice.synthesise("coins v1", "hand", count=3, seed=5)
    other = napari_apprentice.synthesise("coins v1", count=1, seed=7)
    assert [v.name for v in other] == [
        "Füße coins-v1-000007.synthetic",
        "hand coins-v1-000007.synthetic",
    ]
    np.testing.assert_array_equal(one[2].numpy(), other[1].numpy())
    assert not np.array_equal(one[1].numpy(), one[2].numpy())
    written = napari_apprentice.synthesise("coins v1", "Füße", count=1, seed=7, out="x")
    assert written[0].source == str(Path("x/Füße/coins-v1-000007.synthetic.png"))
    np.testing.assert_array_equal(written[0].numpy(), other[0].numpy())


def test_the_way_from_one_image_to_another_has_both_ends() -> None:
    model = maker()
    way = run_to_end(make_way(model, 3, 4, 5, "hand"))
    ends = napari_apprentice.synthesise(model, "hand", count=2, seed=3)
    assert len(way) == 5
    for step, end in zip((way[0], way[-1]), ends, strict=True):
        assert np.abs(step.numpy().astype(int) - end.numpy()).max() <= 1
        assert step.synthetic
    sheet = run_to_end(make_sheet(model, 0))
    assert sheet.synthetic
    assert sheet.grid.shape == (4 * 18 - 2, 6 * 18 - 2)


def test_names_of_foreign_models_lead_nowhere_else(tmp_path: Path) -> None:
    model = maker("x", ("../up", "c:\\d"))
    found = napari_apprentice.synthesise(model, count=1, out=tmp_path / "out")
    assert {Path(str(v.source)).parent for v in found} == {
        tmp_path / "out" / "-up",
        tmp_path / "out" / "c--d",
    }


def test_what_cannot_be_made_is_said(call: Callable[..., Any], tmp_path: Path) -> None:
    maker()
    wrong = call("synthesise", "coins v1", "--out", "x", "--class", "foot")
    assert wrong.code == 2
    assert "expected one of the classes Füße, hand, found 'foot'" in wrong.error
    other = call("synthesise", "modality", "--out", "x")
    assert "expected a model that makes images up, modality is for image_class" in other.error
    bad = call("synthesise", "coins v1", "--out", "x", "--count", "0")
    assert "--count" in bad.error
    (tmp_path / "file").write_text("")
    taken = call("synthesise", "coins v1", "--out", "file")
    assert (taken.code, "cannot be made" in taken.error) == (2, True)
    picture(tmp_path / "a.png", 0)
    used = call("predict", "a.png", "--model", "coins v1", "--out", "x.png")
    assert "makes images up and is not applied to one" in used.error
    with pytest.raises(BadInputError, match="Known settings: count"):
        napari_apprentice.synthesise("coins v1", size=3)
    assert not (tmp_path / "x").exists()
