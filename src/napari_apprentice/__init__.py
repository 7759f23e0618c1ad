"""napari-apprentice: networks that segment volumes in napari and learn from your corrections.

The verbs of the dock and the command line are plain functions here::

    import napari_apprentice as apprentice

    prediction = apprentice.predict("brain.nii.gz", "hippocampus-mri")
    model = apprentice.train("images", "labels", init="hippocampus-mri", minutes=5, out="my-model")
    report = apprentice.evaluate("truth", "predictions")
    table = apprentice.features("cells.tif", "cells-labels.tif")

Importing the package loads neither napari nor torch: each function is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine.features import features
    from .engine.reporting import save_html
    from .engine.synthesise import synthesise
    from .engine.verbs import (
        compare,
        evaluate,
        info,
        list_models,
        load_model,
        predict,
        train,
    )
    from .explain._ask import explanation
    from .io import open_labels, open_volume, save, save_table

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "explanation",
    "features",
    "info",
    "list_models",
    "load_model",
    "open_labels",
    "open_volume",
    "predict",
    "save",
    "save_html",
    "save_table",
    "synthesise",
    "train",
]

_HOME = {
    "compare": "engine.verbs",
    "evaluate": "engine.verbs",
    "explanation": "explain._ask",
    "features": "engine.features",
    "info": "engine.verbs",
    "list_models": "engine.verbs",
    "load_model": "engine.verbs",
    "open_labels": "io",
    "open_volume": "io",
    "predict": "engine.verbs",
    "save": "io",
    "save_html": "engine.reporting",
    "save_table": "io",
    "synthesise": "engine.synthesise",
    "train": "engine.verbs",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-apprentice")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
