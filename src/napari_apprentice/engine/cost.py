"""What a prediction will cost, told before it starts and without loading torch."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.home import user_folder
from napari_apprentice.models.networks import NETWORKS, answers_per_image

from .size import known_zoom, seen_grid
from .tiles import tile_shape, tile_starts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

    from .config import PredictConfig

__all__ = [
    "Cost",
    "estimate",
    "overlap_for",
    "remember_speed",
    "spec_for",
    "tile_count",
    "tile_for",
]

# Before the first prediction on a machine has been timed. Cores at the ~20 GFLOP/s that convolutions reach
# on a 2.5 GHz core with AVX2; a GPU at a modest 3 TFLOP/s.
_FLOPS_PER_CORE = 20e9
_FLOPS_OF_GPU = 3e12
_DEFAULT_CHANNELS = (32, 64, 128, 256)
_KEPT_SPEEDS = 200


@dataclass(frozen=True)
class Cost:
    """What a prediction will take.

    Parameters
    ----------
    seconds
        Wall time, roughly.
    memory_bytes
        Largest extra memory: the working image, one tile's activations, the blended sums, the answer.
    device
        ``"cpu"`` or ``"cuda"``.
    tiles
        Tiles in all.
    measured
        Whether this machine has run this network before, so that `seconds` is more than a guess.
    is_sized
        Whether it is known how far the image will be zoomed; else the network looks for the size of objects first.
    """

    seconds: float
    memory_bytes: int
    device: str
    tiles: int
    measured: bool = False
    is_sized: bool = True

    def describe(self) -> str:
        """For the line under the button: ``"≈ 3 s on CPU · 0.2 GB"``."""
        where = "CPU" if self.device == "cpu" else "GPU"
        memory = f"{max(0.1, self.memory_bytes / 1e9):.1f} GB"
        more = "" if self.is_sized else ", more where objects are small"
        return f"≈ {_duration(self.seconds)} on {where} · {memory}{more}"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def estimate(volume: Volume, spec: ModelSpec, config: PredictConfig) -> Cost:
    """Estimate a prediction from shapes alone: no voxel is read and torch is not loaded.

    The time comes from the last run of this network on this machine, else from a count of multiplications.
    """
    zoom = known_zoom(volume.grid, spec, config)
    working = seen_grid(volume.grid, spec, zoom or 1.0)
    tile = tile_for(spec, config)
    frames = volume.grid.length("T")
    count = _tiles(working.shape, tile, spec, config) * frames
    passes = 2 ** len(spec.mirror_axes) if config.mirror else 1
    device = _likely_device(config.device)
    speed = _speeds().get(_key(spec, device))
    per_voxel = speed if speed is not None else _flops_per_voxel(spec) / _flops(device)
    seconds = count * passes * math.prod(tile) * per_voxel
    memory = _memory(volume, spec, working.shape, tile)
    return Cost(seconds, memory, device, count, speed is not None, is_sized=zoom is not None)


def _tiles(
    shape: Sequence[int], tile: Sequence[int], spec: ModelSpec, config: PredictConfig
) -> int:
    """Tiles of one frame; where the answer is about the whole image, it is fitted to a single one."""
    if answers_per_image(NETWORKS[spec.network]):
        return math.prod(shape[: len(shape) - len(tile)])
    return tile_count(shape, tile, overlap_for(spec, config))


def tile_for(spec: ModelSpec, config: PredictConfig) -> tuple[int, ...]:
    """The tile a prediction starts with: the wish, else the model's own, as the network accepts it."""
    wish = config.tile if config.tile and len(config.tile) == spec.ndim else spec.tile
    divisor = NETWORKS[spec.network].divisor(ndim=spec.ndim, args=spec.network_args)
    return tile_shape(wish, divisor)


def overlap_for(spec: ModelSpec, config: PredictConfig) -> float:
    """The share of a tile that its neighbour repeats: the wish, else the model's own."""
    return spec.overlap if config.overlap is None else config.overlap


def spec_for(spec: ModelSpec, config: PredictConfig) -> ModelSpec:
    """The description as a prediction reads it: with the lowest score that is wished."""
    if config.least_score is None:
        return spec
    args = {**spec.task_args, "least_score": config.least_score}
    return spec.model_copy(update={"task_args": args})


