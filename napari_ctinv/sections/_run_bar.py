"""The button that runs and cancels, with progress: the view of an activity."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session.activity import CANCELLING, IDLE, Activity

_LABELS = {"running": "Cancel", "cancelling": "Cancelling…"}


class RunBar(QWidget):
    """One button, a bar and a line.

    Args:
        section: Tells what goes wrong.
        activity: What is run.
        start: Starts it; may raise a `CtinvError`.
        tooltip: What the button does.
    """

    def __init__(
        self, section: Section, activity: Activity, start: Callable[[], Any], *, tooltip: str
    ) -> None:
        super().__init__()
        self._section, self._activity, self._start = section, activity, start
        self.button = QPushButton(activity.title)
        self.button.setToolTip(tooltip)
        self.button.clicked.connect(section.guard(self._press))
        self.bar = QProgressBar()
        self.line = QLabel("")
        self.line.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.button, self.bar, self.line):
            layout.addWidget(part)
        listen(self, activity.events.state, self._on_state)
        listen(self, activity.events.text, self._on_text)
        listen(self, activity.events.fraction, self._on_fraction)
        listen(self, activity.events.message, self._on_message)
        self._on_state(activity.state)

    def _press(self) -> None:
        if self._activity.running:
            self._activity.cancel()
        else:
            self._start()

    def _on_state(self, state: str) -> None:
        self.button.setText(_LABELS.get(state, self._activity.title))
        self.button.setEnabled(state != CANCELLING)
        self.bar.setVisible(state != IDLE)
        self.line.setVisible(state != IDLE)

    def _on_text(self, text: str) -> None:
        self.line.setText(text)

    def _on_fraction(self, fraction: float) -> None:
        # No busy animation where the length is unknown: each of its frames would redraw the canvas.
        self.bar.setValue(0 if math.isnan(fraction) else round(100 * fraction))

    def _on_message(self, message: str) -> None:
        if message:
            self._section.tell(message)
