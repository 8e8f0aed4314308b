"""Card of the model: what the network is, how its convention is known, its taps, and how it was trained."""

from __future__ import annotations

import html
import json
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QGuiApplication, QResizeEvent, QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy

from napari_ctinv.card_rows import Row, card_rows
from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.activity import IDLE
from napari_ctinv.work.network import NetworkFacts


class ModelCard(Section):
    """The facts of the chosen network; it is looked at once the card is on the screen."""

    title = "Card of the model"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.network
        self.rows = _Table()
        self.rows.setToolTip("shapes are channels × rows × columns for an image of 512 × 512 pixels")
        self.again = QPushButton("Read again")
        self.again.setToolTip("look at the file anew, after it was written again")
        self.again.clicked.connect(self.guard(self.model.reload))
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("all facts with whole hashes, as JSON, into the clipboard")
        self.copy.clicked.connect(self._copy)
        buttons = QHBoxLayout()
        buttons.addWidget(self.again)
        buttons.addWidget(self.copy)
        self.add(self.rows)
        self.add(buttons)
        listen(self, self.model.events.facts, self._show)
        listen(self, self.model.activity.events.state, self._on_state)
        listen(self, self.model.activity.events.message, self.say)
        for signal in (self.model.events.name, self.model.events.own):
            listen(self, signal, self._soon)
        self._show(self.model.facts)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Look at the network when the card comes to the screen for the first time."""
        super().showEvent(event)
        self._soon()

    def _soon(self, _value: Any = None) -> None:
        QTimer.singleShot(0, self.guard(self._look))

    def _look(self) -> None:
        """A shipped network only: one of the user's own is looked at when it is chosen."""
        model = self.model
        if self.isVisible() and model.own is None and model.facts is None and not model.activity.running:
            model.inspect()

    def _on_state(self, state: str) -> None:
        self.again.setEnabled(state == IDLE)
        if self.model.facts is None:
            self.rows.setText("" if state == IDLE else "looking at the network…")

    def _show(self, card: NetworkFacts | None) -> None:
        self.copy.setEnabled(card is not None)
        if card is None:
            self.rows.setText("")
            return
        self.rows.show_rows(card_rows(card))

    def _copy(self) -> None:
        card, clipboard = self.model.facts, QGuiApplication.clipboard()
        if card is not None and clipboard is not None:
            clipboard.setText(json.dumps({**card.facts, "origin": card.origin}, indent=2, default=str))


class _Table(QLabel):
    """Rows of a label and a text, as high as they need to be at the width of the column."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # A whole hash cannot be broken, and must not make the column wider than the dock.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: list[Row]) -> None:
        """Show these."""
        cells = "".join(
            f"<tr><td style='padding-right:6px'><b>{html.escape(label)}</b></td><td>{html.escape(text)}</td></tr>"
            for label, text in rows
        )
        self.setText(f"<table>{cells}</table>")

    def setText(self, text: str | None) -> None:
        """Show a text."""
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the height right for the width: layouts give a wrapped text too little or too much of it."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setFixedHeight(max(self.heightForWidth(self.width()), 0))
