"""Probe: a click on a pixel shows the histogram of all samples there."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._plot import Plot
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session
from napari_ctinv.session.probe import Probed


class Probe(Section):
    """The samples at one pixel."""

    title = "Probe"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.probe
        self.button = QPushButton("&Probe a pixel")
        self.button.setCheckable(True)
        self.button.setChecked(self.model.on)
        self.button.setToolTip(
            "while it is down, a click on the image shows all samples at that pixel, in HU"
        )
        self.plot = Plot("HU", "samples")
        self.plot.setToolTip("how many samples have which value at the pixel; dashed: x and f(x)")
        self.line = QLabel("")
        self.line.setWordWrap(True)
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        for part in (self.button, self.plot, self.line):
            self.add(part)
        self.button.toggled.connect(self._on_button)
        listen(self, self.model.events.on, lambda on: self.button.setChecked(on))
        listen(self, self.model.events.probed, self._show)
        listen(self, self.model.events.message, self._on_message)
        self._show(self.model.probed)

    def _on_button(self, on: bool) -> None:
        self.model.on = on

    def _on_message(self, message: str) -> None:
        if message:
            self.tell(message)
        else:
            self.say("")

    def _show(self, probed: Probed | None) -> None:
        appears = probed is not None and self.plot.isHidden()
        self.plot.setVisible(probed is not None)
        self.line.setVisible(probed is not None)
        if probed is None:
            return
        edges, counts = probed.histogram
        self.plot.set_axes(f"x̃ [{probed.unit}]", "samples")
        self.plot.set_line("x̃", edges, counts, steps=True)
        self.plot.set_marks({"x": probed.x, "f(x)": probed.fx}, vertical=True)
        self.line.setText(probed.lines)
        if appears:
            self.reveal(self.line)
            self.reveal(self.plot)
