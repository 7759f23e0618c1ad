"""Results of one image after the other: where they go, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.prediction import Prediction

    from ._inputs import Inputs

__all__ = ["check_names", "line_of", "said_of"]


def check_names(inputs: Inputs, out: Path) -> None:
    """Refuse a file for several results, and results that would land in one file.

    Raises
    ------
    BadInputError
        Which, and what to do.
    """
    from napari_apprentice.engine.files import is_file_name
    from napari_apprentice.io import is_place_file, stem

    is_table = is_place_file(out) and not out.is_dir()
    if not inputs.alone and (is_file_name(out) or is_table):
        raise BadInputError(
            f"expected a folder for the results of {len(inputs.images)} images, found a file name",
            path=out,
        )
    seen: dict[str, Path] = {}
    for image in inputs.images:
        other = seen.setdefault(stem(image).casefold(), image)
        if other is not image:
            raise BadInputError(
                f"the results of this and {other} would be written to one file",
                path=image,
                remedy="Predict them into two folders.",
            )


def said_of(prediction: Prediction) -> dict[str, Any]:
    """What a prediction says besides its voxels, as plain data."""
    said: dict[str, Any] = {"summary": prediction.summary}
    if prediction.count is not None:
        said["count"] = prediction.count
    if prediction.image_class is not None:
        said |= {"class": prediction.image_class, "unsure": prediction.is_unsure}
    if prediction.table:
        said["scores"] = dict(prediction.table)
    made = prediction.provenance
    if made is not None:
        said |= {
            "device": made.device,
            "seconds": round(made.seconds, 3),
            "notes": list(made.notes),
        }
    return said


def line_of(record: dict[str, Any]) -> str:
    """One line about the record of a result."""
    where = record["path"] if "class" in record else record["output"] or record["path"]
    return f"{where}: {record['summary']} ({record['seconds']} s on {record['device']})"
