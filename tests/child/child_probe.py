"""What a stranger's program would try, run inside the child."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from ctinv.child import Message, TaskError


def probe(head: dict[str, Any], blobs: list[bytes]) -> Message:
    return {"did": _ACTIONS[head["what"]](head)}, blobs


def _refuse(_: dict[str, Any]) -> None:
    raise TaskError("expected a fish, got a bird; bring a fish.")


def _quote(_: dict[str, Any]) -> None:
    raise ValueError("Zebrafink^Ada")


def _write_from_c(head: dict[str, Any]) -> int:
    """Not seen by Python: what a TorchScript program can do."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.open(str(head["path"]).encode(), os.O_CREAT | os.O_WRONLY, 0o600)
    if descriptor < 0:
        raise PermissionError
    return int(libc.write(descriptor, b"x", 1))


def _read_from_c(head: dict[str, Any]) -> int:
    descriptor = ctypes.CDLL(None, use_errno=True).open(str(head["path"]).encode(), os.O_RDONLY)
    if descriptor < 0:
        raise PermissionError
    return int(descriptor)


def _noise(_: dict[str, Any]) -> None:
    os.write(1, b"Zebrafink")
    os.write(2, b"Zebrafink")
    print("Zebrafink", flush=True)


_ACTIONS: dict[str, Any] = {
    "echo": lambda head: "ok",
    "refuse": _refuse,
    "quote": _quote,
    "noise": _noise,
    "write": lambda head: Path(head["path"]).write_text("x"),
    "write from C": _write_from_c,
    "read": lambda head: len(Path(head["path"]).read_bytes()),
    "read from C": _read_from_c,
    "list": lambda head: os.listdir(head["path"]),  # noqa: PTH208  # as a stranger would
    "program": lambda head: subprocess.run(["/bin/ls"], check=False).returncode,
    "network": lambda head: socket.create_connection(("127.0.0.1", head["port"]), timeout=2).fileno(),
    "memory": lambda head: len(bytearray(1 << 30)),
    "abort": lambda head: os.abort(),
    "sleep": lambda head: time.sleep(60),
    "kill parent": lambda head: os.kill(os.getppid(), signal.SIGTERM),
}
