"""MONAI bundles: what is declared is read, what is code is refused and never run."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks.nets.attentionunet import AttentionUnet
from monai.networks.nets.basic_unet import BasicUNet
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.unet import UNet
from safetensors.torch import save_file

from napari_apprentice.core.errors import ModelError
from napari_apprentice.models.bundle import is_bundle, load_bundle
from napari_apprentice.models.store import ModelStore

Json = dict[str, Any]
Change = Callable[[Json], Any]

UNET: Json = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": [2, 4],
    "strides": [2],
    "num_res_units": 2,
    "norm": "batch",
}
METADATA: Json = {
    "version": "0.2.0",
    "name": "Spleen / CT: example",
    "description": "Finds two organs",
    "data_source": "drawn here",
    "copyright": "Copyright (c) nobody",
    "eval_metrics": {"mean_dice": 0.96, "note": "text"},
    "references": ["One, 2020.", "Two, 2021."],
    "network_data_format": {
        "inputs": {"image": {"spatial_shape": [32, 24, 16], "channel_def": {"0": "CT"}}},
        "outputs": {
            "pred": {
                "format": "segmentation",
                "channel_def": {"0": "background", "1": "spleen", "2": "liver"},
            }
        },
    },
}
CONFIG: Json = {
    "imports": ["$import glob"],
    "image_key": "image",
    "low": {"values": [-57, 164]},
    "device": "$torch.device('cpu')",
    "network_def": UNET,
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "LPS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.0, 1.5, 3.0]},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "@image_key",
                "a_min": "@low#values#0",
                "a_max": "@low::values::1",
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "@image_key"},
        ],
    },
    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [48, 40, 31]},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "SaveImaged", "output_dtype": "$numpy.float32"},
        ],
    },
}
CLASSES = {
    "UNet": UNet,
    "AttentionUnet": AttentionUnet,
    "BasicUNet": BasicUNet,
    "SegResNet": SegResNet,
    "DynUNet": DynUNet,
}


def network_of(definition: Json) -> torch.nn.Module:
    """The bundle's own network, with batch statistics that are not trivial."""
    torch.manual_seed(0)
    arguments = {k: v for k, v in definition.items() if k != "_target_"}
    network: torch.nn.Module = CLASSES[definition["_target_"].split(".")[-1]](**arguments)
    network.train()
    network(torch.randn(2, arguments["in_channels"], *(32,) * arguments["spatial_dims"]))
    return network.eval()


def write(
    folder: Path,
    *,
    network: Json | None = None,
    config: Change | None = None,
    metadata: Change | None = None,
    weights: bool = True,
) -> Path:
    """Write a bundle to `folder`, changed as a test wants it."""
    files = {"inference.json": copy.deepcopy(CONFIG), "metadata.json": copy.deepcopy(METADATA)}
    if network is not None:
        files["inference.json"]["network_def"] = network
    if config is not None:
        config(files["inference.json"])
    if metadata is not None:
        metadata(files["metadata.json"])
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    for name, content in files.items():
        (folder / "configs" / name).write_text(json.dumps(content))
    if weights:
        torch.save(network_of(network or UNET).state_dict(), folder / "models" / "model.pt")
    return folder


def transforms(config: Json) -> list[Json]:
    steps: list[Json] = config["preprocessing"]["transforms"]
    return steps


# -- what is declared is read ------------------------------------------------------------


def test_description_is_read(tmp_path: Path) -> None:
    spec = load_bundle(write(tmp_path / "b")).spec
    assert spec.name == "Spleen CT example"
    assert (spec.task, spec.network, spec.ndim) == ("semantic", "unet", 3)
    assert spec.channels == ("CT",)
    assert [(c.value, c.name) for c in spec.classes] == [(1, "spleen"), (2, "liver")]
    assert spec.spacing == (3.0, 1.5, 1.0)
    assert (spec.unit, spec.orientation) == ("mm", "LPS")
    assert (spec.normalization.kind, spec.normalization.low, spec.normalization.high) == (
        "window",
        -57,
        164,
    )
    assert spec.tile == (32, 40, 48)
    assert spec.scores == {"mean_dice": 0.96}
    assert spec.citation == "One, 2020. Two, 2021."
    assert spec.licence == "unknown"
    assert spec.data == "drawn here"
    assert spec.training["copyright"] == "Copyright (c) nobody"


