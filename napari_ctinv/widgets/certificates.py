"""The certificate table: one row per sample, in the order in which samples arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from ctinv.fibre.tiers import NOT_FED_BACK
from ctinv.sampler.words import TARGET_DOMAIN, verdict, ways

if TYPE_CHECKING:
    from ctinv.fibre.tiers import Certificate

COLUMNS = ("k", "RMSE\n[{unit}]", "NFE\nraw", "NFE", "χ²/n", "passes", "tier")
NOT_REACHED = QColor(200, 80, 60)


class CertificateTable(QTableWidget):
    """A read-only table of certificates.

    Signals:
        chosen(index): A row was clicked or reached by the arrow keys; the place of the sample in the stack.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(0, len(COLUMNS))
        self.set_unit("HU")
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        if rows is not None and columns is not None:  # always there; PyQt's stubs do not know
            rows.setVisible(False)
            rows.setDefaultSectionSize(20)
            columns.setMinimumSectionSize(30)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setMinimumHeight(180)
        self.currentCellChanged.connect(self._on_cell)

    def set_unit(self, unit: str) -> None:
        """Name the unit of the scan in the headings."""
        self.setHorizontalHeaderLabels([heading.format(unit=unit) for heading in COLUMNS])

    def extend_to(self, certificates: Sequence[Certificate]) -> None:
        """Append the certificates that are not in the table yet."""
        begin = self.rowCount()
        self.setRowCount(max(begin, len(certificates)))
        for row in range(begin, len(certificates)):
            for column, text in enumerate(cells(certificates[row])):
                item = QTableWidgetItem(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if warns(certificates[row]):
                    item.setForeground(NOT_REACHED)
                self.setItem(row, column, item)

    def clear_rows(self) -> None:
        """Empty the table for a new run."""
        self.setRowCount(0)

    def _on_cell(self, row: int, _column: int, previous: int, _previous_column: int) -> None:
        if row >= 0 and row != previous:
            self.chosen.emit(row)


def warns(certificate: Certificate) -> bool:
    """Whether a sample is no plausible invariance; one of the target domain was not judged."""
    return certificate.reached != NOT_FED_BACK and (not certificate.passed or certificate.in_band is False)


def cells(certificate: Certificate) -> tuple[str, ...]:
    """The row of one sample as text; a tier that was not reached and a χ²/n that no scan has are said so."""
    if certificate.reached == NOT_FED_BACK:
        return (str(certificate.k), *["-"] * (len(COLUMNS) - 2), TARGET_DOMAIN)
    tier = certificate.tier if certificate.passed else f"{certificate.tier}, not reached"
    return (
        str(certificate.k),
        f"{certificate.rmse_hu:.3f}",
        f"{certificate.nfe_raw:.2f}",
        f"{certificate.nfe:.3f}",
        f"{certificate.chi2_per_n:.3f}",
        str(certificate.passes) if certificate.passes else "-",
        f"{tier}, implausible" if certificate.in_band is False else tier,
    )


def progress_line(certificates: Sequence[Certificate], *, tier: str) -> str:
    """One line over the table while samples arrive: how many hold."""
    if all(certificate.reached == NOT_FED_BACK for certificate in certificates):
        return f"{len(certificates)} images of the {TARGET_DOMAIN}"
    passed = sum(certificate.passed for certificate in certificates)
    return f"{passed} of {len(certificates)} at {tier}"


def summary_line(summary: Mapping[str, Any]) -> str:
    """What was found, from a study's summary: how many hold, how well, by which way, how far apart, how like a scan."""
    rmse, unit = summary["rmse_hu"], f" {summary['unit']}"
    spread = f"spread {_number(summary['spread_hu'], '.1f', unit)}"
    if summary["domain"] == "target":
        return f"{verdict(summary)}\n{spread}"
    lines = [
        verdict(summary),
        f"RMSE {_number(rmse['mean'], '.3f', unit)}, worst {_number(rmse['max'], '.3f', unit)}",
        f"NFE {_number(summary['nfe_raw'], '.2f')} raw, {_number(summary['nfe'], '.3f')} corrected",
        f"reached by {ways(summary)}",
        f"{spread}, linear theory {_number(summary['spread_theory_hu'], '.1f', unit)}",
        f"χ²/n {_number(summary['chi2_per_n'], '.3f')}, the scan itself {_number(summary['chi2_per_n_scan'], '.3f')}",
    ]
    return "\n".join(lines)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"
