"""The dialog in which one of several series is chosen: one row each, with a picture of its middle slice."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize
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
        self._arrange()
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
        selection = self.table.selectionModel()
        rows = selection.selectedRows() if selection is not None else []
        return f"#{self._previews[rows[0].row()].info.number}" if rows else None

    def _fill(self) -> None:
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        for column, tooltip in enumerate(COLUMNS.values()):
            if (heading := self.table.horizontalHeaderItem(column)) is not None:
                heading.setToolTip(tooltip)
        for row, preview in enumerate(self._previews):
            for column, text in enumerate(row_of(preview)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column == 0 and preview.image is not None:
                    item.setIcon(_icon(preview.image))
                self.table.setItem(row, column, item)

    def _arrange(self) -> None:
        """Whole rows are selected; Tab goes on to the buttons, the arrows move between rows."""
        table = self.table
        table.setIconSize(QSize(PICTURE, PICTURE))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setTabKeyNavigation(False)
        table.setWordWrap(True)
        table.resizeColumnsToContents()
        rows, columns = table.verticalHeader(), table.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.setVisible(False)
        rows.setDefaultSectionSize(PICTURE + 8)
        columns.setSectionResizeMode(len(COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)

    def _first_choice(self) -> int:
        """The first series without a remark."""
        return next((row for row, preview in enumerate(self._previews) if not preview.info.warnings), 0)

    def _allow(self) -> None:
        button = self.buttons.button(QDialogButtonBox.StandardButton.Open)
        if button is not None:
            button.setEnabled(self.number is not None)


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


def _icon(image: NDArray[np.uint8]) -> QIcon:
    """The picture, also where its row is selected, which Qt would tint."""
    height, width = image.shape
    grey = QImage(image.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    picture, icon = QPixmap.fromImage(grey), QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
        icon.addPixmap(picture, mode)
    return icon
