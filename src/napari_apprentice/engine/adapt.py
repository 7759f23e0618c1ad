"""Where a training starts: from nothing, or from a model whose classes are not quite the annotation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.spec import ClassSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.spec import ModelSpec

__all__ = ["adapt_spec", "freeze_leading", "load_overlapping", "merged_classes"]


def merged_classes(annotations: Sequence[Sequence[LabelClass]]) -> tuple[LabelClass, ...]:
    """All classes of several annotations, first come first kept, one per value."""
    classes: dict[int, LabelClass] = {}
    for group in annotations:
        for entry in group:
            classes.setdefault(entry.value, entry)
    return tuple(classes[value] for value in sorted(classes))


def adapt_spec(spec: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
    """Give a model the annotation's classes.

    Classes meet by name. The model's channels keep their order, so that what was learned stays; their values become
    the annotation's; classes the model does not know are appended. Generic names that do not meet (``label 1``)
    fall back to equal values.
    """
    left = list(classes)
    known: list[ClassSpec | None] = []
    for old in spec.classes:
        match = next((c for c in left if c.name.casefold() == old.name.casefold()), None)
        known.append(None if match is None else _as_spec(match, auxiliary=old.auxiliary))
        if match is not None:
            left.remove(match)
    for position, old in enumerate(spec.classes):
        match = next((c for c in left if c.value == old.value), None)
        if known[position] is None and match is not None and _is_generic(match.name):
            known[position] = old.model_copy(update={"value": match.value})
            left.remove(match)
    taken = {c.value for c in classes}
    result: list[ClassSpec] = []
    for old, new in zip(spec.classes, known, strict=True):
        entry = new if new is not None else _with_free_value(old, taken)
        taken.add(entry.value)
        result.append(entry)
    result += [_as_spec(c) for c in left]
    return spec.model_copy(update={"classes": tuple(result)})


def _as_spec(entry: LabelClass, *, auxiliary: bool = False) -> ClassSpec:
    return ClassSpec(value=entry.value, name=entry.name, color=entry.color, auxiliary=auxiliary)


def _is_generic(name: str) -> bool:
    return name.casefold().split(" ")[0] in {"label", "class"}


def _with_free_value(old: ClassSpec, taken: set[int]) -> ClassSpec:
    value = old.value
    while value in taken:
        value += 1
    return old.model_copy(update={"value": value})


def load_overlapping(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Load weights into a network with other outputs; return the names that only fitted in part.

    Tensors of equal shape are copied; of others the common leading part (background and the known classes).
    """
    import torch

    own = network.state_dict()
    partial = []
    with torch.no_grad():
        for key, target in own.items():
            source = state.get(key)
            if source is None or source.ndim != target.ndim:
                partial.append(key)
                continue
            if source.shape != target.shape:
                partial.append(key)
            part = tuple(
                slice(0, min(a, b)) for a, b in zip(source.shape, target.shape, strict=True)
            )
            target[part] = source[part].to(target.dtype)
    network.load_state_dict(own)
    return partial


def freeze_leading(network: nn.Module, share: float) -> int:
    """Freeze the leading share of the network's parameter tensors (input side first); return how many."""
    parameters = list(network.parameters())
    count = min(len(parameters) - 1, int(share * len(parameters)))
    for parameter in parameters[:count]:
        parameter.requires_grad_(False)
    return count