def test_little_metadata_is_enough(tmp_path: Path) -> None:
    def strip(config: Json) -> None:
        transforms(config)[2:5] = [
            {"_target_": "monai.transforms.NormalizeIntensityd", "keys": "image"}
        ]
        del config["inferer"], config["postprocessing"]

    folder = write(tmp_path / "organ finder", config=strip, metadata=lambda m: m.clear())
    spec = load_bundle(folder).spec
    assert spec.name == "organ finder"
    assert spec.channels == ("image",)
    assert [c.name for c in spec.classes] == ["class 1", "class 2"]
    assert (spec.spacing, spec.unit, spec.orientation) == (None, "pixel", None)
    assert spec.normalization.kind == "zscore"
    assert spec.tile == (96, 96, 96)


NETWORKS: list[Json] = [
    UNET,
    UNET | {"spatial_dims": 2, "in_channels": 3, "norm": "INSTANCE", "num_res_units": 0},
    UNET
    | {"_target_": "monai.networks.nets.UNet", "channels": [2, 3, 4], "strides": [[1, 2, 2], 2]},
    {
        "_target_": "monai.networks.nets.attentionunet.AttentionUnet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 3,
        "channels": [2, 4],
        "strides": [2],
    },
    {
        "_target_": "BasicUNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 2,
        "features": [2, 2, 3, 3, 4, 2],
        "norm": ["batch", {"affine": True}],
    },
    {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "in_channels": 2,
        "out_channels": 2,
        "init_filters": 8,
        "blocks_down": [1, 1],
        "blocks_up": [1],
        "dropout_prob": 0.2,
    },
    {
        "_target_": "DynUNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 3,
        "kernel_size": [[1, 3, 3], 3, 3],
        "strides": [1, [1, 2, 2], 2],
        "upsample_kernel_size": [[1, 2, 2], 2],
        "filters": [2, 3, 4],
        "res_block": True,
    },
]


@pytest.mark.parametrize("definition", NETWORKS, ids=lambda d: d["_target_"].split(".")[-1])
def test_same_answer_in_our_order_of_axes(tmp_path: Path, definition: Json) -> None:
    ndim = definition["spatial_dims"]

    def plain(config: Json) -> None:
        transforms(config)[:] = [{"_target_": "ScaleIntensityd"}]

    model = load_bundle(write(tmp_path / "b", network=definition, config=plain))
    image = torch.randn(1, definition["in_channels"], *(16, 32, 48)[-ndim:])
    back = (0, 1, *range(ndim + 1, 1, -1))
    with torch.inference_mode():
        expected = network_of(definition)(image).permute(back)
        found = model.build()(image.permute(back))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert len(model.spec.channels) == definition["in_channels"]


def test_patients_in_ras_get_mirrored_kernels(tmp_path: Path) -> None:
    def to_ras(config: Json) -> None:
        transforms(config)[2]["axcodes"] = "RAS"

    model = load_bundle(write(tmp_path / "b", config=to_ras))
    assert model.spec.orientation == "LPS"
    ras = torch.randn(1, 1, 48, 52, 12)
    with torch.inference_mode():
        expected = network_of(UNET)(ras).permute(0, 1, 4, 3, 2).flip(3, 4)
        lps = ras.permute(0, 1, 4, 3, 2).flip(3, 4)
        # Striding keeps every other voxel: mirrored, the other ones. One voxel's shift gives the same again.
        found = model.build()(lps.roll((-1, -1), (3, 4))).roll((1, 1), (3, 4))
    inner = (..., slice(16, -16), slice(16, -16))
    torch.testing.assert_close(found[inner], expected[inner], rtol=1e-4, atol=1e-5)
    with torch.inference_mode():
        unturned = model.build()(ras.permute(0, 1, 4, 3, 2))
    assert not torch.allclose(unturned[inner], expected[inner].flip(3, 4), atol=1e-2)


def test_ras_is_refused_where_mirroring_is_not_exact(tmp_path: Path) -> None:
    def to_ras(config: Json) -> None:
        transforms(config)[2]["axcodes"] = "RAS"

    folder = write(tmp_path / "b", network=NETWORKS[5] | {"in_channels": 1}, config=to_ras)
    with pytest.raises(ModelError, match="cannot be mirrored exactly"):
        load_bundle(folder)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_weights_in_every_declared_place(tmp_path: Path, wrapper: str | None) -> None:
    folder = write(tmp_path / "b", weights=False)
    state = network_of(UNET).state_dict()
    torch.save(
        state if wrapper is None else {wrapper: state, "epoch": 3}, folder / "models" / "model.pt"
    )
    first = load_bundle(folder).fingerprint
    (folder / "models" / "model.pt").unlink()
    save_file(state, folder / "models" / "model.safetensors")
    assert load_bundle(folder).fingerprint == first


