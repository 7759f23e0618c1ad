"""The model card: what a person should know before trusting a model, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_apprentice.core.spec import FilterSpec, ModelSpec

__all__ = ["NOT_HELD_OUT", "is_held_out", "model_card"]

_INTENDED = "Research use only. This is not a medical device: its results must not be used to diagnose or treat."
_LIMITS = (
    "Expect good results only on images like those it learned from: same modality and stain, similar voxel "
    "spacing, contrast and subjects. Look at every result, and correct it where it is wrong."
)


NOT_HELD_OUT = {"scored_on": "what it learned from"}
"""Belongs into ``training`` of a model whose scores are not those of strangers."""


def model_card(spec: ModelSpec) -> str:
    """Write the card of a model.

    Sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), as far as the model knows them.
    """
    sections = [
        f"# {spec.name}",
        spec.description or f"A {spec.ndim}-D model for the task “{spec.task}”.",
        _table("Model", _facts(spec)),
        _table("Classes", ((c.value, c.name) for c in spec.classes)),
        _table(_scores_title(spec), ((k, f"{v:.4g}") for k, v in spec.scores.items())),
        _table("How it was trained", ((k, _plain(v)) for k, v in spec.training.items())),
        f"## Intended use\n\n{_INTENDED}",
        f"## Limits\n\n{_LIMITS}{_missing(spec)}",
    ]
    if spec.citation:
        sections.append(f"## Citation\n\n{spec.citation}")
    return "\n\n".join(section for section in sections if section) + "\n"


def _facts(spec: ModelSpec) -> Iterable[tuple[str, object]]:
    yield "Task", spec.task
    yield "Network", f"{spec.network} ({_plain(spec.network_args) or 'defaults'})"
    yield "Spatial axes", spec.ndim
    grey = "; one grey channel is seen as all of them" if spec.grey_as_color else ""
    yield "Channels", ", ".join(spec.channels) + grey
    yield (
        "Working spacing",
        _lengths(spec.spacing, spec.unit) if spec.spacing else "the image's own",
    )
    yield "Tile", _lengths(spec.tile, "voxels")
    if spec.filters:
        yield "Filters", "; ".join(_filter(step) for step in spec.filters)
    yield "Intensities", _intensities(spec)
    if spec.task_args.get("measures"):
        unit = "voxels" if spec.spacing is None else spec.unit
        names = _plain(spec.task_args["measures"])
        yield "Measured of objects", f"{names}, in {unit} and in the intensities of the image"
    if spec.orientation:
        yield "Orientation", spec.orientation
    yield "Trained on", spec.data or "not stated"
    yield "Licence of the weights", spec.licence
    if spec.parent:
        yield "Fine-tuned from", spec.parent
    if spec.created:
        yield "Created", spec.created
    if spec.weights_sha256:
        yield "SHA-256 of the weights", spec.weights_sha256


def _filter(step: FilterSpec) -> str:
    return f"{step.name} ({_plain(step.args)})" if step.args else step.name


def _intensities(spec: ModelSpec) -> str:
    how = spec.normalization
    return how.kind if how.kind == "zscore" else f"{how.kind} {how.low:g} to {how.high:g}"


def _lengths(values: Iterable[float], unit: str) -> str:
    numbers = list(values)
    axes = ", ".join("ZYX"[-len(numbers) :])
    return f"{' × '.join(f'{v:.4g}' for v in numbers)} {unit} ({axes})"


def is_held_out(spec: ModelSpec) -> bool:
    """Whether a model's scores are from images that it has not learned from."""
    return "scored_on" not in spec.training


def _scores_title(spec: ModelSpec) -> str:
    """Where nothing was held out, ``training`` says so (`NOT_HELD_OUT`): such scores flatter."""
    return "Held-out scores" if is_held_out(spec) else f"Scores on {spec.training['scored_on']}"


def _missing(spec: ModelSpec) -> str:
    if spec.scores and is_held_out(spec):
        return ""
    return "\n\nNo held-out scores: how well it does on images that it has not seen is not known."


def _table(title: str, rows: Iterable[tuple[object, object]]) -> str:
    lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return "\n".join((f"## {title}\n", "| | |", "|---|---|", *lines)) if lines else ""


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return str(value)