def tile_count(shape: Sequence[int], tile: Sequence[int], overlap: float) -> int:
    """Tiles of one frame with the given working shape; 2-D networks see a volume plane by plane."""
    seen = shape[-len(tile) :]
    count = math.prod(shape[: len(shape) - len(tile)])
    for length, size in zip(seen, tile, strict=True):
        count *= len(tile_starts(max(length, size), size, overlap))
    return count


# -- heuristics -------------------------------------------------------------------------


def _widths(args: Mapping[str, Any]) -> tuple[int, ...]:
    """Channels per level, by the names that MONAI's networks give them."""
    for name in ("channels", "features", "filters"):
        value = args.get(name)
        if isinstance(value, (list, tuple)) and value:
            return tuple(int(v) for v in value)
    for name in ("init_filters", "feature_size", "base"):
        value = args.get(name)
        if isinstance(value, int):
            return tuple(value * 2**level for level in range(4))
    return _DEFAULT_CHANNELS


def _flops_per_voxel(spec: ModelSpec) -> float:
    """Operations per tile voxel: some 3-wide convolutions per level, each level half as long along every axis."""
    args = spec.network_args
    strides = args.get("strides") or [2] * 10
    kernel, scale, total = 3**spec.ndim, 1.0, 0.0
    widths = _widths(args)
    strided_first = "strides" in args
    for level, width in enumerate(widths):
        if level or strided_first:
            stride = strides[min(level, len(strides) - 1)] if level < len(strides) else 1
            scale /= math.prod(stride) if isinstance(stride, list | tuple) else stride**spec.ndim
        total += 2.0 * kernel * 5.0 * width * width * scale
    return total


def _flops(device: str) -> float:
    if device != "cpu":
        return _FLOPS_OF_GPU
    return _FLOPS_PER_CORE * max(1, (os.cpu_count() or 1))


def _memory(volume: Volume, spec: ModelSpec, working: Sequence[int], tile: Sequence[int]) -> int:
    channels, answers = len(spec.channels), len(spec.classes) + 1
    image = 4 * channels * math.prod(working) * 2
    seen = working[-len(tile) :]
    sums = (
        4
        * (answers + 1)
        * tile[0]
        * math.prod(max(s, t) for s, t in zip(seen[1:], tile[1:], strict=True))
    )
    activations = 4 * 6 * _widths(spec.network_args)[0] * math.prod(tile)
    answer = math.prod(volume.grid.spatial_shape) * volume.grid.length("T")
    return int(image + sums + activations + answer)


def _likely_device(wish: str) -> str:
    """Guess the device without loading torch: a GPU where it is asked for or its driver is loaded."""
    if wish != "auto":
        return wish.partition(":")[0]
    # A worker may be loading torch just now: then the module is there and not yet whole.
    known = getattr(getattr(sys.modules.get("torch"), "cuda", None), "is_available", None)
    if known is not None:
        return "cuda" if known() else "cpu"
    return "cuda" if Path("/proc/driver/nvidia/version").exists() else "cpu"


# -- measured speed ---------------------------------------------------------------------


def _file() -> Path:
    return user_folder() / "speed.json"


def _key(spec: ModelSpec, device: str) -> str:
    args = json.dumps(spec.network_args, sort_keys=True, default=str)
    digest = hashlib.sha256(args.encode()).hexdigest()[:12]
    return f"{spec.network} {spec.ndim}-D {digest} {device} {os.cpu_count() or 1}"


def _speeds() -> dict[str, float]:
    """Seconds per tile voxel by network and device; empty where nothing (readable) was stored."""
    try:
        stored = json.loads(_file().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {k: float(v) for k, v in stored.items() if isinstance(v, int | float) and v > 0}


def remember_speed(spec: ModelSpec, device: str, seconds_per_voxel: float) -> None:
    """Keep how long a tile voxel took, for the next `estimate`; a folder that cannot be written is no error."""
    speeds = _speeds()
    speeds.pop(_key(spec, device), None)
    speeds[_key(spec, device)] = seconds_per_voxel
    kept = dict(list(speeds.items())[-_KEPT_SPEEDS:])
    path = _file()
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(kept, indent=1), "utf-8")
        fresh.replace(path)
    except OSError:
        return
