"""Targets with planted bugs: the harness has to find each of them and call it what it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from fuzzing import Target, WrongError
from mutators import CANARY, mutate_bytes

from ctinv.errors import SeriesError


class PanicError(BaseException):
    """As codecs written in Rust raise: no Exception."""


def _index() -> None:
    [][0]  # the bug


def _panic() -> None:
    raise PanicError


def _exit() -> None:
    raise SystemExit(0)


def _sleep() -> None:
    time.sleep(60)


def _spin() -> None:
    while True:
        pass


def _abort() -> None:
    os.abort()


def _allocate() -> None:
    bytearray(3 * 10**9)


def _allocate_and_refuse() -> None:
    try:
        bytearray(3 * 10**9)
    except MemoryError:
        raise SeriesError("the scan is damaged; export it again.") from None


def _wrong() -> None:
    raise WrongError("a value is not finite")


def _long() -> None:
    raise SeriesError("x" * 201)


def _name() -> None:
    raise SeriesError(f"the scan of {CANARY} is damaged.")


def _warn() -> None:
    import warnings

    warnings.warn(f"invalid value {CANARY}", UserWarning, stacklevel=1)


BUGS: dict[str, tuple[Callable[[], None], str]] = {
    "index": (_index, "uncaught"),
    "panic": (_panic, "uncaught"),
    "exit": (_exit, "uncaught"),
    "warning": (_warn, "uncaught"),
    "sleep": (_sleep, "hang"),
    "spin": (_spin, "hang"),
    "abort": (_abort, "crash"),
    "allocate": (_allocate, "memory"),
    "allocate_and_refuse": (_allocate_and_refuse, "memory"),
    "wrong": (_wrong, "wrong"),
    "long": (_long, "unclear"),
    "name": (_name, "unclear"),
}
"""Bug and the outcome it has to get; each waits for one value of the first byte."""
TRIGGER = 0xA5


def _with(bug: Callable[[], None]) -> Callable[[Path], Callable[[bytes], None]]:
    def prepare(_room: Path) -> Callable[[bytes], None]:
        def run(data: bytes) -> None:
            if not data:
                raise SeriesError("the file is empty; export it again.")
            if data[0] == TRIGGER:
                bug()

        return run

    return prepare


def _seeds() -> list[bytes]:
    return [b"sound", b"also sound"]


def _mutate(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    return mutate_bytes(rng, data, others, [bytes([TRIGGER])])


TARGETS = {f"planted/{name}": Target(_seeds, _mutate, _with(bug)) for name, (bug, _) in BUGS.items()}
