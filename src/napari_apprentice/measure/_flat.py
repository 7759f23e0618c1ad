"""Flat score names (JSON keys, column heads), and means that leave out what does not apply."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["class_keys", "flatten", "key_of", "nan_mean"]


def key_of(text: str) -> str:
    """Turn a name or unit into a key: lower-case letters and digits of any script, else ``_``."""
    return re.sub(r"\W+", "_", text.strip().lower().replace("µ", "u").replace("μ", "u")).strip("_")


def class_keys(class_names: Mapping[int, str]) -> dict[int, str]:
    """Give each class a key of its own; names that become equal get the class value appended."""
    keys = {value: key_of(name) or f"class_{value}" for value, name in class_names.items()}
    taken = list(keys.values())
    return {v: key if taken.count(key) == 1 else f"{key}_{v}" for v, key in keys.items()}


def nan_mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    known = np.fromiter((v for v in values if not np.isnan(v)), dtype=np.float64)
    return float(known.mean()) if known.size else float("nan")


def flatten(name: str, values: Iterable[float], keys: Iterable[str]) -> dict[str, float]:
    """Name per-class values ``name_key`` and put their mean, as ``name``, before them."""
    per_class = {f"{name}_{key}": float(v) for key, v in zip(keys, values, strict=True)}
    return {name: nan_mean(per_class.values()), **per_class}
