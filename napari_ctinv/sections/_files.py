"""Asking where a file is to be written."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget


def ask_csv(parent: QWidget, name: str) -> Path | None:
    """Where a CSV file is to be written; None where the user wants none.

    Args:
        parent: Window over which to ask.
        name: Words that the file is proposed to be called by.
    """
    proposed = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split()) or "table"
    chosen, _ = QFileDialog.getSaveFileName(parent, "Save as CSV", f"{proposed}.csv", "CSV (*.csv)")
    return Path(chosen).with_suffix(".csv") if chosen else None
