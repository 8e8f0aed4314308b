"""The dialog in which one of several series is chosen: one row each, with a picture of its middle slice."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

if TYPE_CHECKING:
    from ctinv.io.previews import Preview

COLUMNS = {
    "Series": "its middle slice in its window, and its number in file order",
    "Slices": "how many there are",
    "Matrix": "rows × columns in pixels",
    "Spacing [mm]": "distance of slices × rows × columns in mm",
    "Kernel": "reconstruction kernel",
    "Time [min]": "minutes since the first series of the folder",
    "Remarks": "what speaks against reading it",
}
PICTURE = 96
"""Edge of a picture in pixels."""


class SeriesChooser(QDialog):
    """One row for each series; a double click or Enter opens the selected one, Escape none.

    Args:
        previews: What there is.
        parent: The window it belongs to.
    """

    def __init__(self, previews: Sequence[Preview], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._previews = tuple(previews)
        self.setWindowTitle("Which series?")
        self.table = QTableWidget(len(self._previews), len(COLUMNS))
        self._fill()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.table.itemActivated.connect(self.accept)
        self.table.itemSelectionChanged.connect(self._allow)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"There are {len(self._previews)} series. Which one shall be opened?"))
        layout.addWidget(self.table)
        layout.addWidget(self.buttons)
        self.resize(820, min(620, 150 + (PICTURE + 8) * len(self._previews)))
        self.table.selectRow(self._first_choice())
        self.table.setFocus()

    @property
    def number(self) -> str | None:
        """The neutral number of the selected series (``"#2"``), None without one."""
        rows = self.table.selectionModel().selectedRows()
        return f"#{self._previews[rows[0].row()].info.number}" if rows else None

    def _fill(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tooltip in enumerate(COLUMNS.values()):
            table.horizontalHeaderItem(column).setToolTip(tooltip)
        for row, preview in enumerate(self._previews):
            for column, text in enumerate(row_of(preview)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
            if preview.image is not None:
                table.item(row, 0).setIcon(QIcon(_pixmap(preview)))
        table.setIconSize(QSize(PICTURE, PICTURE))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)  # Tab goes on to the buttons, the arrows move between rows
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(PICTURE + 8)
        table.setWordWrap(True)
        table.resizeColumnsToContents()
        table.horizontalHeader().setSectionResizeMode(len(COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)

    def _first_choice(self) -> int:
        """The first series without a remark."""
        return next((row for row, preview in enumerate(self._previews) if not preview.info.warnings), 0)

    def _allow(self) -> None:
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(self.number is not None)


def row_of(preview: Preview) -> tuple[str, ...]:
    """The words of one row, in the order of `COLUMNS`."""
    info = preview.info
    spacing = (f"{step:.2f}" if isfinite(step) else "?" for step in info.spacing)
    return (
        f"#{info.number}",
        str(info.slices),
        f"{info.matrix[0]} × {info.matrix[1]}",
        " × ".join(spacing),
        info.kernel or "",
        "" if info.minutes is None else f"+{info.minutes:.1f}",
        "; ".join(info.warnings),
    )


def choose_series(previews: Sequence[Preview], parent: QWidget | None = None) -> str | None:
    """Ask; the number of the chosen series (``"#2"``), None if the user cancels."""
    chooser = SeriesChooser(previews, parent)
    try:
        return chooser.number if chooser.exec() == QDialog.DialogCode.Accepted else None
    finally:
        chooser.deleteLater()


def _pixmap(preview: Preview) -> QPixmap:
    assert preview.image is not None
    image = np.ascontiguousarray(preview.image)
    height, width = image.shape
    grey = QImage(image.data, width, height, width, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(grey)
