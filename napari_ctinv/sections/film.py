"""Film: play the samples in a loop."""

from __future__ import annotations

from magicgui.widgets import CheckBox, Container, FloatSpinBox
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QPushButton

from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session

_OFTENER = 2
"""Looks at the clock per frame, so that a frame comes late by half its time at most."""


class Film(Section):
    """Play and pause, rate, direction, and whether failures are shown."""

    title = "Film"
    unfolded = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.film
        self.button = QPushButton("Pl&ay")
        self.button.setCheckable(True)
        self.button.setToolTip("show the samples one after another, again and again")
        self.fps = FloatSpinBox(
            label="frames per second",
            min=0.5,
            max=30.0,
            step=0.5,
            value=self.model.fps,
            tooltip="rate in 1/s; where drawing is slower, samples are left out and the pace is kept",
        )
        self.ping_pong = CheckBox(
            label="", text="forth and back", tooltip="turn round at both ends instead of starting anew"
        )
        self.passes_only = CheckBox(
            label="",
            text="passes only",
            tooltip="leave out samples that did not reach their tier or are implausible",
        )
        self.add(self.button)
        self.add(Container(widgets=[self.fps, self.ping_pong, self.passes_only], labels=True))
        for name in ("fps", "ping_pong", "passes_only"):
            bind(self.model, name, getattr(self, name))
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(lambda: self.model.tick())
        self.button.toggled.connect(self._on_button)
        listen(self, self.model.events.playing, self._on_playing)
        listen(self, self.model.events.fps, self._pace)
        self._on_playing(self.model.playing)

    def _on_button(self, on: bool) -> None:
        self.model.playing = on

    def _on_playing(self, on: bool) -> None:
        self.button.setChecked(on)
        self.button.setText("P&ause" if on else "Pl&ay")
        if on:
            self._pace()
            self._timer.start()
        else:
            self._timer.stop()

    def _pace(self, _fps: float = 0.0) -> None:
        self._timer.setInterval(max(1, round(1000 / (_OFTENER * self.model.fps))))
