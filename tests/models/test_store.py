"""Models on disk: what is saved comes back, and what is wrong is named before it is used."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_apprentice.core.errors import BadInputError, JobError, ModelError
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.models import folder as folder_module
from napari_apprentice.models.card import NOT_HELD_OUT, model_card
from napari_apprentice.models.store import (
    Model,
    ModelStore,
    build_network,
    load_model,
    load_spec,
    save_model,
    user_folder,
)

State = dict[str, torch.Tensor]


def make_spec(name: str = "tiny", **changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "name": name,
        "task": "semantic",
        "network": "unet",
        "network_args": {"channels": [2, 3], "strides": [2], "num_res_units": 0},
        "ndim": 2,
        "tile": (16, 16),
        "classes": (ClassSpec(value=1, name="cell"), ClassSpec(value=4, name="débris|2")),
        "spacing": (0.5, 0.25),
        "unit": "um",
        "data": "drawn here, CC0",
        "licence": "CC0-1.0",
        "scores": {"dice": 0.8765},
        "parent": "older",
        "training": {"minutes": 5.0, "steps": 100},
    }
    return ModelSpec(**(values | changes))


def make_state(spec: ModelSpec, seed: int = 0) -> State:
    torch.manual_seed(seed)
    return build_network(spec).state_dict()


@pytest.fixture
def saved(tmp_path: Path) -> Model:
    spec = make_spec()
    return save_model(spec, make_state(spec), tmp_path / "tiny")


def change_json(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def rewrite_weights(folder: Path, change: Callable[[State], None]) -> None:
    """Change the weights and forget their checksum, as a careless person would."""
    state = load_file(folder / "weights.safetensors")
    change(state)
    save_file(state, folder / "weights.safetensors")
    change_json(folder, weights_sha256=None)


# -- what is saved comes back ------------------------------------------------------------


@pytest.mark.parametrize("place", ["plain", "case 患者 ü'%", "deep/er/folder"])
def test_round_trip(tmp_path: Path, place: str) -> None:
    spec = make_spec()
    network = build_network(spec).eval()
    image = torch.randn(1, 1, 16, 16)
    before = network(image)
    kept = save_model(spec, network.state_dict(), tmp_path / place)
    loaded = load_model(tmp_path / place)
    assert loaded.spec == kept.spec == load_spec(tmp_path / place)
    assert loaded.spec.model_copy(update={"created": "", "weights_sha256": None}) == spec
    assert loaded.spec.created.endswith("+00:00")
    assert loaded.fingerprint == kept.fingerprint == loaded.spec.weights_sha256
    assert loaded.folder == tmp_path / place
    rebuilt = loaded.build()
    assert not rebuilt.training
    assert torch.equal(rebuilt(image), before)
    assert sorted(p.name for p in (tmp_path / place).iterdir()) == [
        "README.md",
        "model.json",
        "weights.safetensors",
    ]


def test_half_the_size_with_float16(tmp_path: Path) -> None:
    spec = make_spec(network_args={"channels": [16, 32], "strides": [2]})
    state = make_state(spec)
    full = save_model(spec, state, tmp_path / "full")
    half = save_model(spec, state, tmp_path / "half", dtype="float16")
    sizes = [(m.folder / "weights.safetensors").stat().st_size for m in (full, half) if m.folder]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = load_model(tmp_path / "half")
    for key, tensor in loaded.state.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[key].half().float())
        assert torch.equal(tensor, half.state[key])
    assert next(loaded.build().parameters()).dtype == torch.float32


def test_batch_counters_stay_integers(tmp_path: Path) -> None:
    spec = make_spec(network_args={"channels": [2, 3], "strides": [2], "norm": "batch"})
    state = make_state(spec)
    state = {k: torch.tensor(70_001) if k.endswith("tracked") else v for k, v in state.items()}
    save_model(spec, state, tmp_path / "m", dtype="float16")
    loaded = load_model(tmp_path / "m").state
    counters = [v for k, v in loaded.items() if k.endswith("tracked")]
    assert counters
    assert all(v.dtype == torch.int64 and int(v) == 70_001 for v in counters)


def test_training_a_built_network_leaves_the_model_alone(saved: Model) -> None:
    before = {k: v.clone() for k, v in saved.state.items()}
    network = saved.build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[k], saved.state[k]) for k in before)


def test_fingerprint_follows_the_weights() -> None:
    spec = make_spec()
    first, same, other = (Model(spec, make_state(spec, seed)) for seed in (0, 0, 1))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert len(first.fingerprint) == 64


def test_card_tells_what_one_must_know(saved: Model) -> None:
    assert saved.folder is not None
    card = (saved.folder / "README.md").read_text("utf-8")
    for fact in (
        "# tiny",
        "| Task | semantic |",
        "unet (channels [2, 3], strides [2], num_res_units 0)",
        "| Working spacing | 0.5 × 0.25 um (Y, X) |",
        "| Trained on | drawn here, CC0 |",
        "| Licence of the weights | CC0-1.0 |",
        "| Fine-tuned from | older |",
        "| 1 | cell |",
        "| 4 | débris\\|2 |",
        "| dice | 0.8765 |",
        "| minutes | 5 |",
        "Research use only",
        saved.fingerprint,
    ):
        assert fact in card
    assert "No held-out scores" not in card
    told = model_card(saved.spec.model_copy(update={"training": dict(NOT_HELD_OUT)}))
    assert "## Scores on what it learned from" in told
    assert "## Held-out scores" in card
    assert "No held-out scores" in told
    bare = make_spec(scores={}, parent=None, data="", classes=(ClassSpec(value=1, name="a"),))
    other = save_model(bare, make_state(bare), saved.folder.parent / "bare")
    assert other.folder is not None
    text = (other.folder / "README.md").read_text("utf-8")
    assert "No held-out scores" in text
    assert "| Trained on | not stated |" in text
    assert "Fine-tuned" not in text


# -- what is wrong is named --------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("model.0.conv.bias"),
            r"expected weights 'model\.0\.conv\.bias' of shape \[2\], found none",
        ),
        (
            lambda s: s.update({"model.0.conv.bias": torch.zeros(5)}),
            r"expected 'model\.0\.conv\.bias' of shape \[2\], found \[5\]",
        ),
        (
            lambda s: s.update(extra=torch.zeros(2, 3)),
            r"expected no weights 'extra'.*found shape \[2, 3\]",
        ),
        (
            lambda s: s.update({"model.0.conv.bias": torch.tensor([0.0, float("nan")])}),
            r"NaN or infinity in 'model\.0\.conv\.bias'",
        ),
        (
            lambda s: s.update({"model.0.conv.bias": torch.tensor([0.0, float("-inf")])}),
            r"NaN or infinity in 'model\.0\.conv\.bias'",
        ),
    ],
    ids=["missing", "misshapen", "foreign", "nan", "infinite"],
)
def test_weights_must_fit_exactly(
    saved: Model, change: Callable[[State], None], message: str
) -> None:
    assert saved.folder is not None
    rewrite_weights(saved.folder, change)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(saved.folder)
    assert caught.value.path is not None


def test_weights_in_memory_must_fit_too(tmp_path: Path) -> None:
    spec = make_spec()
    state = make_state(spec)
    other = make_spec(network_args={"channels": [2, 5], "strides": [2], "num_res_units": 0})
    with pytest.raises(ModelError, match=r"expected .* of shape .*, found"):
        Model(other, state).build()
    with pytest.raises(ModelError, match=r"expected .* of shape .*, found"):
        save_model(other, state, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_altered_weights_are_noticed(saved: Model) -> None:
    assert saved.folder is not None
    path = saved.folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"SHA-256 .* altered or damaged"):
        load_model(saved.folder)


def header(entries: dict[str, Any], length: int | None = None) -> bytes:
    text = json.dumps(entries).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0 bytes"),
        (b"abc", "found 3 bytes"),
        (header({"a": ENTRY}, 10 * 1024**3) + b"\0" * 8, "would be 10737418240 bytes"),
        (b"\x05" + b"\0" * 7 + b"hello world", "expected a safetensors header"),
        (header({"a": ENTRY})[:20], "header"),
        (header({"a": ENTRY}), "the file is incomplete"),
        (
            header({"a": ENTRY | {"shape": [2**40, 2**20]}}) + b"\0" * 8,
            r"expected \d+ bytes for 'a'",
        ),
        (header({"a": ENTRY | {"shape": [-2]}}) + b"\0" * 8, "within the file"),
        (
            header({"a": ENTRY | {"dtype": "OBJECT"}}) + b"\0" * 8,
            "plain numbers in 'a', found OBJECT",
        ),
        (header({"a": [1, 2]}) + b"\0" * 8, "expected a safetensors header"),
        (b"\xff" * 4096, "expected safetensors, found another kind of file"),
        ((50_000).to_bytes(8, "little") + b"[" * 50_000, "expected a safetensors header"),
    ],
)
def test_broken_weights_files_are_refused(saved: Model, content: bytes, message: str) -> None:
    assert saved.folder is not None
    (saved.folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_model(saved.folder)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.sentinel),)


def pickled(kind: str, sentinel: Path) -> bytes:
    if kind == "pickle":
        return pickle.dumps(Payload(sentinel))
    path = sentinel.with_suffix(".pt")
    torch.save(Payload(sentinel), path)
    return path.read_bytes()


def test_a_header_may_begin_like_a_pickle(saved: Model) -> None:
    assert saved.folder is not None
    path = saved.folder / "weights.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    # Spaces after the header are allowed: 0x480 reads as pickle protocol 4, 0x4B50 as "PK".
    for wanted in (0x480, 0x4B50):
        padded = (
            wanted.to_bytes(8, "little") + data[8 : 8 + length].ljust(wanted) + data[8 + length :]
        )
        path.write_bytes(padded)
        change_json(saved.folder, weights_sha256=None)
        assert torch.equal(
            load_model(saved.folder).state["model.0.conv.bias"], saved.state["model.0.conv.bias"]
        )


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_pickles_are_refused_unopened(saved: Model, tmp_path: Path, kind: str) -> None:
    assert saved.folder is not None
    sentinel = tmp_path / "sentinel"
    (saved.folder / "weights.safetensors").write_bytes(pickled(kind, sentinel))
    for act in (load_model, lambda folder: ModelStore(tmp_path / "store").add(folder)):
        with pytest.raises(ModelError, match="pickle file, which can run any code"):
            act(saved.folder)
    assert not sentinel.exists()


def test_a_pickle_beside_the_description_is_not_looked_at(saved: Model, tmp_path: Path) -> None:
    assert saved.folder is not None
    sentinel = tmp_path / "sentinel"
    (saved.folder / "weights.safetensors").unlink()
    (saved.folder / "weights.pt").write_bytes(pickled("torch", sentinel))
    with pytest.raises(
        ModelError, match=r"expected weights\.safetensors beside model\.json, found none.*pickles"
    ):
        load_model(saved.folder)
    (saved.folder / "model.json").unlink()
    with pytest.raises(ModelError, match="pickle file, which can run any code"):
        load_spec(saved.folder)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"version": 2},
            r"expected a model of version 1, found version 2.*Update napari-apprentice",
        ),
        ({"version": 0}, "'version'"),
        ({"flavour": "new"}, r"'flavour': .*found 'new'"),
        ({"ndim": 4}, "'ndim'"),
        ({"tile": [16]}, "tile must have 2 positive lengths"),
        ({"spacing": [1, 0]}, "spacing must have 2 positive values"),
        ({"spacing": [1, float("nan")]}, "spacing must have 2 positive values"),
        ({"spacing": [float("inf"), 1]}, "spacing must have 2 positive values"),
        ({"normalization": {"kind": "window", "low": float("nan")}}, "low must be below high"),
        ({"normalization": {"kind": "percentile", "high": 101}}, "percentiles lie within"),
        ({"name": "../evil"}, "'name'"),
        ({"classes": [{"value": 0, "name": "x"}]}, r"'classes\.0\.value'"),
    ],
)
def test_descriptions_are_checked(saved: Model, changes: dict[str, Any], message: str) -> None:
    assert saved.folder is not None
    change_json(saved.folder, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        load_spec(saved.folder)
    assert caught.value.path == str(saved.folder / "model.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "unett"}, "no network named 'unett'. Did you mean 'unet'?"),
        ({"task": "semantics"}, "no task named 'semantics'. Did you mean 'semantic'?"),
        ({"network_args": {"channels": [2, 3], "strides": [2], "x": 1}}, "network argument 'x'"),
        (
            {"channels": ["red", "green"]},
            r"expected 'model\.\S+' of shape \[2, 2, 3, 3\], found \[2, 1, 3, 3\]",
        ),
    ],
)
def test_descriptions_must_name_what_is_here(
    saved: Model, changes: dict[str, Any], message: str
) -> None:
    assert saved.folder is not None
    change_json(saved.folder, **changes)
    with pytest.raises(BadInputError, match=message):
        load_model(saved.folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000, b" " * 5_000_000]
)
def test_broken_descriptions_are_refused(saved: Model, content: bytes) -> None:
    assert saved.folder is not None
    (saved.folder / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match="expected") as caught:
        load_spec(saved.folder)
    assert "model.json" in str(caught.value)
    assert caught.value.remedy


def test_other_places_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a model folder, found nothing"):
        load_spec(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="expected a model folder, found a file"):
        load_spec(tmp_path / "file")
    with pytest.raises(ModelError, match=r"expected a model folder with model\.json, found file"):
        load_spec(tmp_path)


def test_a_lying_description_allocates_nothing(saved: Model) -> None:
    assert saved.folder is not None
    # 2048 channels on six levels would take gigabytes.
    change_json(
        saved.folder, network_args={"channels": [2048] * 6, "strides": [2] * 5, "num_res_units": 8}
    )
    with pytest.raises(ModelError, match="of shape"):
        load_model(saved.folder)


# -- all or nothing ----------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bad_weights_are_not_saved(saved: Model, value: float) -> None:
    assert saved.folder is not None
    state = {k: v.clone() for k, v in saved.state.items()}
    state["model.0.conv.bias"][0] = value
    with pytest.raises(ModelError, match=r"found NaN or infinity in 'model\.0\.conv\.bias'"):
        save_model(saved.spec, state, saved.folder)
    assert load_model(saved.folder).fingerprint == saved.fingerprint


def test_weights_too_large_for_float16_are_not_saved(tmp_path: Path) -> None:
    spec = make_spec()
    state = make_state(spec)
    state["model.0.conv.bias"][0] = 1e5
    with pytest.raises(ModelError, match="as float16"):
        save_model(spec, state, tmp_path / "m", dtype="float16")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], None]]:
    """Make the nth call of a system function fail as a full disk would."""

    def arm(name: str, at: int) -> None:
        owner: Any = os if name == "fsync" else Path
        original = getattr(owner, name)
        calls = iter(range(100))

        def fail(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == at:
                raise OSError(28, "No space left on device")
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, fail)

    return arm


@pytest.mark.parametrize(
    ("call", "at"), [("fsync", 0), ("fsync", 2), ("chmod", 0), ("rename", 0), ("rename", 1)]
)
def test_a_failed_save_keeps_the_model_that_was_there(
    saved: Model, failing: Callable[[str, int], None], call: str, at: int
) -> None:
    assert saved.folder is not None
    state = make_state(saved.spec, seed=1)
    failing(call, at)
    with pytest.raises(JobError, match=r"could not be written \(No space left on device\)"):
        save_model(saved.spec, state, saved.folder)
    assert load_model(saved.folder).fingerprint == saved.fingerprint
    assert [p.name for p in saved.folder.parent.iterdir()] == ["tiny"]


def test_saving_again_replaces_the_model_and_keeps_other_files(saved: Model) -> None:
    assert saved.folder is not None
    (saved.folder / "last.safetensors").write_bytes(b"checkpoint")
    again = save_model(saved.spec, make_state(saved.spec, seed=1), saved.folder)
    assert again.fingerprint != saved.fingerprint
    assert load_model(saved.folder).fingerprint == again.fingerprint
    assert (saved.folder / "last.safetensors").read_bytes() == b"checkpoint"
    assert [p.name for p in saved.folder.parent.iterdir()] == ["tiny"]


def test_a_folder_with_checkpoints_becomes_a_model(saved: Model, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "best.safetensors").write_bytes(b"checkpoint")
    save_model(saved.spec, saved.state, tmp_path / "out")
    assert load_model(tmp_path / "out").fingerprint == saved.fingerprint
    assert (tmp_path / "out" / "best.safetensors").read_bytes() == b"checkpoint"


def test_foreign_files_are_not_written_over(saved: Model, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "README.md").write_text("mine")
    with pytest.raises(ModelError, match=r"a folder with a README\.md of its own"):
        save_model(saved.spec, saved.state, tmp_path / "project")
    assert (tmp_path / "project" / "README.md").read_text() == "mine"
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="found a file"):
        save_model(saved.spec, saved.state, tmp_path / "file")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_named(saved: Model, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    with pytest.raises(JobError, match=r"locked.*Permission denied.*choose another folder"):
        save_model(saved.spec, saved.state, locked / "m")
    locked.chmod(0o700)


def test_a_folder_that_refuses_is_named(
    saved: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder_module.tempfile, "mkdtemp", refuse)
    with pytest.raises(JobError, match=r"Permission denied.*choose another folder") as caught:
        save_model(saved.spec, saved.state, tmp_path / "m")
    assert caught.value.path == str(tmp_path / "m")
    assert not (tmp_path / "m").exists()


# -- the store ---------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store with one model of the user's ("mine") and one starter ("given")."""
    store = ModelStore(tmp_path / "models", starters=tmp_path / "starters")
    spec = make_spec("given")
    save_model(spec, make_state(spec), store.starters / "given")
    spec = make_spec("mine")
    store.save(spec, make_state(spec, seed=1))
    return store


