"""`Model` and `ModelStore`: descriptions with their weights, and the folders they live in."""

from __future__ import annotations

import difflib
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ApprenticeError, JobError, ModelError
from napari_apprentice.core.home import user_folder
from napari_apprentice.tasks import TASKS, inputs_of

from .folder import CARD, SPEC, WEIGHTS, read_spec, write_folder
from .networks import NETWORKS
from .weights import Precision, encode, fingerprint_of, read_weights, shapes_of, state_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from napari_apprentice.core.spec import ModelSpec

__all__ = [
    "Model",
    "ModelStore",
    "build_network",
    "load_model",
    "load_spec",
    "save_model",
]


@dataclass(frozen=True, eq=False)
class Model:
    """A description with its weights.

    Parameters
    ----------
    spec
        What the model is.
    state
        Weights by key, float32 on the CPU.
    folder
        Where it lies on disk; none for a model that is not saved.
    """

    spec: ModelSpec
    state: Mapping[str, Tensor]
    folder: Path | None = None

    def build(self) -> nn.Module:
        """Build the network with these weights, in evaluation mode; training it leaves `state` alone.

        Raises
        ------
        ModelError
            The weights are not those of the network that the description names.
        """
        _check(self.spec, {k: tuple(v.shape) for k, v in self.state.items()}, self.folder)
        network = build_network(self.spec)
        network.load_state_dict(dict(self.state), strict=True)
        return network.eval()

    @cached_property
    def network(self) -> nn.Module:
        """The network with these weights, built once: to be asked, never to be taught or tuned."""
        return self.build()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights file (of what it would be, where the model is not saved)."""
        return self.spec.weights_sha256 or fingerprint_of(encode(self.state))


def build_network(spec: ModelSpec) -> nn.Module:
    """Build the network that a description names, with fresh weights.

    Raises
    ------
    BadInputError
        No such network or task, or arguments that the network does not take.
    """
    task = TASKS[spec.task]
    return NETWORKS[spec.network].build(
        ndim=spec.ndim,
        in_channels=inputs_of(task, spec),
        out_channels=task.output_channels(spec),
        args=spec.network_args,
    )


def _check(spec: ModelSpec, found: dict[str, tuple[int, ...]], path: Path | None) -> None:
    import torch

    # Nothing is allocated on the meta device: a description that lies about its size costs no memory.
    with torch.device("meta"):
        network = build_network(spec)
    expected = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    problem = state_problem(expected, found)
    if problem:
        raise ModelError(
            f"{problem} (network {spec.network!r})",
            path=path,
            remedy="The weights belong to another description, or to an earlier version of the network: "
            "copy the whole model folder again, or teach it anew.",
        )


def load_spec(folder: Path | str) -> ModelSpec:
    """Read the description of a model folder, without torch; see `read_spec`."""
    return read_spec(Path(folder))


def load_model(folder: Path | str) -> Model:
    """Load a model from its folder, everything checked.

    Raises
    ------
    BadInputError
        Not a model folder, damaged or foreign weights, an unknown network or task: says which key or field,
        what was expected, what was found.
    """
    folder = Path(folder)
    spec = read_spec(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelError(
            f"expected {WEIGHTS} beside {SPEC}, found none",
            path=folder,
            remedy="Weights in other files, pickles above all, are not opened; copy the whole model folder again.",
        )
    _check(spec, shapes_of(path), folder)
    return Model(spec, read_weights(path, spec.weights_sha256), folder)


def save_model(
    spec: ModelSpec,
    state: Mapping[str, Tensor],
    folder: Path | str,
    *,
    dtype: Precision = "float32",
) -> Model:
    """Save a model: description, weights and card, all or nothing.

    Parameters
    ----------
    spec
        ``weights_sha256`` and ``created`` are set here.
    state
        Weights by key; they must fit the network that `spec` names.
    folder
        A model that is already there is replaced in one step; other files there are kept.
    dtype
        ``"float16"`` halves the file; weights are float32 again when loaded.

    Returns
    -------
    Model
        As it would be loaded from the folder.

    Raises
    ------
    ModelError
        NaN or infinite weights, weights that do not fit, or a folder that holds something else.
    JobError
        The folder cannot be written; what was there is intact.
    """
    from safetensors.torch import load

    folder = Path(folder)
    _check(spec, {k: tuple(v.shape) for k, v in state.items()}, None)
    payload = encode(state, dtype=dtype)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    spec = spec.model_copy(update={"weights_sha256": fingerprint_of(payload), "created": now})
    write_folder(spec, payload, folder)
    kept = {k: v.float() if v.is_floating_point() else v for k, v in load(payload).items()}
    return Model(spec, kept, folder)


class ModelStore:
    """The models at hand: the user's own, and the starters that come with the package (read-only).

    Parameters
    ----------
    folder
        The user's models, one folder each; default ``models`` in `user_folder`.
    starters
        Where the starters lie; default: in this package.

    Attributes
    ----------
    problems
        What kept folders from being listed by the last `specs`, by folder name.
    """

    def __init__(self, folder: Path | str | None = None, starters: Path | None = None) -> None:
        self.folder = user_folder() / "models" if folder is None else Path(folder)
        self.starters = Path(__file__).parent / "starter" if starters is None else starters
        self.problems: dict[str, str] = {}

    def specs(self) -> dict[str, ModelSpec]:
        """Descriptions by name, sorted; folders that cannot be read go to `problems` instead.

        The folder's name is the model's name; a model of the user's hides a starter of the same name.
        """
        found: dict[str, ModelSpec] = {}
        self.problems = {}
        for name, folder in self._folders().items():
            try:
                found[name] = read_spec(folder).model_copy(update={"name": name})
            except ApprenticeError as error:
                self.problems[name] = str(error)
        return found

    def _folders(self) -> dict[str, Path]:
        folders: dict[str, Path] = {}
        for root in (self.starters, self.folder):
            if root.is_dir():
                folders |= {
                    f.name: f for f in root.iterdir() if f.is_dir() and f.name[0] not in "._"
                }
        return dict(sorted(folders.items(), key=lambda item: item[0].casefold()))

    def load(self, name: str | Path) -> Model:
        """Load a model by its name here, or by the path of its folder.

        Raises
        ------
        ModelError
            Neither a known name nor a model folder, or the model is broken.
        """
        model = load_model(self.find(name))
        if name not in self._folders():
            return model
        return replace(model, spec=model.spec.model_copy(update={"name": str(name)}))

    def find(self, name: str | Path) -> Path:
        """Folder of a model, by name or path.

        Raises
        ------
        ModelError
            There is none; the message suggests the nearest name.
        """
        folders = self._folders()
        if str(name) in folders:
            return folders[str(name)]
        path = Path(name).expanduser()
        if path.exists():
            return path
        near = difflib.get_close_matches(str(name), folders, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(folders) or 'none'}."
        raise ModelError(f"no model named {str(name)!r}, and no such folder", remedy=hint)

    def is_starter(self, name: str) -> bool:
        """Whether the model of this name is one that came with the package."""
        folder = self._folders().get(name)
        return folder is not None and folder.parent == self.starters

    def unique_name(self, base: str) -> str:
        """`base`, made fit for a folder's name; with a number where it is taken."""
        clean = re.sub(r"[^\w .+()-]", " ", base).strip(" .")
        clean = " ".join(clean.split())[:90].strip(" .") or "model"
        clean = clean if re.match(r"\w", clean) else f"model {clean}"
        taken = {name.casefold() for name in self._folders()}
        names = (clean, *(f"{clean} {n}" for n in range(2, len(taken) + 3)))
        return next(name for name in names if name.casefold() not in taken)

    def save(
        self, spec: ModelSpec, state: Mapping[str, Tensor], *, dtype: Precision = "float32"
    ) -> Model:
        """Save under the model's own name; see `save_model`.

        Raises
        ------
        ModelError
            The name is taken by a starter.
        """
        if (self.starters / spec.name).exists():
            raise ModelError(
                f"the name {spec.name!r} belongs to a starter model, which cannot be replaced",
                remedy="Choose another name.",
            )
        return save_model(spec, state, self.folder / spec.name, dtype=dtype)

    def add(self, folder: Path | str) -> str:
        """Copy a model folder, or a declarative MONAI bundle, into the store once it is known to be sound.

        Returns
        -------
        str
            Its name here: its own, with a number where that is taken.

        Raises
        ------
        ModelError
            Neither of the two, or broken.
        """
        from .bundle import is_bundle, load_bundle

        if is_bundle(folder):
            bundle = load_bundle(folder)
            spec = bundle.spec.model_copy(update={"name": self.unique_name(bundle.spec.name)})
            return self.save(spec, bundle.state).spec.name
        model = load_model(folder)
        name = self.unique_name(model.spec.name)
        payload = (Path(folder) / WEIGHTS).read_bytes()
        update = {"name": name, "weights_sha256": fingerprint_of(payload)}
        write_folder(model.spec.model_copy(update=update), payload, self.folder / name)
        return name

    def export(self, name: str, folder: Path | str) -> None:
        """Copy a model out of the store to a new folder.

        Raises
        ------
        ModelError
            The target exists already, or the model is broken.
        """
        source = self.find(name)
        model = self.load(name)
        target = Path(folder)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ModelError(
                "expected a new or empty folder, found one in use",
                path=target,
                remedy="Choose another folder.",
            )
        write_folder(model.spec, (source / WEIGHTS).read_bytes(), target)

    def verify(self, name: str | Path) -> list[str]:
        """Look for everything that is wrong with a model; an empty list means that it is sound."""
        try:
            folder = self.find(name)
            model = load_model(folder)
            model.build()
        except ApprenticeError as error:
            return [str(error)]
        problems = []
        if model.spec.weights_sha256 is None:
            problems.append(f"{folder / SPEC}: expected the SHA-256 of the weights, found none")
        if not (folder / CARD).is_file():
            problems.append(f"{folder}: expected the model card {CARD}, found none")
        return problems

    def remove(self, name: str) -> None:
        """Delete one of the user's models.

        Raises
        ------
        ModelError
            No such model here, or a starter.
        JobError
            The folder cannot be deleted.
        """
        folder = self._folders().get(name)
        if folder is None:
            raise ModelError(f"no model named {name!r}", path=self.folder)
        if folder.parent != self.folder:
            raise ModelError(f"{name!r} is a starter model and cannot be removed")
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise JobError(
                f"the model could not be removed ({error.strerror})", path=folder
            ) from error
