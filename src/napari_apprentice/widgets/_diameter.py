"""The row *Object diameter* of a form: one answer for all docks, asked only where the model wants to know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.units import unit_text

if TYPE_CHECKING:
    from napari_apprentice.session.session import Session

    from .form import ConfigForm

__all__ = ["DiameterRow"]


class DiameterRow:
    """Keeps the field ``diameter`` of a form and the session's in step.

    Parameters
    ----------
    form
        Has the field.
    session
        Whose image and model it is about.
    """

    def __init__(self, form: ConfigForm[Any], session: Session) -> None:
        self._form = form
        self._session = session

    def tell_session(self) -> None:
        """Hand on what the person typed; a number that cannot be is left to the form."""
        if self._form.problem is None:
            self._session.set_diameter(self._form.value().diameter)

    def render(self) -> None:
        """Show what the session knows, with the unit of the image."""
        row, volume = self._form.row("diameter"), self._session.volume
        row.visible = self._session.numbers_objects
        row.label = (
            f"Object diameter ({unit_text('pixel' if volume is None else volume.grid.unit)})"
        )
        known = self._form.value() if self._form.problem is None else None
        if known is not None and known.diameter != self._session.diameter:
            self._form.set_value(known.model_copy(update={"diameter": self._session.diameter}))