def test_store_lists_and_loads(store: ModelStore) -> None:
    assert list(store.specs()) == ["given", "mine"]
    assert store.problems == {}
    assert store.load("given").fingerprint != store.load("mine").fingerprint
    assert store.load(store.folder / "mine").fingerprint == store.load("mine").fingerprint
    assert store.load(str(store.folder / "mine")).spec.name == "mine"
    assert store.is_starter("given")
    assert not store.is_starter("mine")
    assert not store.is_starter("absent")


def test_store_reports_broken_folders_and_goes_on(store: ModelStore) -> None:
    (store.folder / "mine" / "model.json").write_text("{")
    (store.folder / "empty").mkdir()
    (store.folder / ".hidden").mkdir()
    (store.folder / "notes.txt").touch()
    assert list(store.specs()) == ["given"]
    assert sorted(store.problems) == ["empty", "mine"]
    assert "expected JSON" in store.problems["mine"]
    store.remove("mine")
    store.remove("empty")
    store.specs()
    assert store.problems == {}


def test_a_folder_copied_by_hand_goes_by_its_own_name(store: ModelStore) -> None:
    (store.folder / "mine").rename(store.folder / "mine copy")
    assert store.specs()["mine copy"].name == "mine copy"
    assert store.load("mine copy").spec.name == "mine copy"


