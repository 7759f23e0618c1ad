"""Where a training starts: from nothing, or from a model whose classes are not quite the annotation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ModelError
from napari_apprentice.core.jobs import Log
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import TASKS, inputs_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from torch import Tensor, nn

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.models.store import Model

__all__ = [
    "Freezer",
    "adapt_image_spec",
    "adapt_spec",
    "gains_classes",
    "head_keys",
    "is_new_head",
    "load_backbone",
    "load_overlapping",
    "merged_classes",
    "take_over",
]

_THAWING_STEPS = 4
_PREFIXES = ("", "module.", "model.", "network.", "backbone.", "encoder.")


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


def adapt_image_spec(spec: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
    """Give a classifier of whole images the classes there are.

    Where one of them is known by name, the model keeps its classes and learns the others, too; where none is, its classes
    give way to the new ones (and its last layer to a fresh one, see `is_new_head`).
    """
    task_args = {key: value for key, value in spec.task_args.items() if key != "temperature"}
    kept = () if is_new_head(spec, classes) else spec.classes
    known = {c.name.casefold() for c in kept}
    entries = list(kept)
    for entry in classes:
        if entry.name.casefold() not in known:
            values = {c.value for c in entries}
            free = entry.value if entry.value not in values else max(values) + 1
            entries.append(ClassSpec(value=free, name=entry.name, color=entry.color))
    return spec.model_copy(update={"classes": tuple(entries), "task_args": task_args})


def is_new_head(spec: ModelSpec, classes: Sequence[LabelClass]) -> bool:
    """Whether a model knows none of these classes by name."""
    known = {c.name.casefold() for c in spec.classes}
    return not any(entry.name.casefold() in known for entry in classes)


def gains_classes(init: Model | ModelSpec | None, spec: ModelSpec) -> bool:
    """Whether a model learns classes that its start did not know.

    The start cannot then be the best at it, however well it does what it was asked before; and of two equal scores the
    later one has seen more of them.
    """
    if init is None or isinstance(init, ModelSpec):
        return False
    known = {c.name.casefold() for c in init.spec.classes}
    return any(c.name.casefold() not in known for c in spec.classes)


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


def take_over(
    network: nn.Module,
    spec: ModelSpec,
    init: Model | ModelSpec | None,
    backbone: Mapping[str, Tensor] | None,
) -> Generator[Log, None, Mapping[str, Tensor]]:
    """Load the weights there are, the last layer only where a class is known; return those of `init`, if all fitted."""
    start: Mapping[str, Tensor] = {}
    if init is not None and not isinstance(init, ModelSpec):
        kept = {c.name for c in spec.classes} & {c.name for c in init.spec.classes}
        fresh = set() if kept else head_keys(spec)
        known = {k: v for k, v in init.state.items() if k not in fresh}
        start = {} if load_overlapping(network, known) else known
    if backbone is not None:
        taken, count = load_backbone(network, backbone)
        level = "info" if taken > count / 2 else "warning"
        yield Log(f"{taken} of {count} tensors taken from the backbone", level)
    return start


def head_keys(spec: ModelSpec) -> set[str]:
    """Names of the weights whose shape depends on how many channels the answer has: the network's last layer."""
    import torch

    shapes = []
    with torch.device("meta"):
        for channels in (2, 3):
            network = NETWORKS[spec.network].build(
                ndim=spec.ndim,
                in_channels=inputs_of(TASKS[spec.task], spec),
                out_channels=channels,
                args=spec.network_args,
            )
            shapes.append({k: tuple(v.shape) for k, v in network.state_dict().items()})
    return {key for key, shape in shapes[0].items() if shapes[1][key] != shape}


def load_backbone(network: nn.Module, state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Load what fits of the weights of another program's network of the same kind.

    Names must agree, but for a prefix such as ``backbone.``, and shapes, too.

    Returns
    -------
    tuple of int
        How many of the network's tensors were taken, and how many it has.

    Raises
    ------
    ModelError
        Nothing fits.
    """
    own = network.state_dict()

    def taken(prefix: str) -> dict[str, Tensor]:
        return {
            key: state[prefix + key].to(tensor.dtype)
            for key, tensor in own.items()
            if prefix + key in state and state[prefix + key].shape == tensor.shape
        }

    best = max((taken(prefix) for prefix in _PREFIXES), key=len)
    if not best:
        raise ModelError(
            f"expected weights such as {next(iter(own))!r}, found {next(iter(state), None)!r}",
            remedy="The file holds the weights of another network: choose that network.",
        )
    network.load_state_dict(own | best)
    return len(best), len(own)


class Freezer:
    """Keeps the leading layers of a network as they are, and lets them learn later, the last of them first.

    Parameters
    ----------
    network
        Being trained.
    share
        Leading share of the weights that is frozen, the network's last layer not counted.
    thaw
        Share of the training over which they thaw, a quarter of them at a time; 0: they stay frozen.
    head
        Names of the weights that are never frozen.
    """

    def __init__(self, network: nn.Module, share: float, thaw: float, head: set[str]) -> None:
        self._body = [p for name, p in network.named_parameters() if name not in head]
        self._norms = [m for m in network.modules() if _keeps_statistics(m)]
        self._share, self._thaw = share, thaw
        self.update(0.0)

    def update(self, fraction: float) -> None:
        """Freeze and thaw for a moment of the training, 0 to 1."""
        share = self._share
        if self._thaw:
            done = int(_THAWING_STEPS * fraction / self._thaw) / _THAWING_STEPS
            share *= max(0.0, 1.0 - done)
        count = int(share * len(self._body))
        for number, parameter in enumerate(self._body):
            parameter.requires_grad_(number >= count)

    def calm(self) -> None:
        """Keep the statistics of frozen normalisation layers, too; call it after ``network.train()``."""
        for module in self._norms:
            own = list(module.parameters())
            if own and not any(p.requires_grad for p in own):
                module.eval()


def _keeps_statistics(module: nn.Module) -> bool:
    return getattr(module, "running_mean", None) is not None
