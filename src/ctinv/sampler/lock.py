"""WriterLock: one writer per study.

The operating system holds the lock and lets go of it when the process ends, however it ends, so a killed
writer leaves nothing to clean up. The file's content, process and host, is there for the message and for
network drives on which locks of another machine cannot be seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from ctinv.errors import StoreError
from ctinv.sampler.disk import vanished

FILE_NAME = "writer.lock"

_NAME = {"pid", "host", "since"}
_PATIENCE_S, _PAUSE_S = 2.0, 0.005


class WriterLock:
    """The right to write into a study folder, until `release` or the end of the process.

    Raises:
        StoreError: Another writer holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._descriptor: int | None = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken, holder = _take(self._descriptor)
            if not taken or not _is_from_here(holder):
                raise StoreError(_refusal(folder, holder, taken))
            self._write({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()})
        except BaseException:
            os.close(self._descriptor)
            self._descriptor = None
            raise

    def _write(self, content: dict[str, Any]) -> None:
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, json.dumps(content).encode())

    def check(self) -> None:
        """See that the study is still where it was locked.

        Raises:
            StoreError: The folder was moved or replaced, or its lock was deleted.
        """
        assert self._descriptor is not None
        try:
            here = os.path.samestat(os.fstat(self._descriptor), self._file.stat())
        except OSError:
            here = False
        if not here:
            raise StoreError(vanished(self._file.parent))

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            try:
                with contextlib.suppress(OSError):  # a disk that has gone; the lock goes with the descriptor
                    os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)


def is_held_here(folder: Path) -> bool:
    """Whether a living process of this machine is named as the writer; to take the lock to find out would disturb it."""
    try:
        content = (folder / FILE_NAME).read_bytes()
    except OSError:
        return False
    holder = _parsed(content)
    return _is_from_here(holder) and _is_named(holder)


def tidy(folder: Path) -> None:
    """Empty the file of a writer that was killed while it let go; one that still holds it is left alone.

    For that instant the lock is held in no living name, so a writer that comes meanwhile asks again.
    """
    with contextlib.suppress(OSError):  # there is none, or the study may only be read
        if not (folder / FILE_NAME).stat().st_size:
            return
        descriptor = os.open(folder / FILE_NAME, os.O_RDWR)
        try:
            if _lock(descriptor) and _is_from_here(_holder(descriptor)):
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _take(descriptor: int) -> tuple[bool, dict[str, Any]]:
    """Ask for the lock: whether it was given, and whose name the file holds.

    Between taking the lock and writing the name, and between clearing the name and letting go, a writer holds it in no
    name or in that of a killed one. Both last an instant, so whoever meets it asks again.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        taken = _lock(descriptor)
        holder = _holder(descriptor)
        if taken or _is_named(holder) or time.monotonic() > until:
            return taken, holder
        time.sleep(_PAUSE_S)


def _is_named(holder: dict[str, Any]) -> bool:
    """Whether the file names a writer that may hold the lock now; of another machine's that cannot be known."""
    if not holder.keys() >= _NAME:
        return False
    return not _is_from_here(holder) or (type(holder["pid"]) is int and psutil.pid_exists(holder["pid"]))


def _is_from_here(holder: dict[str, Any]) -> bool:
    return bool(holder.get("host", socket.gethostname()) == socket.gethostname())


def _holder(descriptor: int) -> dict[str, Any]:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return _parsed(os.read(descriptor, 4096))


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        holder = json.loads(content)
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _refusal(folder: Path, holder: dict[str, Any], taken: bool) -> str:
    who = "a process that gave no name"
    if holder.keys() >= _NAME:
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    text = f"{folder.name} is being written by {who}"
    if not taken:
        return f"{text}; wait for it or end it, reading is possible meanwhile."
    return f"{text}; if that process is gone, delete {FILE_NAME} inside the study."


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # a byte beyond the content, which stays readable
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
