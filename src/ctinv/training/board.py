"""TensorBoard's events, written by this process alone: the package's own writer has a thread that outlives a full disk.

Events are appended to a file per attempt; TensorBoard itself passes over a record that a kill cut off.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_logger = logging.getLogger(__name__)


class Board:
    """Curves for TensorBoard where that package is installed, else nothing; a disk that refuses ends them, not the run.

    Args:
        folder: Made with the first event.
        start: Complete steps of the run that is continued; TensorBoard drops what an earlier attempt said of later ones.
    """

    def __init__(self, folder: Path, *, start: int) -> None:
        self._folder, self._start = folder, start
        self._file: Any = None
        self._on = importlib.util.find_spec("tensorboard") is not None

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""
        if not self._on:
            return
        from torch.utils.tensorboard.summary import scalar

        try:
            if self._file is None:
                self._begin()
            for key, value in values.items():
                self._add(step=step, summary=scalar(key, value))
            self._file.flush()
        except OSError as error:
            self._on = False
            _logger.warning("TensorBoard's curves end here (%s)", error.strerror)

    def close(self) -> None:
        """Close the file."""
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            _logger.warning("TensorBoard's curves end here (%s)", error.strerror)

    def _begin(self) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._folder.mkdir(exist_ok=True)
        name = (
            f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"  # its reader goes by the middle of the name
        )
        self._file = (self._folder / name).open("wb")
        self._add(file_version="brain.Event:2")
        if self._start:
            self._add(step=self._start + 1, session_log=SessionLog(status=SessionLog.START))

    def _add(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self._file).write(Event(wall_time=time.time(), **fields).SerializeToString())
