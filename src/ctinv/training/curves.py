"""The curves of a training, read back from its ``losses.csv`` without torch."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Curves = dict[str, NDArray[np.float64]]
"""Columns of equal length by name, ``"step"`` first; NaN where a step has no such value."""


def read_curves(path: Path, *, most: int = 4096) -> Curves:
    """The rows of a log, thinned evenly where there are many; rows of a validation are always kept.

    Args:
        path: ``losses.csv``; a last row that a kill has cut is left out.
        most: Rows of mere losses at most.

    Returns:
        Nothing where there is no such file or it is none.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return {}
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    if len(lines) < 2:
        return {}
    columns = next(csv.reader(lines[:1]))
    stride = max(1, math.ceil((len(lines) - 1) / most))
    # Figures of a validation are the last columns, so that the rows of mere losses end with a comma.
    chosen = [
        line
        for number, line in enumerate(lines[1:])
        if number % stride == 0 or not line.rstrip().endswith(",")
    ]
    rows = [row for row in csv.reader(chosen) if len(row) == len(columns)]
    try:
        values = np.array([[float(cell) if cell else math.nan for cell in row] for row in rows], np.float64)
    except ValueError:
        return {}
    if "step" not in columns or not rows:
        return {}
    table = dict(zip(columns, values.T, strict=True))
    return {"step": table.pop("step"), **table}
