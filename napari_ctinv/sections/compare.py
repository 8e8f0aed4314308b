"""Compare: side by side, before and after correction, blink, swipe, checkerboard."""

from __future__ import annotations

from functools import partial
from typing import Any

from magicgui.widgets import ComboBox, Container, FloatSlider, FloatSpinBox
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton

from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.compare import BLINK, CHECKERBOARD, GRID, OFF, RAW, SWIPE

BUTTONS = {
    GRID: ("&Grid", "x, f(x), x̃ and f(x̃) − f(x) beside each other; x, f(x) and x̃ share one window"),
    RAW: (
        "&Raw | corrected",
        "the sample and its feed-back error before and after correction, beside each other",
    ),
    BLINK: ("&Blink", "two layers in turn, in one place"),
    SWIPE: ("S&wipe", "one layer left and one right of a divider; drag the divider in the image"),
    CHECKERBOARD: ("&Checkerboard", "two layers in alternating tiles"),
}


class Compare(Section):
    """One button for each way; pressing it again puts back what was there."""

    title = "Compare"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.compare
        self.buttons = {mode: self._button(mode) for mode in BUTTONS}
        self._lay_out()
        self.below = ComboBox(
            label="layer",
            choices=self._offered,
            nullable=True,
            tooltip="the first layer, left of the divider",
        )
        self.above = ComboBox(
            label="with",
            choices=self._offered,
            nullable=True,
            tooltip="the second layer, right of the divider",
        )
        self.rate = FloatSpinBox(
            label="blink",
            min=0.2,
            max=10.0,
            step=0.2,
            value=self.model.rate,
            tooltip="changes per second, 1/s",
        )
        self.share = FloatSlider(
            label="divider",
            min=0.0,
            max=1.0,
            value=self.model.share,
            tooltip="where the divider stands, as a share of the second layer's width",
        )
        self.tile = FloatSpinBox(
            label="tile", min=0.1, max=500.0, step=1.0, value=self.model.tile, tooltip="edge of a tile in mm"
        )
        self.add(Container(widgets=[self.below, self.above, self.rate, self.share, self.tile], labels=True))
        self.line = QLabel("")
        self.line.setWordWrap(True)
        self.add(self.line)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.model.tick)
        self._connect()

    def _button(self, mode: str) -> QPushButton:
        text, tooltip = BUTTONS[mode]
        button = QPushButton(text)
        button.setCheckable(True)
        button.setToolTip(f"{tooltip}; press again to put back what was there")
        button.clicked.connect(self.guard(partial(self._press, mode)))
        return button

    def _lay_out(self) -> None:
        """The two grids in the first line, the three ways to compare a pair in the second."""
        places = QGridLayout()
        for column, mode in enumerate((GRID, RAW)):
            places.addWidget(self.buttons[mode], 0, 3 * column, 1, 3)
        for column, mode in enumerate((BLINK, SWIPE, CHECKERBOARD)):
            places.addWidget(self.buttons[mode], 1, 2 * column, 1, 2)
        self.add(places)

    def _connect(self) -> None:
        model = self.model
        for name in ("below", "above", "rate", "share", "tile"):
            bind(model, name, getattr(self, name))
        listen(self, model.events.layers, self._on_layers)
        listen(self, model.events.mode, self._on_mode)
        listen(self, model.events.rate, self._pace)
        listen(self, self.session.raw.events.line, self._on_raw)
        self._on_mode(model.mode)

    def _press(self, mode: str) -> None:
        try:
            self.model.enter(OFF if self.model.mode == mode else mode)
        finally:
            self._on_mode(self.model.mode)  # a button that was refused does not stay down

    def _on_mode(self, mode: str) -> None:
        for name, button in self.buttons.items():
            button.setChecked(name == mode)
        self._on_raw(self.session.raw.line)
        if mode == BLINK:
            self._pace()
            self._timer.start()
        else:
            self._timer.stop()

    def _on_raw(self, line: str) -> None:
        self.line.setText(line)
        self.line.setVisible(bool(line) and self.model.mode == RAW)

    def _pace(self, _rate: float = 0.0) -> None:
        self._timer.setInterval(max(1, round(1000 / self.model.rate)))

    def _on_layers(self, _layers: Any) -> None:
        for box, name in ((self.below, "below"), (self.above, "above")):
            box.reset_choices()
            box.value = getattr(self.model, name)

    def _offered(self, _widget: Any = None) -> list[Any]:
        return [(layer.name, layer) for layer in self.session.compare.layers]
