"""Readout: x, f(x) and the samples under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget
from superqt.utils import qthrottled

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._section import Section

if TYPE_CHECKING:
    from napari_ctinv.session import Session

LINES = {
    "voxel": ("Voxel", "index of the voxel under the cursor, counted from 0"),
    "place": ("Place", "position under the cursor in mm, towards left, posterior and superior"),
    "x": ("x", "the scan under the cursor, in its unit"),
    "fx": ("f(x)", "the denoised scan under the cursor, in the unit of the scan"),
    "samples": ("x̃", "mean ± standard deviation over the samples under the cursor, in the unit of the scan"),
}
EVERY_MS = 50


class Readout(Section):
    """Over `napari_ctinv.session.scan.ScanModel.readout`."""

    title: ClassVar[str] = "Under the cursor"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model = session.scan
        panel = QWidget()
        form = QFormLayout(panel)
        form.setContentsMargins(0, 0, 0, 0)
        self.lines: dict[str, QLabel] = {}
        for name, (title, tooltip) in LINES.items():
            line = self.lines[name] = QLabel("–")
            line.setToolTip(tooltip)
            line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            form.addRow(title, line)
        self.add(panel)
        # The last place counts, also where the mouse stops within the pause.
        self._follow = qthrottled(self._read, timeout=EVERY_MS, parent=self)
        listen(self, session.viewer.cursor.events.position, self._on_moved)
        listen(self, self.model.events.layer, self._on_moved)

    def _on_moved(self, _event: Any = None) -> None:
        self._follow()

    def _read(self) -> None:
        found = self.model.readout(self.session.viewer.cursor.position)
        for name, line in self.lines.items():
            line.setText(getattr(found, name))
