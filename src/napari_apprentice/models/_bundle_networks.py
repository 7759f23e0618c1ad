"""Networks of MONAI bundles that are networks of ours, argument by argument."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Recognised", "recognise"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Recognised:
    """A bundle's network as one of ours, axes in Z Y X order.

    Parameters
    ----------
    name, args
        Our network and its arguments.
    ndim, in_channels, out_channels
        As the bundle declares them.
    can_mirror
        Whether mirrored kernels make the mirrored network (up to the phase of its grid).
    """

    name: str
    args: Json
    ndim: int
    in_channels: int
    out_channels: int
    can_mirror: bool


@dataclass(frozen=True)
class _Door:
    """How one MONAI class maps to one of ours."""

    network: str
    convert: Callable[[Json, int], Json]
    takes: frozenset[str]
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    can_mirror: bool = False


def recognise(definition: Any) -> Recognised:
    """Turn a literal ``network_def`` into one of our networks.

    Raises
    ------
    ModelError
        A target that is not on the list, or arguments that make another network than ours.
    """
    if not isinstance(definition, dict) or not isinstance(definition.get("_target_"), str):
        raise ModelError("expected a network_def with a _target_, found none")
    target = definition["_target_"]
    match = re.fullmatch(r"(?:monai\.networks\.nets\.(?:[a-z_]+\.)?)?(\w+)", target)
    door = _DOORS.get(match.group(1)) if match else None
    if door is None:
        raise ModelError(
            f"expected one of the networks {', '.join(_DOORS)}, found {target[:80]!r}",
            remedy="Other networks, and bundles that bring code of their own, are not run.",
        )
    given = {k: v for k, v in definition.items() if k != "_target_"}
    ndim, in_channels, out_channels = (
        _count(given, key) for key in ("spatial_dims", "in_channels", "out_channels")
    )
    if ndim not in (2, 3):
        raise ModelError(f"expected 2 or 3 spatial_dims, found {ndim}")
    for key, value in given.items():
        _check_argument(door, target, key, value)
    args = door.convert(given, ndim)
    return Recognised(door.network, args, ndim, in_channels, out_channels, door.can_mirror)


def _count(given: Json, key: str) -> int:
    value = given.pop(key, None)
    if not isinstance(value, int) or not 1 <= value <= 1024:
        raise ModelError(f"expected {key} from 1 to 1024, found {value!r}")
    return value


def _check_argument(door: _Door, target: str, key: str, value: Any) -> None:
    if key in door.takes:
        return
    if key not in door.fixed:
        raise ModelError(f"expected known arguments of {target}, found {key!r}")
    name = value[0] if isinstance(value, list) and value else value
    plain = name.lower() if isinstance(name, str) else name
    if plain not in door.fixed[key]:
        raise ModelError(
            f"expected {key} {door.fixed[key][0]!r} in {target}, found {value!r}"[:300]
        )


def _norm(value: Any) -> str:
    name = value[0] if isinstance(value, list) and value else value
    return str(name).lower()


def _turned(levels: Any, ndim: int) -> list[Any]:
    """Reverse numbers given per axis, X Y Z to Z Y X."""
    if not isinstance(levels, list):
        raise ModelError(f"expected a list of numbers per level, found {levels!r}"[:200])
    return [
        entry[::-1] if isinstance(entry, list) and len(entry) == ndim else entry for entry in levels
    ]


def _unet(given: Json, ndim: int) -> Json:
    return {
        "channels": given.get("channels"),
        "strides": _turned(given.get("strides"), ndim),
        "num_res_units": given.get("num_res_units", 0),
        "norm": _norm(given.get("norm", "instance")),
        "dropout": given.get("dropout", 0.0),
    }


def _attention_unet(given: Json, ndim: int) -> Json:
    return {
        "channels": given.get("channels"),
        "strides": given.get("strides"),
        "dropout": given.get("dropout", 0.0),
    }


def _basic_unet(given: Json, ndim: int) -> Json:
    return {
        "channels": given.get("features", [32, 32, 64, 128, 256, 32]),
        "norm": _norm(given.get("norm", "instance")),
        "dropout": given.get("dropout", 0.0),
        "upsample": given.get("upsample", "deconv"),
    }


def _segresnet(given: Json, ndim: int) -> Json:
    return {
        "init_filters": given.get("init_filters", 8),
        "blocks_down": given.get("blocks_down", [1, 2, 2, 4]),
        "blocks_up": given.get("blocks_up", [1, 1, 1]),
        "dropout": given.get("dropout_prob") or 0.0,
    }


def _dynunet(given: Json, ndim: int) -> Json:
    strides = _turned(given.get("strides"), ndim)
    upsample = _turned(given.get("upsample_kernel_size"), ndim)
    if not strides or strides[0] not in (1, [1] * ndim):
        raise ModelError(f"expected a first level at full resolution, found strides {strides[:1]}")
    spread = [[s] * ndim if isinstance(s, int) else s for s in strides[1:]]
    if [[s] * ndim if isinstance(s, int) else s for s in upsample] != spread:
        raise ModelError("expected upsample_kernel_size to repeat the strides, found other numbers")
    # Without a list, the width doubles from 32 up to nnU-Net's limits.
    widest = 320 if ndim == 3 else 512
    default = [min(2 ** (5 + level), widest) for level in range(len(strides))]
    return {
        "channels": (given.get("filters") or default)[: len(strides)],
        "strides": strides[1:],
        "kernels": _turned(given.get("kernel_size"), ndim),
        "residual": given.get("res_block", False),
        "dropout": given.get("dropout") or 0.0,
    }


_DOORS = {
    "UNet": _Door(
        "unet",
        _unet,
        frozenset({"channels", "strides", "num_res_units", "norm", "dropout"}),
        {
            "kernel_size": (3,),
            "up_kernel_size": (3,),
            "act": ("prelu",),
            "bias": (True,),
            "adn_ordering": ("nda",),
        },
        can_mirror=True,
    ),
    "AttentionUnet": _Door(
        "attention_unet",
        _attention_unet,
        frozenset({"channels", "strides", "dropout"}),
        {"kernel_size": (3,), "up_kernel_size": (3,)},
        can_mirror=True,
    ),
    "BasicUNet": _Door(
        "basic_unet",
        _basic_unet,
        frozenset({"features", "norm", "dropout", "upsample"}),
        {"act": ("leakyrelu",), "bias": (True,)},
    ),
    "SegResNet": _Door(
        "segresnet",
        _segresnet,
        frozenset({"init_filters", "blocks_down", "blocks_up", "dropout_prob"}),
        {
            "act": ("relu",),
            "norm": ("group",),
            "num_groups": (8,),
            "use_conv_final": (True,),
            "upsample_mode": ("nontrainable",),
        },
    ),
    "DynUNet": _Door(
        "dynunet",
        _dynunet,
        frozenset(
            {"kernel_size", "strides", "upsample_kernel_size", "filters", "dropout", "res_block"}
        ),
        {
            "norm_name": ("instance",),
            "act_name": ("leakyrelu",),
            "deep_supervision": (False,),
            "deep_supr_num": (1,),
            "trans_bias": (False,),
        },
    ),
}
