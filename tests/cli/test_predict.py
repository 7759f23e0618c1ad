from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.io import open_labels, open_volume, save

from .conftest import SPEC, spots, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_one_image_to_a_file(call: Callable[..., Any], data: Path, model: Path) -> None:
    image, out = data / "images" / "Fläche 1.tif", data / "größe.tif"
    answer = call("predict", image, "--model", model, "--out", out, "--json")
    assert answer.code == 0
    record = answer.json
    assert (record["path"], record["output"], record["model"]) == (
        str(image),
        str(out),
        "tiny model",
    )
    assert record["device"] == "cpu"
    assert record["seconds"] > 0
    assert open_labels(out).grid == open_volume(image).grid


def test_a_folder_to_a_folder(call: Callable[..., Any], data: Path, model: Path) -> None:
    out = data / "new" / "results"
    answer = call("predict", data / "images", "--model", model, "--out", out, "--json")
    assert answer.code == 0
    names = sorted(path.name for path in (data / "images").iterdir())
    assert sorted(path.name for path in out.iterdir()) == names
    assert len(answer.json) == len(names) == 3
    assert "spot" in open_labels(out / names[0]).classes.values()


def test_people_read_one_line_per_image(call: Callable[..., Any], data: Path, model: Path) -> None:
    answer = call("predict", data / "images", "--model", model, "--out", "out")
    assert answer.out.count("\n") == 3
    assert "µm²" in answer.out
    assert answer.err == ""


@pytest.mark.parametrize("name", ["volume.nii.gz", "picture.png"])
def test_the_result_has_the_format_and_place_of_its_input(
    call: Callable[..., Any], tmp_path: Path, model: Path, name: str
) -> None:
    shape = (3, 20, 24) if name.endswith(".gz") else (20, 24)
    grid = {"spacing": (3.0, 1.0, 1.0), "unit": "mm", "world": "LPS"} if len(shape) == 3 else {}
    source = write(tmp_path / name, spots(shape)[0], **grid)
    assert call("predict", source, "--model", model, "--out", "out").code == 0
    assert open_labels(tmp_path / "out" / name).grid == open_volume(source).grid


def test_a_jpeg_gets_a_lossless_result(
    call: Callable[..., Any], tmp_path: Path, model: Path
) -> None:
    from PIL import Image

    Image.fromarray(spots((20, 24))[0].astype(np.uint8)).save(tmp_path / "photo.jpg")
    assert call("predict", "photo.jpg", "--model", model, "--out", "out").code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_settings_are_flags_and_reach_the_prediction(
    call: Callable[..., Any], data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[PredictConfig] = []
    import napari_apprentice.engine.predict as engine

    real = engine.predict

    def watched(volume: Any, loaded: Any, config: PredictConfig) -> Any:
        seen.append(config)
        return real(volume, loaded, config)

    monkeypatch.setattr(engine, "predict", watched)
    flags = ("--overlap", "0.25", "--tile", "16x8", "--mirror", "--no-mixed-precision")
    image = data / "images" / "Fläche 1.tif"
    assert call("predict", image, "--model", model, "--out", "out", *flags).code == 0
    assert seen == [PredictConfig(overlap=0.25, tile=(16, 8), mirror=True, mixed_precision=False)]


def test_one_of_several_channels_is_shown_to_the_model(
    call: Callable[..., Any], tmp_path: Path, model: Path
) -> None:
    bright = spots((20, 24))[0]
    two = np.stack([np.zeros_like(bright), bright])
    source = tmp_path / "two.tif"
    save(Volume(two, Grid.regular("CYX", two.shape)), source)
    refused = call("predict", source, "--model", model, "--out", "out")
    assert refused.code == 2
    assert "found 2" in refused.err
    assert "channels of the image" in refused.err
    done = call("predict", source, "--model", model, "--out", "out", "--channels", "2")
    assert done.code == 0
    assert open_labels(tmp_path / "out" / "two.tif").grid.shape == (20, 24)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--overlap", "3"), ("--overlap", "much"), ("--device", "tpu"), ("--tile", "a")],
)
def test_a_setting_out_of_bounds_is_named(
    call: Callable[..., Any], data: Path, model: Path, flag: str, value: str
) -> None:
    image = data / "images" / "Fläche 1.tif"
    answer = call("predict", image, "--model", model, "--out", "out", flag, value)
    assert answer.code == 2
    assert flag in answer.error
    assert repr(value) in answer.error


# -- bad input ----------------------------------------------------------------------------


