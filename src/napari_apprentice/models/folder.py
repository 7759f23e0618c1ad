"""One model on disk: ``model.json``, ``weights.safetensors`` and its card, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_apprentice.core.errors import JobError, ModelError
from napari_apprentice.core.spec import SPEC_VERSION, ModelSpec

from .card import model_card

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CARD", "SPEC", "WEIGHTS", "read_spec", "write_folder"]

SPEC = "model.json"
WEIGHTS = "weights.safetensors"
CARD = "README.md"
_OURS = (SPEC, WEIGHTS, CARD)
_MAX_SPEC = 4 * 1024**2
_ANOTHER = "Copy the folder of the model again, or take another model."
_PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".bin", ".joblib", ".pickle", ".torch"}


def read_spec(folder: Path) -> ModelSpec:
    """Read a model's description; neither weights nor torch are touched.

    Raises
    ------
    ModelError
        Not a model folder, a broken or foreign ``model.json``, or one from a newer version.
    """
    path = folder / SPEC
    if not path.is_file():
        raise _not_a_model(folder)
    data = _read_json(path)
    version = data.get("version", SPEC_VERSION)
    if isinstance(version, int) and version > SPEC_VERSION:
        raise ModelError(
            f"expected a model of version {SPEC_VERSION}, found version {version} from a newer napari-apprentice",
            path=path,
            remedy="Update napari-apprentice to use it.",
        )
    try:
        return ModelSpec.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "model"
        raise ModelError(
            f"{field!r}: {first['msg']}, found {first['input']!r}"[:500],
            path=path,
            remedy="Correct the file, or save the model again.",
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_SPEC:
            raise ModelError(
                f"expected at most {_MAX_SPEC} bytes, found {path.stat().st_size}",
                path=path,
                remedy=_ANOTHER,
            )
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"the description cannot be read ({error.strerror})", path=path, remedy=_ANOTHER
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"expected JSON, found something else ({error})"[:300],
            path=path,
            remedy=_ANOTHER,
        ) from error
    if not isinstance(data, dict):
        raise ModelError(
            f"expected a JSON object, found {type(data).__name__}", path=path, remedy=_ANOTHER
        )
    return data


def _not_a_model(folder: Path) -> ModelError:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        return ModelError(f"expected a model folder, found {found}", path=folder)
    names = sorted(entry.name for entry in folder.iterdir())
    if any(Path(name).suffix.lower() in _PICKLES for name in names):
        return ModelError(
            f"expected {SPEC} and {WEIGHTS}, found a PyTorch pickle file, which can run any code when it is opened",
            path=folder,
            remedy="Ask for the model as safetensors.",
        )
    listed = ", ".join(names[:5]) or "nothing"
    return ModelError(f"expected a model folder with {SPEC}, found {listed}", path=folder)


def write_folder(spec: ModelSpec, payload: bytes, folder: Path) -> None:
    """Write a model folder through a temporary one beside it; a model that was there stays until the last moment.

    Files in `folder` that are not a model's own, checkpoints for example, are kept.

    Parameters
    ----------
    spec
        Its ``weights_sha256`` must belong to `payload`.
    payload
        Bytes of the safetensors file.
    folder
        Made with its parents where it does not exist.

    Raises
    ------
    ModelError
        `folder` is a file, or holds a foreign file under a name we would write.
    JobError
        The disk is full or the folder cannot be written; what was there is untouched.
    """
    _refuse_foreign(folder)
    folder = folder.absolute()
    files = {
        WEIGHTS: payload,
        CARD: model_card(spec).encode(),
        SPEC: (
            json.dumps(spec.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        ).encode(),
    }
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}."))
        try:
            _write_files(files, fresh)
            _swap(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ModelError("expected a folder to save the model in, found a file", path=folder)
    taken = [name for name in _OURS if (folder / name).exists()]
    if taken and not (folder / SPEC).is_file():
        raise ModelError(
            f"expected an empty or model folder, found a folder with a {taken[0]} of its own",
            path=folder,
            remedy="Choose another folder.",
        )


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JobError(
            f"the model could not be written ({error.strerror or error})",
            path=folder,
            remedy="Free some space or choose another folder; what was there is intact.",
        ) from error


def _write_files(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    # Temporary folders are private; a model may be shared like any other folder.
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)


def _swap(fresh: Path, folder: Path) -> None:
    """Put `fresh` in the place of `folder`, back to the old one if that fails."""
    if not folder.exists():
        fresh.rename(folder)
        return
    old = fresh.with_name(fresh.name + ".old")
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    for entry in old.iterdir():
        if entry.name not in _OURS:
            entry.rename(folder / entry.name)
    shutil.rmtree(old, ignore_errors=True)
