"""One line with what sampling will take, kept up to date while nothing runs."""

from __future__ import annotations

from typing import Any

from napari.layers import Shapes
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLabel

from napari_ctinv.sections._bind import listen
from napari_ctinv.session import Session

SETTLE_MS = 300
_FIELDS = ("region", "edge", "shapes", "tap", "generator", "own_generator", "n", "tier", "seed", "folder")


class EstimateLine(QLabel):
    """Memory and time of the request, estimated anew when something of it has changed and rests for `SETTLE_MS`.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("")
        self.setWordWrap(True)
        self.setToolTip(
            "memory of the device, and time on this machine as busy as it is now; within about a factor of two"
        )
        self._session = session
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._update)
        listen(self, session.estimate.events.text, self._show)
        self.setText(session.estimate.text)
        self._connect()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Nothing is estimated for nobody."""
        super().showEvent(event)
        self._soon()

    def _connect(self) -> None:
        session, viewer = self._session, self._session.viewer
        signals = [getattr(session.invariances.events, name) for name in _FIELDS]
        signals += [getattr(session.network.events, name) for name in ("name", "own", "facts")]
        signals += [session.settings.events.device, session.scan.events.layer]
        signals += [session.invariances.activity.events.state]
        signals += [viewer.dims.events.point, viewer.scene.camera.events.center]
        for signal in (*signals, viewer.layers.events.inserted, viewer.layers.events.removed):
            listen(self, signal, self._soon)
        listen(self, viewer.layers.events.inserted, self._watch_drawing)

    def _watch_drawing(self, event: Any) -> None:
        if isinstance(event.value, Shapes):
            listen(self, event.value.events.data, self._soon)

    def _show(self, text: str) -> None:
        self.setText(text)

    def _soon(self, *_: Any) -> None:
        self._settle.start()

    def _update(self) -> None:
        if self.isVisible():
            self._session.estimate.update()