def test_a_bundle_is_added_to_the_store(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    assert is_bundle(folder)
    assert not is_bundle(tmp_path)
    store = ModelStore(tmp_path / "models")
    names = [store.add(folder), store.add(folder)]
    assert names == ["Spleen CT example", "Spleen CT example 2"]
    assert all(store.verify(name) == [] for name in names)
    card = (store.folder / names[0] / "README.md").read_text("utf-8")
    assert "| imported from | MONAI bundle |" in card


# -- what is code is refused and never run ------------------------------------------------


def touch(sentinel: Path) -> str:
    return f"__import__('os').mkdir({str(sentinel)!r})"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: c["network_def"].update(_target_="os.system"), r"found 'os\.system'"),
        (
            lambda c, s: c["network_def"].update(_target_="scripts.net.UNet"),
            r"found 'scripts\.net\.UNet'",
        ),
        (
            lambda c, s: c["network_def"].update(_target_="monai.networks.nets.UNet.x"),
            "expected one of the",
        ),
        (
            lambda c, s: c["network_def"].update(channels="$" + touch(s)),
            "found code or a file reference",
        ),
        (lambda c, s: c["network_def"].update(_disabled_="$" + touch(s)), "found '_disabled_'"),
        (lambda c, s: c["network_def"].update(_requires_="$" + touch(s)), "found '_requires_'"),
        (
            lambda c, s: c.update(
                channels="$" + touch(s), network_def=UNET | {"channels": "@channels"}
            ),
            "found code",
        ),
        (
            lambda c, s: c["network_def"].update(act={"_target_": "os.system"}),
            "expected act 'prelu'",
        ),
        (lambda c, s: c["network_def"].update(channels="%other.json#x"), "file reference"),
        (lambda c, s: c["network_def"].update(channels="@nowhere"), "reference '@nowhere'"),
        (
            lambda c, s: c.update(a="@b", b="@a", network_def=UNET | {"channels": "@a"}),
            "do not end",
        ),
        (
            lambda c, s: transforms(c).append({"_target_": "Lambdad", "func": "$" + touch(s)}),
            "found code",
        ),
        (
            lambda c, s: transforms(c).append({"_target_": "os.system", "command": touch(s)}),
            "found 'system'",
        ),
        (lambda c, s: c.update(preprocessing="$" + touch(s)), "found code"),
        (lambda c, s: c.update(network_def="$" + touch(s)), "found code"),
        (lambda c, s: c.update(network_def=[1]), "expected a network_def"),
        (lambda c, s: c.pop("network_def"), "expected network_def in one of"),
    ],
)
def test_code_is_refused_and_not_run(
    tmp_path: Path, change: Callable[[Json, Path], Any], message: str
) -> None:
    sentinel = tmp_path / "sentinel"
    folder = write(tmp_path / "b", config=lambda c: change(c, sentinel))
    with pytest.raises(ModelError, match=message) as caught:
        load_bundle(folder)
    assert "configs" in (caught.value.path or "")
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act": "RELU"}, "expected act 'prelu' in UNet, found 'RELU'"),
        ({"kernel_size": 5}, "expected kernel_size 3"),
        ({"flavour": 1}, "expected known arguments of UNet, found 'flavour'"),
        ({"spatial_dims": 1}, "expected 2 or 3 spatial_dims, found 1"),
        ({"out_channels": "many"}, "expected out_channels from 1 to 1024, found 'many'"),
        ({"out_channels": 1}, "expected 2 to 255 output channels"),
        ({"strides": 2}, "expected a list of numbers per level"),
        ({"norm": "layer"}, "norm"),
        ({"channels": [2, 10**9]}, "channels"),
        ({"channels": [2, 8]}, r"expected 'model\.\S+' of shape"),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, change: Json, message: str) -> None:
    folder = write(tmp_path / "b", config=lambda c: c["network_def"].update(change))
    with pytest.raises(ModelError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.append({"_target_": "CropForegroundd"}), "found 'CropForegroundd'"),
        (
            lambda t: t.append({"_target_": "ScaleIntensityd"}),
            "expected one scaling of intensities",
        ),
        (lambda t: t.pop(4), "that scales intensities, found none"),
        (lambda t: t[4].update(clip=False), "expected clip True"),
        (lambda t: t[4].update(b_max=255), "expected b_max 1"),
        (lambda t: t[4].update(a_min="low"), "expected numbers for a_min"),
        (lambda t: t[4].update(a_min=500), "low must be below high"),
        (
            lambda t: t[4].update(_target_="NormalizeIntensityd", nonzero=True),
            "expected nonzero False",
        ),
        (lambda t: t[4].update(_target_="ScaleIntensityd", minv=-1), "expected minv 0"),
        (
            lambda t: t[4].update(_target_="ScaleIntensityRangePercentilesd", lower=5),
            "numbers for lower, upper",
        ),
        (lambda t: t[2].update(axcodes="SAR"), "expected axcodes in the order"),
        (lambda t: t[3].update(pixdim=[1, 0, 1]), "expected 2 or 3 positive lengths"),
    ],
)
def test_other_preprocessing_is_refused(
    tmp_path: Path, change: Callable[[list[Json]], Any], message: str
) -> None:
    folder = write(tmp_path / "b", config=lambda c: change(transforms(c)))
    with pytest.raises(ModelError, match=message):
        load_bundle(folder)