def test_empty_store(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "absent", starters=tmp_path / "none")
    assert store.specs() == {}
    with pytest.raises(ModelError, match=r"no model named 'x', and no such folder\. Known: none"):
        store.load("x")
    assert not (tmp_path / "absent").exists()


def test_unknown_names_suggest_the_nearest(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="Did you mean 'given'"):
        store.load("gven")
    with pytest.raises(ModelError, match="no model named 'gven'"):
        store.remove("gven")


def test_add_and_export(store: ModelStore, tmp_path: Path) -> None:
    original = store.load("mine")
    store.export("mine", tmp_path / "out" / "for a friend")
    copy = load_model(tmp_path / "out" / "for a friend")
    assert copy.spec == original.spec
    assert store.add(tmp_path / "out" / "for a friend") == "mine 2"
    added = store.load("mine 2")
    assert added.fingerprint == original.fingerprint
    assert added.spec.created == original.spec.created
    assert added.spec.name == load_spec(store.folder / "mine 2").name == "mine 2"
    with pytest.raises(ModelError, match="expected a new or empty folder"):
        store.export("mine", tmp_path / "out")


def test_broken_models_are_not_added(store: ModelStore, tmp_path: Path) -> None:
    store.export("mine", tmp_path / "broken")
    (tmp_path / "broken" / "weights.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError):
        store.add(tmp_path / "broken")
    assert list(store.specs()) == ["given", "mine"]


def test_verify_says_everything(store: ModelStore) -> None:
    assert store.verify("mine") == store.verify("given") == []
    (store.folder / "mine" / "README.md").unlink()
    change_json(store.folder / "mine", weights_sha256=None)
    problems = store.verify("mine")
    assert len(problems) == 2
    assert "SHA-256" in problems[0]
    assert "README.md" in problems[1]
    (store.folder / "mine" / "weights.safetensors").write_bytes(b"PK\x03\x04 and so on")
    assert "pickle" in store.verify("mine")[0]
    assert "no model named" in store.verify("absent")[0]


def test_starters_are_left_alone(store: ModelStore) -> None:
    spec = make_spec("given")
    with pytest.raises(ModelError, match="belongs to a starter model"):
        store.save(spec, make_state(spec))
    with pytest.raises(ModelError, match="cannot be removed"):
        store.remove("given")
    assert store.verify("given") == []


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("fresh", "fresh"),
        ("mine", "mine 2"),
        ("MINE", "MINE 2"),
        ("a/b\\c:*?", "a b c"),
        ("../..", "model"),
        ("", "model"),
        ("-x", "model -x"),
        ("患者 7", "患者 7"),
        ("y" * 300, "y" * 90),
    ],
)
def test_unique_names_are_names(store: ModelStore, base: str, name: str) -> None:
    assert store.unique_name(base) == name
    assert make_spec(name).name == name