def test_a_bad_file_among_good_ones_is_named_and_left_out(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    bad = data / "images" / "cut.tif"
    bad.write_bytes((data / "images" / "Fläche 1.tif").read_bytes()[:60])
    answer = call("predict", data / "images", "--model", model, "--out", "out", "--json")
    assert answer.code == 1
    assert "cut.tif" in answer.error
    broken = [record for record in answer.json if "error" in record]
    assert [record["path"] for record in broken] == [str(bad)]
    assert broken[0]["output"] is None
    assert len(list((data / "out").iterdir())) == 3


def test_an_absent_file_among_good_ones_is_named_and_left_out(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    image = data / "images" / "Fläche 1.tif"
    answer = call("predict", "absent.tif", image, "--model", model, "--out", "out")
    assert answer.code == 1
    assert "absent.tif" in answer.error
    assert (data / "out" / image.name).exists()


def test_a_single_bad_file_is_bad_input(call: Callable[..., Any], data: Path, model: Path) -> None:
    (data / "cut.tif").write_bytes(b"II*\0")
    answer = call("predict", "cut.tif", "--model", model, "--out", "out")
    assert answer.code == 2
    assert "cut.tif" in answer.error


def test_an_unknown_model_is_named(call: Callable[..., Any], data: Path) -> None:
    answer = call("predict", data / "images", "--model", "nucleii", "--out", "out")
    assert answer.code == 2
    assert "nucleii" in answer.error
    assert not (data / "out").exists()


def test_a_file_name_cannot_take_several_results(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    answer = call("predict", data / "images", "--model", model, "--out", "all.tif")
    assert answer.code == 2
    assert "all.tif" in answer.error


def test_results_of_two_inputs_never_share_a_file(
    call: Callable[..., Any], tmp_path: Path, model: Path
) -> None:
    first = write(tmp_path / "a" / "x.tif", spots((16, 16))[0])
    second = write(tmp_path / "b" / "x.tif", spots((16, 16))[0])
    answer = call("predict", first, second, "--model", model, "--out", "out")
    assert answer.code == 2
    assert str(second) in answer.error


def test_an_input_is_never_overwritten(call: Callable[..., Any], data: Path, model: Path) -> None:
    before = {path: path.read_bytes() for path in (data / "images").iterdir()}
    answer = call("predict", data / "images", "--model", model, "--out", data / "images")
    assert answer.code == 1
    assert "overwrite" in answer.err
    assert before == {path: path.read_bytes() for path in (data / "images").iterdir()}


@pytest.mark.parametrize("kind", ["flat", "colour"])
def test_a_volume_that_does_not_fit_the_model_is_explained(
    call: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    import torch

    from napari_apprentice.models.store import build_network, save_model

    flat = kind == "flat"
    spec = SPEC.model_copy(update={"ndim": 3, "tile": (8, 8, 8)}) if flat else SPEC
    save_model(spec, build_network(spec).state_dict(), tmp_path / "model")
    array = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    from PIL import Image

    Image.fromarray(array[..., 0] if flat else array).save(tmp_path / "picture.png")
    assert torch.get_default_dtype() == torch.float32
    answer = call("predict", "picture.png", "--model", "model", "--out", "out")
    assert answer.code == 2
    assert "picture.png" in answer.error
    assert ("3-D" if flat else "channel") in answer.error


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    locked = data / "locked"
    locked.mkdir(mode=0o500)
    image = data / "images" / "Fläche 1.tif"
    answer = call("predict", image, "--model", model, "--out", locked / "out")
    assert answer.code == 2
    assert "locked" in answer.error


def test_a_file_in_the_place_of_the_folder_is_named(
    call: Callable[..., Any], data: Path, model: Path
) -> None:
    (data / "taken").touch()
    image = data / "images" / "Fläche 1.tif"
    answer = call("predict", image, "--model", model, "--out", data / "taken" / "out")
    assert answer.code == 2
    assert "taken" in answer.error


def test_ctrl_c_leaves_nothing_half_written(
    call: Callable[..., Any], data: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_apprentice.cli._console import Listener

    shown: list[object] = []
    show = Listener._show

    def press(self: Listener, event: object) -> None:
        shown.append(event)
        if len(shown) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        show(self, event)

    monkeypatch.setattr(Listener, "_show", press)
    # A job in the background of a shell begins with SIGINT ignored.
    before = signal.getsignal(signal.SIGINT)
    answer = call("predict", data / "images", "--model", model, "--out", "out")
    assert answer.code == 130
    assert not (data / "out").exists()
    assert signal.getsignal(signal.SIGINT) is before
