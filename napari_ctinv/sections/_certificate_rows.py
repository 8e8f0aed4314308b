"""The certificates as a Qt model: rows are made when they are looked at, and sorted all at once by NumPy.

A proxy model of Qt would ask Python for each comparison, some seconds for 100,000 rows; one sort of a column of numbers
takes milliseconds. So the order is kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QBrush, QColor

from napari_ctinv.session.certificates import COLUMNS, TIPS, cells, numbers
from napari_ctinv.viewing.stamp import warns

if TYPE_CHECKING:
    from ctinv.fibre.tiers import Certificate

FAILED = QBrush(QColor(170, 20, 20))
ON_FAILED = QBrush(QColor(255, 255, 255))
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_NOWHERE = QModelIndex()


class CertificateRows(QAbstractTableModel):
    """One row for each sample, in any order; a *place* is that of a sample in the stack, a *row* that in the table."""

    def __init__(self) -> None:
        super().__init__()
        self._certificates: list[Certificate] = []
        self._numbers = np.empty((0, len(COLUMNS)))
        self._order: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._rows: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._sorted_by, self._descending = 0, False
        self.unit = "HU"

    def follow(self, certificates: Sequence[Certificate]) -> None:
        """Take in what was appended; anything else than a longer list begins the table anew."""
        known = len(self._certificates)
        grown = known > 0 and len(certificates) >= known and certificates[known - 1] == self._certificates[-1]
        if not grown:
            self.beginResetModel()
            self._certificates, self._numbers = [], np.empty((0, len(COLUMNS)))
            self._order = self._rows = np.empty(0, dtype=np.intp)
            self.endResetModel()
        self._append(certificates[len(self._certificates) :])

    def _append(self, fresh: Sequence[Certificate]) -> None:
        if not fresh:
            return
        first = len(self._certificates)
        self.beginInsertRows(_NOWHERE, first, first + len(fresh) - 1)
        self._certificates.extend(fresh)
        self._numbers = np.concatenate([self._numbers, [numbers(one) for one in fresh]])
        self._order = np.concatenate([self._order, np.arange(first, first + len(fresh))])
        self._rows = np.concatenate([self._rows, np.arange(first, first + len(fresh))])
        self.endInsertRows()
        if self._sorted_by or self._descending:
            self.sort(
                self._sorted_by,
                Qt.SortOrder.DescendingOrder if self._descending else Qt.SortOrder.AscendingOrder,
            )

    def place_of(self, row: int) -> int:
        """The place of the sample in a row, -1 for no row."""
        return int(self._order[row]) if 0 <= row < len(self._order) else -1

    def row_of(self, place: int) -> int:
        """The row of a sample, -1 for no sample."""
        return int(self._rows[place]) if 0 <= place < len(self._rows) else -1

    def rowCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Number of samples."""
        return 0 if parent.isValid() else len(self._certificates)

    def columnCount(self, parent: QModelIndex = _NOWHERE) -> int:
        """Number of columns."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, colours of what warns, alignment, and the number behind a cell."""
        if not index.isValid():
            return None
        place = self.place_of(index.row())
        certificate = self._certificates[place]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return cells(certificate)[index.column()]
            case Qt.ItemDataRole.UserRole:
                return float(self._numbers[place, index.column()])
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT
            case Qt.ItemDataRole.BackgroundRole:
                return FAILED if warns(certificate) else None
            case Qt.ItemDataRole.ForegroundRole:
                return ON_FAILED if warns(certificate) else None
            case Qt.ItemDataRole.ToolTipRole:
                return _explain(certificate) if warns(certificate) else None
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Headings with their unit, and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].format(unit=self.unit)
        return f"{TIPS[section]}; click to sort" if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, stable; what was not measured comes last both ways."""
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        places = [self.place_of(index.row()) for index in held]
        self._sorted_by, self._descending = column, order == Qt.SortOrder.DescendingOrder
        keys = self._numbers[:, column]
        self._order = np.argsort(-keys if self._descending else keys, kind="stable")
        self._rows = np.empty_like(self._order)
        self._rows[self._order] = np.arange(len(self._order))
        moved = [
            self.index(self.row_of(place), index.column()) for place, index in zip(places, held, strict=True)
        ]
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def set_unit(self, unit: str) -> None:
        """Name the unit of the scan in the headings."""
        self.unit = unit
        self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(COLUMNS) - 1)


def _explain(certificate: Certificate) -> str:
    """Why a sample warns."""
    if certificate.passed:
        return "its χ²/n is none that a scan has: not a plausible invariance"
    return f"the asked tier was not reached, the best is {certificate.tier}: not an invariance"
