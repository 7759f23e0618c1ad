"""MONAI bundles read as plain data: nothing in them is imported, evaluated or unpickled freely.

A bundle's configuration may name any Python callable and hold expressions. Of both, nothing is run here: the network is
recognised by name on a list, its arguments and the declared preprocessing are read as literals, and everything else
is left alone or refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_apprentice.core.errors import ModelError
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization

from ._bundle_networks import Recognised, recognise
from ._bundle_transforms import Preprocessing, read_preprocessing
from ._bundle_weights import read_bundle_weights, turn
from .networks import NETWORKS
from .store import Model

__all__ = ["is_bundle", "load_bundle"]

_CONFIGS = ("inference.json", "evaluate.json", "train.json")
_MAX_CONFIG = 4 * 1024**2
_MAX_DEPTH = 20
Json = dict[str, Any]


def is_bundle(folder: Path | str) -> bool:
    """Whether a folder looks like a MONAI bundle."""
    return (Path(folder) / "configs" / "metadata.json").is_file()


def load_bundle(folder: Path | str) -> Model:
    """Load a declarative MONAI bundle as a model for semantic segmentation.

    MONAI's arrays are in X Y Z order, ours in Z Y X: kernels are transposed, which changes nothing else. A bundle that
    wants its patients in RAS gets its kernels mirrored along X and Y as well where that is the same network.

    Raises
    ------
    ModelError
        No bundle, one that needs code of its own, a network or preprocessing we do not have, or weights that do not fit.
    """
    folder = Path(folder)
    metadata = _read(folder / "configs" / "metadata.json")
    config, path = _config(folder)
    try:
        return _translate(folder, metadata, config)
    except ModelError as error:
        raise ModelError(error.message, path=error.path or path, remedy=error.remedy) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "bundle"
        raise ModelError(f"{field!r}: {first['msg']}", path=path) from error


def _translate(folder: Path, metadata: Json, config: Json) -> Model:
    network = recognise(_literal(config.get("network_def"), config))
    preparation = read_preprocessing(_steps(config, "preprocessing"))
    _refuse_sigmoid(_steps(config, "postprocessing"))
    if preparation.oriented and network.ndim == 2:
        raise ModelError("expected Orientation for a 3-D network only, found it for a 2-D one")
    if preparation.mirrored and not network.can_mirror:
        raise ModelError(
            f"expected patients in LPS for the network {network.name!r}, found another orientation, and this "
            "network cannot be mirrored exactly",
            remedy="Such bundles cannot be used yet.",
        )
    spec = _spec(folder, metadata, network, preparation, _tile(config, metadata, network))
    state = read_bundle_weights(folder / "models")
    model = Model(spec, turn(state, spec.ndim, preparation.mirrored))
    model.build()
    return model


def _read(path: Path) -> Json:
    try:
        if path.stat().st_size > _MAX_CONFIG:
            raise ModelError(f"expected at most {_MAX_CONFIG} bytes", path=path)
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"expected a MONAI bundle, found no readable {path.name} ({error.strerror})", path=path
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError("expected JSON, found something else", path=path) from error
    if not isinstance(data, dict):
        raise ModelError(f"expected a JSON object, found {type(data).__name__}", path=path)
    return data


def _config(folder: Path) -> tuple[Json, Path]:
    """Find the first configuration that defines a network."""
    for name in _CONFIGS:
        path = folder / "configs" / name
        if path.is_file():
            config = _read(path)
            if "network_def" in config:
                return config, path
    raise ModelError(
        f"expected network_def in one of {', '.join(_CONFIGS)}, found none", path=folder / "configs"
    )


def _literal(value: Any, config: Json, depth: int = 0) -> Any:
    """Follow ``@name`` references to literals; expressions and file references are refused.

    Raises
    ------
    ModelError
        ``$`` expressions, ``%`` macros, keys that steer the parser, or references that lead nowhere or in circles.
    """
    if depth > _MAX_DEPTH:
        raise ModelError("expected a plain configuration, found references that do not end")
    if isinstance(value, dict):
        steering = [key for key in value if key.startswith("_") and key != "_target_"]
        if steering:
            raise ModelError(f"expected plain arguments, found {steering[0]!r}")
        return {str(key): _literal(entry, config, depth + 1) for key, entry in value.items()}
    if isinstance(value, list):
        return [_literal(entry, config, depth + 1) for entry in value]
    if isinstance(value, str) and value[:1] in ("$", "%"):
        raise ModelError(
            f"expected plain values, found code or a file reference: {value[:60]!r}",
            remedy="Bundles that need code of their own are not run.",
        )
    if isinstance(value, str) and value.startswith("@"):
        return _literal(_look_up(value[1:], config), config, depth + 1)
    return value


def _look_up(reference: str, config: Json) -> Any:
    value: Any = config
    for part in re.split("#|::", reference):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise ModelError(f"expected a value for the reference '@{reference[:60]}', found none")
    return value


def _steps(config: Json, key: str) -> list[Json]:
    """Transforms of a ``Compose``, as literals; an absent one is empty."""
    compose = config.get(key)
    if compose is None and isinstance(config.get("validate"), dict):
        compose = config["validate"].get(key)
    if isinstance(compose, dict) and str(compose.get("_target_", "")).split(".")[-1] == "Compose":
        compose = compose.get("transforms")
    if compose is None:
        return []
    if key == "postprocessing":
        # Only its activation matters here; where it writes files and how is often an expression.
        entries = compose if isinstance(compose, list) else []
        return [
            e for e in entries if isinstance(e, dict) and "Activations" in str(e.get("_target_"))
        ]
    steps = _literal(compose, config)
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ModelError(f"expected a list of transforms in {key!r}, found something else")
    return steps


def _refuse_sigmoid(steps: list[Json]) -> None:
    if any(step.get("sigmoid") not in (None, False) for step in steps):
        raise ModelError(
            "expected one class per voxel (softmax), found classes that may overlap (sigmoid)",
            remedy="Such bundles cannot be used yet.",
        )


def _format(metadata: Json, kind: str) -> Json:
    """Description of the first network input or output."""
    data = metadata.get("network_data_format")
    entries = data.get(kind) if isinstance(data, dict) else None
    first = next(iter(entries.values()), None) if isinstance(entries, dict) else None
    return first if isinstance(first, dict) else {}


def _tile(config: Json, metadata: Json, network: Recognised) -> tuple[int, ...]:
    """Tile in Z Y X order, from the inferer or the declared input, at least the network's divisor."""
    inferer = config.get("inferer")
    wish = inferer.get("roi_size") if isinstance(inferer, dict) else None
    try:
        sizes = _literal(wish, config)
    except ModelError:
        sizes = None
    if not _is_shape(sizes, network.ndim):
        sizes = _format(metadata, "inputs").get("spatial_shape")
    if not _is_shape(sizes, network.ndim):
        sizes = [96] * 3 if network.ndim == 3 else [256] * 2
    least = NETWORKS[network.name].divisor(ndim=network.ndim, args=network.args)
    return tuple(max(-(-s // d), 1) * d for s, d in zip(reversed(sizes), least, strict=True))


def _is_shape(sizes: Any, ndim: int) -> bool:
    return (
        isinstance(sizes, list)
        and len(sizes) == ndim
        and all(isinstance(size, int) and 0 < size <= 4096 for size in sizes)
    )


def _spec(
    folder: Path,
    metadata: Json,
    network: Recognised,
    preparation: Preprocessing,
    tile: tuple[int, ...],
) -> ModelSpec:
    spacing = preparation.spacing
    return ModelSpec(
        name=_name(metadata, folder),
        task="semantic",
        network=network.name,
        network_args=network.args,
        ndim=3 if network.ndim == 3 else 2,
        channels=_channels(metadata, network.in_channels),
        spacing=None if spacing is None else spacing[-network.ndim :],
        unit="pixel" if spacing is None else "mm",
        orientation="LPS" if preparation.oriented and network.ndim == 3 else None,
        normalization=preparation.normalization or Normalization(),
        classes=_classes(metadata, network.out_channels),
        tile=tile,
        description=str(metadata.get("description", ""))[:2000],
        licence=str(metadata.get("license") or metadata.get("licence") or "unknown")[:200],
        data=str(metadata.get("data_source", ""))[:1000],
        citation=" ".join(str(r) for r in _list(metadata.get("references")))[:4000],
        scores=_scores(metadata.get("eval_metrics")),
        training={
            "imported from": "MONAI bundle",
            "bundle version": str(metadata.get("version", ""))[:100],
            "authors": str(metadata.get("authors", ""))[:500],
            "copyright": str(metadata.get("copyright", ""))[:500],
        },
    )


def _name(metadata: Json, folder: Path) -> str:
    raw = str(metadata.get("name") or folder.resolve().name)
    clean = " ".join(re.sub(r"[^\w .+()-]", " ", raw).split())[:90].strip(" .-+()")
    return clean or "bundle"


def _channels(metadata: Json, count: int) -> tuple[str, ...]:
    names = _definitions(_format(metadata, "inputs"))
    return tuple(
        names.get(i) or (f"channel {i + 1}" if count > 1 else "image") for i in range(count)
    )


def _classes(metadata: Json, count: int) -> tuple[ClassSpec, ...]:
    if not 2 <= count <= 255:
        raise ModelError(
            f"expected 2 to 255 output channels (background and classes), found {count}"
        )
    output = _format(metadata, "outputs")
    if str(output.get("format", "segmentation")).lower() not in ("segmentation", "labels"):
        raise ModelError(
            f"expected a segmentation, found an output of format {output.get('format')!r}"
        )
    names = _definitions(output)
    return tuple(ClassSpec(value=i, name=names.get(i) or f"class {i}") for i in range(1, count))


def _definitions(entry: Json) -> dict[int, str]:
    names = entry.get("channel_def")
    if not isinstance(names, dict):
        return {}
    return {int(k): str(v).strip()[:100] for k, v in names.items() if str(k).isdecimal()}


def _scores(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, dict):
        return {}
    return {
        str(key): float(value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
