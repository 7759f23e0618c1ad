"""Why a network said so, and where it is unsure: one file per way of explaining."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._explainer import ExplainConfig, Explainer

__all__ = ["EXPLAINERS", "ExplainConfig", "Explainer"]

EXPLAINERS: Registry[Explainer] = Registry("explainer", "napari_apprentice.explain", "EXPLAINER")
