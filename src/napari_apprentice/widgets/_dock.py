"""What all docks share: their session, their width, and a scroll area that cuts nothing off."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from napari.utils.theme import get_theme
from qtpy.QtCore import QCoreApplication, QEvent, QPoint, QSize, QTimer
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from ._parts import ImageHead, JobLine
from ._session import link_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from psygnal import SignalInstance

    from napari_apprentice.engine.config import TrainConfig
    from napari_apprentice.session.session import Session

    from .form import ConfigForm

__all__ = ["Dock", "SessionWidget", "scrolled"]

WIDTH = 380


class Themed(Protocol):
    """What draws in two colours."""

    def set_theme(self, background: str, text: str) -> None:
        """Draw on this colour, in that one."""
        ...


class SessionWidget(QWidget):
    """A widget around one session; connects to it with `listen`, which also disconnects.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__()
        self._link = link_for(viewer) if session is None else None
        self.viewer = viewer
        self.session: Session = session or link_for(viewer).session
        self._connections: list[tuple[SignalInstance, Callable[..., Any]]] = []
        self.destroyed.connect(_disconnector(self._connections))

    def listen(self, signal: SignalInstance, slot: Callable[..., Any]) -> None:
        """Call `slot` when the session says something, until this dock is gone."""
        signal.connect(slot)
        self._connections.append((signal, slot))

    def follow_theme(self, shown: Themed) -> None:
        """Draw in the colours of the viewer's theme, now and when it changes."""

        def draw(*_: object) -> None:
            theme = get_theme(self.viewer.theme)
            shown.set_theme(theme.background.as_hex(), theme.text.as_hex())

        self.listen(self.viewer.events.theme, draw)
        draw()

    def follow_recipe(self, form: ConfigForm[TrainConfig]) -> None:
        """Show in a form how new models prepare images, now and when that changes."""

        def show() -> None:
            recipe = self.session.recipe
            form.set_fields({"filters": recipe.filters, "normalization": recipe.normalization})

        self.listen(self.session.recipe_changed, show)
        show()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as docks are."""
        return QSize(WIDTH, 600)

    def event(self, event: QEvent) -> bool:
        """Find the window this dock stands in: the session ends with it."""
        if self._link is not None and event.type() in (QEvent.Type.ParentChange, QEvent.Type.Show):
            # The dock's frame is put into the window only after the dock is put into its frame.
            QTimer.singleShot(0, self._watch_window)
        return super().event(event)

    def _watch_window(self) -> None:
        with suppress(RuntimeError):  # gone by now
            if self._link is not None and self.window() is not self:
                self._link.watch(self.window())


class Dock(SessionWidget):
    """A dock whose ``body`` scrolls between its image above and the job at work below.

    Parameters
    ----------
    viewer, session
        As of `SessionWidget`.
    embedded
        Without image and job, because the dock around it shows them.
    """

    shows_image = True
    """Whether the image that the session works on stands above."""
    _is_placed = False

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session | None = None,
        *,
        embedded: bool = False,
    ) -> None:
        super().__init__(viewer, session)
        inner = QWidget()
        self.body = _column(inner, (8, 8, 8, 8), 8)
        self.scroll = scrolled(inner)
        self.head = _column(None, (8, 8, 8, 0), 4)
        self.foot = _column(None, (8, 0, 8, 8), 4)
        layout = _column(self, (0, 0, 0, 0), 4)
        layout.addLayout(self.head)
        layout.addWidget(self.scroll, 1)
        layout.addLayout(self.foot)
        self._is_placed = embedded
        if not embedded:
            self._add_frame()

    def event(self, event: QEvent) -> bool:
        """Find a place beside the other docks, once."""
        if not self._is_placed and event.type() == QEvent.Type.Show:
            self._is_placed = True
            QTimer.singleShot(0, self._join_tabs)
        return super().event(event)

    def _join_tabs(self) -> None:
        """Be a tab beside another of our docks: one below the other, neither would have room."""
        with suppress(RuntimeError):  # gone by now
            window, own = self.window(), self.parent()
            if not isinstance(window, QMainWindow) or not isinstance(own, QDockWidget):
                return
            area = window.dockWidgetArea(own)
            for other in window.findChildren(QDockWidget):
                is_beside = window.dockWidgetArea(other) == area and not other.isFloating()
                is_ours = other is not own and other.findChild(Dock) is not None
                if is_beside and is_ours and other.isVisible():
                    window.tabifyDockWidget(other, own)
                    own.raise_()
                    return

    def reveal(self, widget: QWidget) -> None:
        """Scroll to what has just appeared in the body: to all of it, or its top where it is longer than the dock."""
        # It has its place only once all layouts around it have taken notice.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        top = widget.mapTo(self.scroll.widget(), QPoint(0, 0)).y()
        # Not `ensureWidgetVisible`: of a plot that is content with the place of its text cursor.
        for y in (top + widget.height(), top):
            self.scroll.ensureVisible(0, y, 0, 0)

    def _add_frame(self) -> None:
        job, session = JobLine(self.session), self.session
        self.foot.addWidget(job)
        self.listen(session.status_changed, job.set_status)
        if self.shows_image:
            image = ImageHead()
            self.head.addWidget(image)
            image.set_volume(session.volume)
            self.listen(session.image_changed, lambda: image.set_volume(session.volume))


def _column(
    parent: QWidget | None, margins: tuple[int, int, int, int], spacing: int
) -> QVBoxLayout:
    column = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    column.setContentsMargins(*margins)
    column.setSpacing(spacing)
    return column


def scrolled(widget: QWidget) -> QScrollArea:
    """Let a widget scroll where there is too little room for it."""
    area = QScrollArea()
    area.setWidget(widget)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    return area


def _disconnector(
    connections: list[tuple[SignalInstance, Callable[..., Any]]],
) -> Callable[..., None]:
    """Return what disconnects; it must not hold the dock, which is half gone when it runs."""

    def disconnect(*_: Any) -> None:
        for signal, slot in connections:
            with suppress(ValueError, RuntimeError):
                signal.disconnect(slot)
        connections.clear()

    return disconnect
