"""Gallery: the few samples that stand for all, x̃ above x̃ − x, with share and certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QToolButton

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.gallery import Card

EDGE = 120
_COLUMNS = 2
_GAP = 3


class Gallery(Section):
    """Thumbnails; a click goes to the sample in the viewer."""

    title = "Samples that stand for all"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = model = session.gallery
        self.button = QPushButton("Choose the representatives")
        self.button.setToolTip(
            "which few samples cover the slow changes of all, and for what share each stands (needs certified samples)"
        )
        self.button.clicked.connect(self.guard(model.run))
        self.add(self.button)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.add(self.legend)
        self.cards: list[QToolButton] = []
        self._grid = QGridLayout()
        self._grid.setSpacing(2)
        self.add(self._grid)
        listen(self, model.events.cards, self._on_cards)
        listen(self, model.events.shown, self._on_shown)
        listen(self, session.analyse.activity.events.state, self._on_state)
        self._on_state(session.analyse.activity.state)
        self._on_cards(model.cards)

    def _on_state(self, state: str) -> None:
        self.button.setEnabled(state == "idle")

    def _on_cards(self, cards: tuple[Card, ...]) -> None:
        for button in self.cards:
            self._grid.removeWidget(button)
            button.deleteLater()
        self.cards = []
        self.legend.setVisible(bool(cards))
        if cards:
            unit, limit = cards[0].unit, self._model.limit
            self.legend.setText(
                f"x̃ above, x̃ − x below (±{limit:.3g} {unit}), share of all samples, tier and RMSE when fed back."
            )
            QTimer.singleShot(0, self._more)

    def _more(self) -> None:
        """One more card, in a turn of the event loop of its own."""
        cards, index = self._model.cards, len(self.cards)
        if index >= len(cards):
            return
        button = self._card(cards[index])
        self.cards.append(button)
        self._grid.addWidget(button, index // _COLUMNS, index % _COLUMNS)
        self.reveal(button)
        QTimer.singleShot(0, self._more)

    def _card(self, card: Card) -> QToolButton:
        button = QToolButton()
        picture = _picture(card, self._model.window, self._model.limit)
        button.setIcon(QIcon(picture))
        button.setIconSize(picture.size())
        button.setText(card.caption)
        button.setToolTip(card.words)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setAutoRaise(True)
        button.setCheckable(True)
        button.clicked.connect(self.guard(lambda: self._model.show(card.row)))
        return button

    def _on_shown(self, row: int) -> None:
        for button, card in zip(self.cards, self._model.cards, strict=False):
            button.setChecked(card.row == row)


def _picture(card: Card, window: tuple[float, float], limit: float) -> QPixmap:
    """x̃ in its window above x̃ − x around zero, each `EDGE` pixels wide."""
    above, below = _coloured(card.x_tilde, window, "gray"), _coloured(card.change, (-limit, limit), "RdBu_r")
    gap = np.zeros((_GAP, above.shape[1], 4), dtype=np.uint8)
    pixels = np.ascontiguousarray(np.concatenate([above, gap, below]))
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()
    return QPixmap.fromImage(image)


def _coloured(values: NDArray[np.float32], limits: tuple[float, float], colormap: str) -> NDArray[np.uint8]:
    """(h, EDGE, 4) RGBA, nearest voxels."""
    rows, columns = values.shape
    height = max(1, round(EDGE * rows / columns))
    picked = values[np.ix_(np.arange(height) * rows // height, np.arange(EDGE) * columns // EDGE)]
    share = np.clip((picked - limits[0]) / max(limits[1] - limits[0], 1e-9), 0.0, 1.0)
    colours: Any = ensure_colormap(colormap).map(share.ravel())
    return np.asarray(np.round(255 * colours), dtype=np.uint8).reshape(height, EDGE, 4)
