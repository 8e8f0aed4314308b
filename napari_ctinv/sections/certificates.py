"""Certificates: one row per sample; the row and the slider of the viewer follow each other."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QStyle, QStyledItemDelegate, QTableView

from napari_ctinv.sections._bind import listen
from napari_ctinv.sections._certificate_rows import CertificateRows
from napari_ctinv.sections._section import Section
from napari_ctinv.session import Session

ROW_HEIGHT = 20
HEIGHT = 220
WIDTHS = (29, 40, 33, 41, 41, 24)
"""Of all columns but the last, in pixels: figures in a dock of 340."""
STYLE = "QTableView, QHeaderView::section { font-size: 8pt; padding: 1px }"


class _StaysRed(QStyledItemDelegate):
    """The colour of a chosen row does not cover that of a failure: it is underlined instead."""

    def initStyleOption(self, option: Any, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        chosen = QStyle.StateFlag.State_Selected
        if option.state & chosen and index.data(Qt.ItemDataRole.BackgroundRole) is not None:
            option.state &= ~chosen
            option.font.setUnderline(True)


class Certificates(Section):
    """The certificate table with its summary."""

    title = "Certificates"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model, self.shown = session.certificates, session.shown
        self.line = QLabel(self.model.line)
        self.line.setWordWrap(True)
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.rows = CertificateRows()
        self.table = self._make_table()
        self.add(self.line)
        self.add(self.table)
        listen(self, self.model.events.line, lambda line: self.line.setText(line))
        listen(self, self.model.events.unit, self.rows.set_unit)
        listen(self, self.shown.events.samples, self._follow)
        listen(self, self.shown.events.finished, self._follow)
        listen(self, self.shown.events.place, self._select)
        self.rows.set_unit(self.model.unit)
        self._follow()

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.rows)
        table.setToolTip("a click or an arrow key shows the sample; a click on a heading sorts")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTabKeyNavigation(False)  # the tab key goes on to the next control
        table.setWordWrap(False)
        table.setFixedHeight(HEIGHT)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setStyleSheet(STYLE)
        table.setItemDelegate(_StaysRed(table))
        down, across = table.verticalHeader(), table.horizontalHeader()
        assert down is not None  # these are always there; PyQt's stubs do not know
        assert across is not None
        down.setVisible(False)
        down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        down.setDefaultSectionSize(ROW_HEIGHT)
        across.setMinimumSectionSize(24)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        for column, width in enumerate(WIDTHS):
            across.resizeSection(column, width)
        across.setSectionResizeMode(len(WIDTHS), QHeaderView.ResizeMode.Stretch)
        across.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        table.setSortingEnabled(True)
        selection = table.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(self._on_row)
        return table

    def _follow(self, _value: object = None) -> None:
        self.rows.follow(self.shown.certificates)
        self._select()

    def _select(self, _value: object = None) -> None:
        """Bring the row of the shown sample into view."""
        row = self.rows.row_of(self.shown.place)
        if row >= 0 and row != self.table.currentIndex().row():
            self.table.setCurrentIndex(self.rows.index(row, 0))

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        self.shown.show(self.rows.place_of(current.row()))