def test_percentiles_are_read(tmp_path: Path) -> None:
    def change(config: Json) -> None:
        transforms(config)[4] = {
            "_target_": "ScaleIntensityRangePercentilesd",
            "lower": 1,
            "upper": 99,
            "b_min": 0,
            "b_max": 1,
            "clip": True,
        }

    how = load_bundle(write(tmp_path / "b", config=change)).spec.normalization
    assert (how.kind, how.low, how.high) == ("percentile", 1, 99)


def test_overlapping_classes_and_other_outputs_are_refused(tmp_path: Path) -> None:
    def sigmoid(config: Json) -> None:
        config["postprocessing"]["transforms"][0] = {"_target_": "Activationsd", "sigmoid": True}

    with pytest.raises(ModelError, match="may overlap"):
        load_bundle(write(tmp_path / "sigmoid", config=sigmoid))

    def probabilities(metadata: Json) -> None:
        metadata["network_data_format"]["outputs"]["pred"]["format"] = "probabilities"

    with pytest.raises(ModelError, match="found an output of format 'probabilities'"):
        load_bundle(write(tmp_path / "classes", metadata=probabilities))


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sentinel),)


def test_pickled_code_in_weights_is_not_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "b", weights=False)
    sentinel = tmp_path / "sentinel"
    state = dict(network_of(UNET).state_dict()) | {"x": Payload(sentinel)}
    torch.save(state, folder / "models" / "model.pt")
    with pytest.raises(ModelError, match="found a pickle that calls other code"):
        load_bundle(folder)
    assert not sentinel.exists()


def test_weights_files_are_checked(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    path = folder / "models" / "model.pt"
    good = path.read_bytes()

    def refused(message: str) -> None:
        with pytest.raises(ModelError, match=message) as caught:
            load_bundle(folder)
        assert caught.value.path is not None

    state = network_of(UNET).state_dict()
    key = next(iter(state))
    path.write_bytes(good[: len(good) // 2])
    refused("expected an archive as torch.save writes it")
    torch.save(state, path, _use_new_zipfile_serialization=False)
    refused("expected an archive as torch.save writes it")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    refused("compressed or swollen")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "hello")
    refused("the file is damaged")
    torch.save([1, 2], path)
    refused("expected weights by key, found list")
    torch.save(state | {"epoch": 3}, path)
    refused("expected a tensor for 'epoch', found int")
    torch.save(state | {key: torch.full_like(state[key], float("nan"))}, path)
    refused("NaN or infinity")
    torch.save(state | {key: torch.zeros(1).expand(10**12)}, path)
    refused("found a part of it")
    torch.save({k: v for k, v in state.items() if k != key}, path)
    refused("found none")
    path.unlink()
    refused("expected model.safetensors or model.pt, found neither")


@pytest.mark.parametrize("content", ["{", "[]", "\x00", "[" * 100_000, " " * 5_000_000])
@pytest.mark.parametrize("name", ["metadata.json", "inference.json"])
def test_broken_configurations_are_refused(tmp_path: Path, name: str, content: str) -> None:
    folder = write(tmp_path / "b", weights=False)
    (folder / "configs" / name).write_text(content)
    with pytest.raises(ModelError, match="expected") as caught:
        load_bundle(folder)
    assert caught.value.path == str(folder / "configs" / name)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a MONAI bundle"):
        load_bundle(tmp_path)
