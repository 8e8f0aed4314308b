"""What a training run leaves to look at: ``losses.csv``, and TensorBoard's events where that package is installed."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctinv.atomic import refusal, write_atomic
from ctinv.training.board import Board


class RunLog:
    """Appends rows of numbers; a resumed run goes on in the same files.

    A kill may cut the last row, which is then dropped. Where the columns change, and where a run goes on, the file is
    replaced as a whole.

    Args:
        folder: Receives ``losses.csv`` and ``tensorboard/``.
        start: Complete steps of the run that is continued: later rows of an earlier attempt are dropped.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        self._path = folder / "losses.csv"
        self._rows = [row for row in _read(self._path) if int(row["step"]) <= start] if start else []
        self._columns = list(self._rows[0]) if self._rows else []
        self._file: Any = None
        self._board = Board(folder / "tensorboard", start=start)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One row; a value that a step does not have stays empty.

        Raises:
            ResourceError: The disk is full, or the folder cannot be written.
        """
        row = {"step": step, **{key: value for key, value in values.items() if math.isfinite(value)}}
        self._rows.append(row)
        try:
            if self._file is None or not set(row) <= set(self._columns):
                self._columns = list(dict.fromkeys([*self._columns, "step", *values]))
                self._begin()
            else:
                self._append(_text([row], self._columns))
        except OSError as error:
            raise refusal(self._path, error) from error
        self._board.write(step, {key: value for key, value in row.items() if key != "step"})

    def sync(self) -> None:
        """Bring the rows to the disk, as a checkpoint of their steps relies on them.

        Raises:
            ResourceError: The disk is full.
        """
        if self._file is not None:
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                raise refusal(self._path, error) from error

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        self._board.close()

    def _begin(self) -> None:
        """Write the file anew with the columns known by now."""
        if self._file is not None:
            self._file.close()
            self._file = None
        head = io.StringIO(newline="")
        csv.DictWriter(head, self._columns).writeheader()
        write_atomic(self._path, head.getvalue().encode() + _text(self._rows, self._columns))
        self._file = self._path.open("ab", buffering=0)

    def _append(self, text: bytes) -> None:
        while text:  # a disk that gets full takes a part first and refuses then
            text = text[self._file.write(text) :]


def _text(rows: list[dict[str, Any]], columns: list[str]) -> bytes:
    lines = io.StringIO(newline="")
    csv.DictWriter(lines, columns).writerows(rows)
    return lines.getvalue().encode()


def _read(path: Path) -> list[dict[str, Any]]:
    """The rows that are whole."""
    if not path.is_file():
        return []
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines(keepends=True)
    rows = csv.DictReader(line for line in lines if line.endswith("\n"))
    return [dict(row) for row in rows if str(row.get("step")).isdecimal()]