def test_unique_name_counts_on(store: ModelStore) -> None:
    for expected in ("mine 2", "mine 3", "mine 4"):
        name = store.unique_name("mine")
        assert name == expected
        spec = make_spec(name)
        store.save(spec, make_state(spec))


def test_user_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    assert user_folder() == tmp_path
    assert ModelStore().folder == tmp_path / "models"
    monkeypatch.delenv("NAPARI_APPRENTICE_HOME")
    for system, variable in (("linux", "XDG_DATA_HOME"), ("win32", "LOCALAPPDATA")):
        monkeypatch.setattr(sys, "platform", system)
        monkeypatch.setenv(variable, str(tmp_path / system))
        assert user_folder() == tmp_path / system / "napari-apprentice"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_folder().parts[-3:] == ("Library", "Application Support", "napari-apprentice")


def test_starters_of_the_package_are_sound() -> None:
    store = ModelStore(Path("absent"))
    for name in store.specs():
        assert store.verify(name) == []
        assert store.load(name).spec.licence != "unknown"
    assert store.problems == {}


def test_listing_models_loads_no_torch(store: ModelStore) -> None:
    code = (
        "import sys\n"
        "from napari_apprentice.models.store import ModelStore, load_spec\n"
        f"print(list(ModelStore({str(store.folder)!r}).specs()))\n"
        "sys.exit(bool({'torch', 'monai'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "mine" in result.stdout
