"""Images that were made up are learned from, but nothing is ever scored on them: they are left out, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Log
from napari_apprentice.io import synthetic_mark

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from .scorers import Case
    from .split import TrainItem

__all__ = ["measured_cases", "measured_pairs"]


def measured_cases(cases: Sequence[Case]) -> Generator[Log, None, list[Case]]:
    """The cases of images that were not made up, by what their files say: truth, prediction, or the image itself.

    Raises
    ------
    BadInputError
        There are none.
    """
    kept = [case for case in cases if not _is_made_up(case)]
    yield from _told(len(cases), len(kept))
    return kept


def _is_made_up(case: Case) -> bool:
    return any(synthetic_mark(path) for path in (case.name, case.key, case.image) if path)


def measured_pairs(
    items: Sequence[TrainItem], files: Sequence[Path]
) -> Generator[Log, None, list[tuple[TrainItem, Path]]]:
    """Opened images that were not made up, with their files.

    Raises
    ------
    BadInputError
        There are none.
    """
    pairs = list(zip(items, files, strict=True))
    kept = [pair for pair in pairs if not pair[0].is_synthetic]
    yield from _told(len(pairs), len(kept))
    return kept


def _told(count: int, kept: int) -> Generator[Log, None, None]:
    left = count - kept
    if left and not kept:
        raise BadInputError(
            f"expected measured images to score on, found only made-up ones ({count})",
            remedy="Give images that no model made.",
        )
    if left:
        yield Log(
            f"{left} made-up image{'s' if left > 1 else ''} left out of the scores", "warning"
        )
