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
        content = path.read_bytes()
    except OSError:
        return {}
    head, *lines = content.replace(b"\r", b"").split(b"\n")[:-1] or [b""]
    columns = head.decode("utf-8", errors="replace").split(",")
    stride = max(1, math.ceil(len(lines) / most))
    # Figures of a validation are the last columns, so that the rows of mere losses end with a comma.
    chosen = [line for number, line in enumerate(lines) if line[-1:] != b"," or not number % stride]
    table = csv.reader(line.decode("utf-8", errors="replace") for line in chosen)
    rows = [row for row in table if len(row) == len(columns)]
    try:
        values = np.array([[float(cell) if cell else math.nan for cell in row] for row in rows], np.float64)
    except ValueError:
        return {}
    if "step" not in columns or not rows:
        return {}
    found = dict(zip(columns, values.T, strict=True))
    return {"step": found.pop("step"), **found}
