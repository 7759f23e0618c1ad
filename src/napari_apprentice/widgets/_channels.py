"""Which channels of an image feed the chosen model: a list per channel of the model, hidden where there is no choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFormLayout, QWidget

from ._parts import ElidedList

if TYPE_CHECKING:
    from napari_apprentice.session.session import Session

__all__ = ["ChannelLists"]


class ChannelLists(QWidget):
    """Lists of the image's channels.

    Parameters
    ----------
    session
        Whose image and model it is about.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.lists: list[ElidedList] = []
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)

    def render_state(self) -> None:
        """Show which channels feed the model."""
        session = self._session
        chosen, volume, spec = session.channels, session.volume, session.spec
        self.setVisible(chosen is not None)
        if chosen is None or volume is None or spec is None:
            return
        if len(self.lists) != len(chosen):
            self._build(len(chosen))
        for number, (one, channel) in enumerate(zip(self.lists, chosen, strict=True)):
            wanted = spec.channels[number] if len(chosen) == len(spec.channels) else "image"
            what = "Channel" if len(chosen) == 1 else f"Channel for {wanted}"
            self._form.labelForField(one).setText(what)
            one.setAccessibleName(what)
            one.setToolTip(
                f"{spec.name} looks at {len(chosen)} of the image's {len(volume.channels)} channels; "
                f"this one stands for its “{wanted}”"
            )
            was_blocked = one.blockSignals(True)
            one.clear()
            one.addItems(list(volume.channels))
            one.setCurrentIndex(channel)
            one.blockSignals(was_blocked)

    def _build(self, count: int) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self.lists = [ElidedList() for _ in range(count)]
        for one in self.lists:
            self._form.addRow("Channel", one)
            one.currentIndexChanged.connect(self._on_list_index)

    def _on_list_index(self, index: int) -> None:
        self._session.choose_channels(tuple(one.currentIndex() for one in self.lists))
