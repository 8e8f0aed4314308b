"""The worker process of `fuzzing`: runs inputs one after the other and says a line for each."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from fuzzing import MEMORY, Job, WrongError, make_input, target
from mutators import CANARY

from ctinv.errors import CtinvError

_NO_MEMORY = ("enough memory", "bad_alloc", "to allocate", "t allocate memory", "out of memory")


def main() -> None:
    """Jobs come as lines on stdin, answers leave on what was stdout."""
    room = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    faulthandler.enable()
    warnings.simplefilter("error")  # a warning quotes what was read, so it counts as uncaught
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)  # torch's own
    for line in sys.stdin:
        asked = json.loads(line)
        _work(Job(**{**asked, "files": tuple(asked["files"])}), room, answers)


def _work(job: Job, room: Path, answers: TextIO) -> None:
    one = target(job.target)
    folder = room / "target"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _bound(None)
    seeds, run = one.seeds(), one.prepare(folder)
    for seed in seeds:  # imports what is imported late, and shows that the seeds are sound
        outcome, detail = _outcome(run, seed)
        if outcome != "read" and not (one.refused and outcome == "refused"):
            raise RuntimeError(f"a seed of {job.target} is {outcome}: {detail}")
    base = _bound(MEMORY)
    _say(answers, "ready", "")
    for index in range(job.count):
        if job.files:
            data = Path(job.files[index]).read_bytes()
        else:
            data = make_input(one, job.target, seeds, job.seed, job.start + index)
        (room / "current").write_bytes(data)
        outcome, detail = _outcome(run, data)
        peak = _peak()
        if peak > base + MEMORY:
            outcome, detail = "memory", f"{(peak - base) / 1e9:.1f} GB"
        _say(answers, outcome, detail, b"" if outcome in ("read", "refused") else data)
        if outcome == "memory":
            os._exit(0)  # peaks do not fall; a new process begins at its own


def _say(answers: TextIO, outcome: str, detail: str, data: bytes = b"") -> None:
    answers.write(json.dumps([outcome, detail, data.hex()]) + "\n")
    answers.flush()


def _peak() -> int:
    """The most resident bytes of this process; what ``getrusage`` says begins with the size of the parent."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _bound(more: int | None) -> int:
    """Bound the address space to so much more than now, or not at all; returns the resident bytes."""
    pages = [int(word) for word in Path("/proc/self/statm").read_text().split()]
    size, resident = (count * os.sysconf("SC_PAGE_SIZE") for count in pages[:2])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard if more is None else size + more, hard))
    return resident


def _outcome(run: Callable[[bytes], None], data: bytes) -> tuple[str, str]:
    try:
        run(data)
    except CtinvError as error:
        text = str(error)
        if _is_memory(error):
            return "memory", f"{type(error).__name__} after a failed allocation"
        if len(text) > 200 or "\n" in text:
            return "unclear", f"{len(text)} characters from {_place(error)}"
        if CANARY in text:
            return "unclear", f"the patient is named from {_place(error)}"
        return "refused", text
    except WrongError as error:
        return "wrong", str(error)[:200]
    except BaseException as error:
        outcome = "memory" if _is_memory(error) else "uncaught"
        return outcome, f"{type(error).__name__} at {_place(error)}: {str(error)[:80]!r}"
    return "read", ""


def _is_memory(error: BaseException | None) -> bool:
    """Whether an allocation failed on the way here, even where the reader made a refusal of it."""
    while error is not None:
        failed = isinstance(error, MemoryError) or any(word in str(error).lower() for word in _NO_MEMORY)
        if failed and not isinstance(error, CtinvError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(error: BaseException) -> str:
    """Where it was raised, and the last line of this package on the way there."""
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/ctinv/" in frame.filename]
    places = [*ours[-1:], *frames[-1:]]
    return " < ".join(
        dict.fromkeys(f"{'/'.join(Path(f.filename).parts[-2:])}:{f.lineno}" for f in reversed(places))
    )


if __name__ == "__main__":
    main()
