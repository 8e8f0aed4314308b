"""Breaks one small run at each of its writes, one after the other, and prints what was left, as JSON.

    python write_faults.py FOLDER MODE

MODE is ``error`` (the disk is full), ``interrupt`` (Ctrl-C) or ``kill`` (the process ends on the spot). The writes are
counted by Python's own audit of the file system, and fsync and write beside it; the break comes before the i-th one happens.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sampler_studies import fill, make_batch, make_provenance, make_setting

from ctinv.errors import StoreError
from ctinv.sampler import Store

SMALL, LARGE = 28, 33
_WRITES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate")


class Breaker:
    """Counts writes below a folder and breaks one of them."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder, self.mode = str(folder), mode
        self.at: int | None = None
        self.count = 0
        self.active = False
        sys.addaudithook(self._audit)
        for name in ("fsync", "write"):
            setattr(os, name, self._counted(getattr(os, name)))

    def start(self, at: int | None) -> None:
        """Count from 0; break before write number `at`."""
        self.at, self.count, self.active = at, 0, True

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or not (event in _WRITES or event == "open"):
            return
        name = arguments[0]
        if not isinstance(name, (str, bytes, os.PathLike)) or not os.fsdecode(name).startswith(self.folder):
            return
        if event == "open" and not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        self._break()

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(descriptor: int, *rest: Any) -> Any:
            if self.active and str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith(self.folder):
                self._break()
            return call(descriptor, *rest)

        return counted

    def _break(self) -> None:
        self.count += 1
        if self.at is None or self.count - 1 != self.at:
            return
        if self.mode == "kill":
            os._exit(137)
        if self.mode == "error":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        _thread.interrupt_main()  # where Ctrl-C arrives while another thread writes


def run(path: Path) -> None:
    """As `sample_into`: create, fill, finish whatever happens; then the same with more samples."""
    for n in (SMALL, LARGE):
        store = Store.create(path, make_provenance(), make_setting(), n=n)
        try:
            fill(store, size=10)
        finally:
            try:
                store.finish()
            finally:
                store.close()


def attempt(path: Path, breaker: Breaker, at: int) -> bool:
    """Run with one break; whether it came."""
    if breaker.mode == "kill":
        pid = os.fork()
        if pid == 0:
            breaker.start(at)
            run(path)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 137
    breaker.start(at)
    with contextlib.suppress(StoreError, KeyboardInterrupt):
        run(path)
        # An interrupt that another thread caused may still be under way.
        breaker.active = False
        for _ in range(1000):
            pass
    breaker.active = False
    return breaker.count > at


def main(folder: Path, mode: str) -> None:
    """Break every write once."""
    breaker = Breaker(folder, mode)
    run(folder / "whole.zarr")
    whole = snapshot(folder / "whole.zarr")
    bad: list[str] = []
    at = 0
    while True:
        path = folder / f"{at}.zarr"
        came = attempt(path, breaker, at)
        if path.exists() or at % 20 == 0:  # where nothing was left the repetition is a first run
            bad += [f"write {at}: {text}" for text in judge(path, whole)]
            shutil.rmtree(path)
        if not came:
            break
        at += 1
    print(json.dumps({"writes": at, "bad": bad}))


def judge(path: Path, whole: dict[str, bytes]) -> list[str]:
    """What is wrong after a break, and after the run was repeated."""
    told = []
    if path.exists():
        store = Store.open(path)
        told += [fault.sentence for fault in store.verify()]
        batch = make_batch(store.rows, store.setting) if store.rows else None
        for index, k in enumerate(store.rows):
            if batch is not None and store.read(k).tobytes() != batch.x_tilde[index].tobytes():
                told.append(f"sample {k} is another")
        store.summary()
    run(path)
    after = snapshot(path)
    return (
        told
        + [f"{name} differs" for name in whole if after.get(name) != whole[name]]
        + sorted(after.keys() - whole)
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    """Name to content of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
