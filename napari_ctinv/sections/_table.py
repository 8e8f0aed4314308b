"""Table: rows of text that can be copied, and saved as CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QEvent
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_WIDEST = 170  # pixels of a column; the whole text is in its tooltip
_ROWS = 12  # more of them scroll


class Table(QWidget):
    """A small table with its CSV.

    Args:
        head: Headings.
        name: Words that the CSV file is proposed to be called by.
        csv: Gives the text of the CSV file; None for a table without one.
        tips: What the columns are, with their units.
    """

    def __init__(
        self,
        head: Sequence[str],
        *,
        name: str = "table",
        csv: Callable[[], str] | None = None,
        tips: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._name, self._csv = name, csv
        self.view = QTableWidget(0, len(head))
        self.view.setHorizontalHeaderLabels(list(head))
        for column, tip in enumerate(tips):
            item = self.view.horizontalHeaderItem(column)
            assert item is not None
            item.setToolTip(tip)
        self.view.setToolTip("drag to select cells; each heading says what it is and its unit")
        self.view.setCornerButtonEnabled(False)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setWordWrap(False)
        self.view.installEventFilter(self)
        vertical, horizontal = self.view.verticalHeader(), self.view.horizontalHeader()
        assert vertical is not None
        assert horizontal is not None
        vertical.setVisible(False)
        vertical.setDefaultSectionSize(20)
        horizontal.setMaximumSectionSize(_WIDEST)
        horizontal.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.view)
        if csv is not None:
            self.save_button = QToolButton()
            self.save_button.setText("CSV…")
            self.save_button.setToolTip("Save this table as a CSV file")
            self.save_button.clicked.connect(self._ask_and_save)
            below = QHBoxLayout()
            below.addStretch(1)
            below.addWidget(self.save_button)
            layout.addLayout(below)
        self.set_rows([])

    def set_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these rows; the selected line stays selected."""
        self.view.setRowCount(len(rows))
        for index, row in enumerate(rows):
            for column, text in enumerate(row):
                item = self.view.item(index, column)
                if item is None:
                    item = QTableWidgetItem()
                    self.view.setItem(index, column, item)
                if item.text() != text:
                    item.setText(text)
                    item.setToolTip(text)
        height = 20 * min(len(rows), _ROWS) + 46
        self.view.setFixedHeight(height)
        self.setVisible(bool(rows))

    def rows(self) -> list[list[str]]:
        """What is shown."""
        return [self._texts(row) for row in range(self.view.rowCount())]

    def eventFilter(self, watched: object, event: QEvent | None) -> bool:
        """Copy the selected rows as tab-separated text, which spreadsheets take."""
        if isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy):
            chosen = sorted({index.row() for index in self.view.selectedIndexes()})
            clipboard = QGuiApplication.clipboard()
            if clipboard is not None and event.type() == QEvent.Type.KeyPress:
                clipboard.setText("\n".join("\t".join(self._texts(row)) for row in chosen))
            return True
        return False

    def _texts(self, row: int) -> list[str]:
        cells = (self.view.item(row, column) for column in range(self.view.columnCount()))
        return ["" if cell is None else cell.text() for cell in cells]

    def _ask_and_save(self) -> None:
        from napari_ctinv.sections._files import ask_csv

        path = ask_csv(self, self._name)
        if path is not None and self._csv is not None:
            path.write_text(self._csv(), encoding="utf-8")
