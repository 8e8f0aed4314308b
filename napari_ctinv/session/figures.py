"""Figures of a finding as lines of a small table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctinv.analysis.columns import axis_text

_LONGEST = 6  # numbers that are written out in one line


def lines_of(figures: Mapping[str, Any], unit: str = "HU") -> list[tuple[str, str]]:
    """What and its value, nested names joined; tables within a finding are left to the report.

    Args:
        figures: JSON values.
        unit: Unit of the scan, for which HU stands in names.
    """
    return list(_lines(figures, "", unit))


def _lines(figures: Mapping[str, Any], before: str, unit: str) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        words = f"{before}{axis_text(name, unit)}"
        if isinstance(value, Mapping):
            yield from _lines(value, f"{words}: ", unit)
        elif isinstance(value, (list, tuple)):
            if len(value) <= _LONGEST and not any(isinstance(one, (Mapping, list, tuple)) for one in value):
                yield words, ", ".join(number(one) for one in value)
        else:
            yield words, number(value)


def number(value: Any, digits: int = 4) -> str:
    """A value for a cell: figures with this many significant digits, a dash where there is none."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"
    return str(value)


def as_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table as CSV; missing numbers are empty cells."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if cell is None or cell != cell else cell for cell in row] for row in rows])
    return text.getvalue()
