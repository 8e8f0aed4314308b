"""What a training run leaves to look at: ``losses.csv``, and TensorBoard's events where that package is installed."""

from __future__ import annotations

import csv
import importlib.util
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class RunLog:
    """Appends rows of numbers; a resumed run goes on in the same files.

    Args:
        folder: Receives ``losses.csv`` and ``tensorboard/``.
        start: Complete steps of the run that is continued: later rows of an earlier attempt are dropped.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        self._path = folder / "losses.csv"
        self._rows = [row for row in _read(self._path) if int(row["step"]) <= start] if start else []
        self._columns = list(self._rows[0]) if self._rows else []
        self._file: Any = None
        self._board = _board(folder / "tensorboard", start)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row; a value that a step does not have stays empty."""
        row = {"step": step, **{key: value for key, value in values.items() if math.isfinite(value)}}
        if self._file is None or not set(row) <= set(self._columns):
            self._columns = list(dict.fromkeys([*self._columns, "step", *values]))
            self._begin()
        csv.DictWriter(self._file, self._columns).writerow(row)
        self._file.flush()
        self._rows.append(row)
        if self._board is not None:
            for key, value in row.items():
                if key != "step":
                    self._board.add_scalar(key, value, step)

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def _begin(self) -> None:
        """Write the file anew with the columns known by now."""
        if self._file is not None:
            self._file.close()
        self._file = self._path.open("w", newline="", encoding="utf-8")
        writer = csv.DictWriter(self._file, self._columns)
        writer.writeheader()
        writer.writerows(self._rows)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _board(folder: Path, start: int) -> Any:
    """TensorBoard's writer, or None where the package is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=start or None)
