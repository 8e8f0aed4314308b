"""ROI statistics: draw a region, read its numbers in every image at the same place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from magicgui.widgets import ComboBox, Container
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton

from ctinv.errors import CtinvError, InputError
from napari_ctinv.sections._bind import bind, listen
from napari_ctinv.sections._section import Section
from napari_ctinv.sections._table import Table
from napari_ctinv.session import Session
from napari_ctinv.session.figures import number
from napari_ctinv.session.roi import RoiRow

_TURN_S = 0.03  # measured in one turn of the event loop
_QUIET_MS = 150  # after the last change before it is measured again
_HEAD = ("region", "image", "mean", "std", "min", "max", "median", "voxels", "mm²")
_TIPS = (
    "what is drawn",
    "where it is measured; a region keeps its place in mm",
    "mean, in the unit of the image",
    "standard deviation over the voxels (n − 1), in the unit of the image",
    "smallest value, in the unit of the image",
    "largest value, in the unit of the image",
    "median, in the unit of the image",
    "voxels whose centres lie inside; in brackets those that the image does not cover",
    "area of the counted voxels in mm²",
)


class RoiStatistics(Section):
    """Shapes or labels in the viewer, and the table of what they hold."""

    title = "ROI statistics"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._model = model = session.roi
        self._steps: Iterator[RoiRow] | None = None
        self._rows: list[RoiRow] = []
        self.draw_buttons = {kind: self._button(kind) for kind in ("rectangle", "ellipse", "polygon")}
        row = QHBoxLayout()
        for button in self.draw_buttons.values():
            row.addWidget(button)
        self.add(row)
        self.layer = ComboBox(
            label="drawn in",
            choices=self._offered,
            nullable=True,
            tooltip="the Shapes or Labels layer with the regions; without a choice the one added last",
        )
        self.add(Container(widgets=[self.layer], labels=True))
        self.measure = QPushButton("Measure")
        self.measure.setToolTip(
            "mean, standard deviation and the like of every region in every image, in its unit"
        )
        self.measure.clicked.connect(self.guard(self._begin))
        self.live = QCheckBox("live")
        self.live.setToolTip("measure again when a region, the slice or the sample changes")
        self.live.setChecked(True)
        below = QHBoxLayout()
        below.addWidget(self.measure, 1)
        below.addWidget(self.live)
        self.add(below)
        self.table = Table(_HEAD, name="roi statistics", csv=model.csv, tips=_TIPS)
        self.add(self.table)
        self._watch()

    def _button(self, kind: str) -> QPushButton:
        button = QPushButton(kind.capitalize())
        button.setToolTip(
            f"draw a {kind} over the scan" if kind[0] != "e" else f"draw an {kind} over the scan"
        )
        button.clicked.connect(self.guard(lambda: self._model.draw(kind)))
        return button

    def _watch(self) -> None:
        model = self._model
        listen(self, model.events.rows, self._on_rows)
        listen(self, model.events.layers, self._on_layers)
        bind(model, "layer", self.layer)
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.timeout.connect(self._go_on)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET_MS)
        self._quiet.timeout.connect(self._again)
        listen(self, self.session.viewer.dims.events.current_step, self._on_change)
        self._watched: set[int] = set()
        self._on_layers(model.layers)

    def _on_layers(self, layers: Any) -> None:
        self.layer.reset_choices()
        for layer in layers:
            if id(layer) not in self._watched:
                self._watched.add(id(layer))
                for name in ("data", "set_data", "paint"):
                    if hasattr(layer.events, name):
                        listen(self, getattr(layer.events, name), self._on_change)

    def _offered(self, _widget: Any = None) -> list[Any]:
        return [(layer.name, layer) for layer in self.session.roi.layers]

    def _on_change(self, _event: Any = None) -> None:
        if self.live.isChecked() and self._model.rows:
            self._quiet.start()

    def _begin(self) -> None:
        self._rows = []
        self._steps = self._model.steps()
        self._advance()

    def _again(self) -> None:
        """The same without complaint: a half-drawn region is no error."""
        try:
            self._begin()
        except InputError:
            self._steps = None

    def _go_on(self) -> None:
        try:
            self._advance()
        except CtinvError as error:
            self._steps = None
            self.tell(str(error))

    def _advance(self) -> None:
        """Measure for a moment, then let the interface answer."""
        end = time.monotonic() + _TURN_S
        while self._steps is not None and time.monotonic() < end:
            row = next(self._steps, None)
            if row is None:
                self._steps, self._model.rows = None, tuple(self._rows)
                return
            self._rows.append(row)
        if self._steps is not None:
            self._turn.start(0)

    def _on_rows(self, rows: tuple[RoiRow, ...]) -> None:
        self.table.set_rows([_cells(row) for row in rows])


def _cells(row: RoiRow) -> list[str]:
    one = row.statistics
    unit = f" {one.unit}" if one.unit not in ("", "1") else ""
    beyond = f" (+{one.missing})" if one.missing else ""
    values = (one.std, one.minimum, one.maximum, one.median)
    return [
        row.region,
        row.image,
        f"{number(one.mean)}{unit}",
        *(number(value) for value in values),
        f"{one.voxels}{beyond}",
        number(one.area_mm2),
    ]
