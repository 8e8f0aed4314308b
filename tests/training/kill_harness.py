"""Trainings that are killed with SIGKILL again and again, in a process that has loaded everything and forks them.

A kill comes at a random time, or at a random one of the moments in which a crash could hurt: before any opening, renaming
or removing of a file, in the middle of writing one, in the middle of a row of the log. After each kill the newest checkpoint
must be whole, with nothing to be said of it, and not older than before; ``best.safetensors`` must be readable.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import safe_open
from tiny_runs import checkpoints, outcome, train, write_data

from ctinv.training import digest
from ctinv.training.checkpoint import newest_whole
from ctinv.training.log import RunLog

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")
SEEN = {"event": 0, "file": 0, "row": 0}
"""How often each kind of moment has come in this process."""


def _is_it(way: str, number: int) -> bool:
    SEEN[way] += 1
    return SEEN[way] == number


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_event(out: Path, number: int) -> None:
    """Die before the so many-th time that something in the output folder is opened, renamed, removed or made."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        inside = event in _EVENTS and arguments and str(arguments[0]).startswith(str(out))
        if inside and _is_it("event", number):
            _die()

    sys.addaudithook(hook)


def die_in_file(out: Path, number: int) -> None:
    """Die with half of the so many-th file written."""
    write = Path.write_bytes

    def torn(path: Path, content: bytes) -> int:
        if path.is_relative_to(out) and _is_it("file", number):
            write(path, content[: len(content) // 2])
            _die()
        return write(path, content)

    Path.write_bytes = torn  # type: ignore[method-assign]


def die_in_row(_out: Path, number: int) -> None:
    """Die with a part of the so many-th appended row written, down to its first character."""
    append = RunLog._append

    def torn(log: RunLog, text: bytes) -> None:
        if _is_it("row", number):
            append(log, text[: 1 + number % (len(text) - 1)])
            _die()
        append(log, text)

    RunLog._append = torn  # type: ignore[method-assign]


def overwrite_in_place() -> None:
    """The control: files are written where they lie, as ``torch.save`` does."""

    def plain(path: Path, content: bytes, *, keep: Path | None = None) -> None:
        path.write_bytes(content)
        path.with_name(f"{path.name}.sha256").write_text(f"{digest.hashlib.sha256(content).hexdigest()}  x\n")

    for module in ("ctinv.training.checkpoint", "ctinv.training.generator.stage_run"):
        sys.modules[module].write_digested = plain  # type: ignore[attr-defined]


MOMENTS: dict[str, Callable[[Path, int], None]] = {
    "event": die_at_event,
    "file": die_in_file,
    "row": die_in_row,
}
WAYS = (*MOMENTS, "time")


def attempt(kind: str, data: Path, out: Path, way: str, number: int, *, in_place: bool = False) -> bool:
    """Train in a child that dies on its way; whether it did, and did not end before."""
    child = os.fork()
    if child == 0:
        _in_child(kind, data, out, {way: number}, in_place)
    end = time.monotonic() + (number / 1000 if way == "time" else 60)
    found, status = os.waitpid(child, os.WNOHANG)
    while not found and time.monotonic() < end:
        time.sleep(0.001)
        found, status = os.waitpid(child, os.WNOHANG)
    if not found:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise SystemExit(f"a training of {kind} that was to go on did not, before {way} {number}")
    return False


def _in_child(kind: str, data: Path, out: Path, moments: dict[str, int], in_place: bool) -> None:
    try:
        if in_place:
            overwrite_in_place()
        for way, number in moments.items():
            if way in MOMENTS:
                MOMENTS[way](out, number)
        start = time.monotonic()
        train(kind, data, out)
        counts = {**SEEN, "time": round(1000 * (time.monotonic() - start))}
        (data / "counts.json").write_text(json.dumps(counts))
    except BaseException:
        traceback.print_exc()
        os._exit(2)
    os._exit(0)


def newest_steps(out: Path) -> dict[str, int]:
    """The step of each newest whole checkpoint; raises where there is none, or something must be said of it."""
    found = {}
    for path in checkpoints(out):
        (header, _), warning = newest_whole(path)
        assert not warning, warning
        found[path.name] = int(header["step"])
    best = out / "best.safetensors"
    if best.exists():
        with safe_open(best, "pt") as file:
            assert list(file.keys())
    return found


def survive(kind: str, data: Path, root: Path, kills: int, rng: random.Random, log: list[Any]) -> None:
    """So many kills, over as many runs as that takes, each of which must come out like the one that was left alone."""
    whole = root / f"{kind}-whole"
    if os.fork() == 0:
        _in_child(kind, data, whole, dict.fromkeys(MOMENTS, 0), False)
    os.wait()
    expected, done, number = outcome(whole), 0, 0
    moments = json.loads((data / "counts.json").read_text())
    while done < kills:
        number += 1
        out, before = root / f"{kind}-{number}", dict[str, int]()
        for _ in range(min(5, kills - done)):
            way = rng.choice(WAYS)
            place = rng.randint(1, moments[way])
            if not attempt(kind, data, out, way, place):
                break
            after = newest_steps(out)
            assert all(after.get(name, -1) >= step for name, step in before.items()), (before, after)
            done, before = done + 1, after
            log.append([kind, way, place, after])
        train(kind, data, out)
        found = outcome(out)
        assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
        different = [name for name in expected if found[name] != expected[name]]
        assert not different, (kind, number, different, log[-5:])


def control(data: Path, root: Path) -> int:
    """How many of eight kills destroy the only checkpoint of a run that writes in place."""
    destroyed = 0
    for number in range(8):
        out = root / f"control-{number}"
        # the third, fifth, … file is the second and later checkpoint
        attempt("average", data, out, "file", 5 + number, in_place=True)
        try:
            newest_steps(out)
        except Exception:
            destroyed += 1
    return destroyed


def main() -> None:
    root, seed = Path(sys.argv[1]), int(sys.argv[2])
    counts = json.loads(sys.argv[3])
    rng, log = random.Random(seed), list[Any]()
    data = write_data(root)
    for kind, kills in counts.items():
        survive(kind, data, root, kills, rng, log)
    print(json.dumps({"kills": log, "control": control(data, root)}))


if __name__ == "__main__":
    main()
