"""Curves: losses and the figures of validations, live."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, Container, Slider
from qtpy.QtCore import QTimer

from napari_ctinv.sections._bind import listen, offer
from napari_ctinv.sections._plot import Plot, Values
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.train_history import FIGURES, Curve

DRAW_EVERY_MS = 200
"""A training may tell of its steps more often; the eye does not need it."""


class Curves(Section):
    """Losses of each step, and below them one figure of the validations."""

    title = "Curves"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = session.train
        self.log = CheckBox(
            text="logarithmic", tooltip="logarithmic losses; what is not positive is left out"
        )
        self.smooth = Slider(
            label="smooth", min=1, max=100, tooltip="points over which losses are averaged for the eye"
        )
        self.add(Container(widgets=[self.log, self.smooth], labels=True))
        theme = session.viewer.theme
        self.linear = Plot("step", "loss", theme=theme)
        self.logarithmic = Plot("step", "loss", log="y", theme=theme)
        self.logarithmic.setVisible(False)
        self.figure = ComboBox(
            label="validation", choices=(), tooltip="figure of the validation patients, by step"
        )
        self.figures = Plot("step", "", theme=theme)
        for plot in (self.linear, self.logarithmic):
            self.add(plot)
        self.add(Container(widgets=[self.figure], labels=True))
        self.add(self.figures)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_EVERY_MS)
        self._timer.timeout.connect(self.draw)
        listen(self, self._model.grew, self._soon)
        listen(self, session.viewer.events.theme, self._on_theme)
        for field in (self.log, self.smooth, self.figure):
            field.changed.connect(self.draw)
        self.draw()

    @property
    def shown(self) -> Plot:
        """The plot of losses that is on the screen."""
        return self.logarithmic if self.log.value else self.linear

    def draw(self) -> None:
        """Bring the plots up to date."""
        history = self._model.history
        self.linear.setVisible(not self.log.value)
        self.logarithmic.setVisible(bool(self.log.value))
        losses = {
            name: _smooth(*curve.points(), int(self.smooth.value)) for name, curve in history.losses.items()
        }
        self.shown.set_lines(losses)
        named = [(FIGURES[name], name) for name in FIGURES if name in history.figures]
        if [name for _, name in named] != list(self.figure.choices):
            with self.figure.changed.blocked():
                offer(self.figure, named)
        chosen = history.figures.get(str(self.figure.value), Curve())
        title = FIGURES.get(str(self.figure.value), "")
        self.figures.set_axes("step", title)
        self.figures.set_lines({title: chosen.points()} if title else {})

    def _soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_theme(self) -> None:
        for plot in (self.linear, self.logarithmic, self.figures):
            plot.set_theme(self.session.viewer.theme)


def _smooth(x: Values, y: Values, width: int) -> tuple[Values, Values]:
    """The mean of the last points, fewer at the beginning."""
    if width < 2 or len(y) < 2:
        return x, y
    total = np.concatenate([[0.0], np.cumsum(y)])
    end = np.arange(1, len(y) + 1)
    begin = np.maximum(0, end - width)
    return x, (total[end] - total[begin]) / (end - begin)
