"""Runs targets on damaged inputs in processes that may die, and says of each input what came of it.

A target takes bytes and may raise `CtinvError`, nothing else. A worker runs inputs one after the other under a bound of
memory; the parent waits for each of them under a bound of time, and starts a new worker where one died.

    python tests/fuzz/fuzzing.py dicom/native 5000            # inputs 0 to 4999
    python tests/fuzz/fuzzing.py dicom/native 5000 --seed 7   # others
    python tests/fuzz/fuzzing.py dicom/native FILE            # one input again, with its traceback
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from random import Random

HERE = Path(__file__).parent
for _folder in (HERE, *(HERE.parent / name for name in ("io", "sampler", "models"))):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))

REGRESSIONS = HERE / "regressions"
SECONDS = 10.0
MEMORY = 2 * 10**9
START_SECONDS = 120.0
FINE = ("read", "refused")
MODULES = {
    "dicom": "fuzz_dicom",
    "image": "fuzz_images",
    "config": "fuzz_configs",
    "model": "fuzz_models",
    "checkpoint": "fuzz_checkpoint",
    "study": "fuzz_study",
    "planted": "fuzz_planted",
}
"""First part of a target's name, and the module that holds it in ``TARGETS``."""


class WrongError(AssertionError):
    """An input was read, and what was read cannot be right."""


@dataclass(frozen=True)
class Target:
    """One way in.

    Attributes:
        seeds: Makes sound inputs; always the same ones.
        mutate: Damages a seed; gets all seeds too, to splice.
        prepare: Gets a folder of its own and gives the function that takes an input.
        refused: Whether a seed may be refused.
    """

    seeds: Callable[[], list[bytes]]
    mutate: Callable[[Random, bytes, list[bytes]], bytes]
    prepare: Callable[[Path], Callable[[bytes], None]]
    refused: bool = False


@dataclass(frozen=True)
class Finding:
    """An input that is neither read nor refused with a sentence.

    Attributes:
        outcome: ``"uncaught"``, ``"wrong"``, ``"unclear"`` (a sentence too long, or one that names the patient),
            ``"crash"``, ``"hang"`` or ``"memory"``.
        recipe: Target and where the input comes from: seed and number, or a file.
        detail: Type of the exception and where it was raised.
        data: The input.
    """

    outcome: str
    recipe: str
    detail: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.outcome}: {self.recipe}: {self.detail}"


@dataclass
class Report:
    """What came of all inputs.

    Attributes:
        counts: Inputs by target and outcome.
        findings: The bad ones.
        seconds: Time by target, summed over workers.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)

    def table(self) -> str:
        """One line for each target."""
        lines = []
        for name, counts in sorted(self.counts.items()):
            n, seconds = sum(counts.values()), self.seconds[name]
            said = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
            lines.append(f"{name:22} {n:6} inputs {n / max(seconds, 1e-9):7.0f}/s  {said}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Job:
    """A run of inputs of one target: numbered ones of a seed, or files."""

    target: str
    start: int = 0
    stop: int = 0
    seed: int = 0
    files: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return len(self.files) or self.stop - self.start

    def after(self, done: int) -> Job:
        """What is left of it."""
        return Job(self.target, self.start + done, self.stop, self.seed, self.files[done:])

    def recipe(self, index: int) -> str:
        if self.files:
            return f"{self.target} {self.files[index]}"
        return f"{self.target} seed {self.seed} input {self.start + index}"


def target(name: str) -> Target:
    """A target by its name."""
    found: dict[str, Target] = importlib.import_module(MODULES[name.partition("/")[0]]).TARGETS
    return found[name]


def make_input(one: Target, name: str, seeds: list[bytes], seed: int, index: int) -> bytes:
    """Input number `index` of a seed."""
    rng = Random(f"{name} {seed} {index}")
    return one.mutate(rng, rng.choice(seeds), seeds)


def campaign(jobs: Sequence[Job], *, workers: int = 2, seconds: float = SECONDS) -> Report:
    """Run jobs in so many worker processes.

    Args:
        jobs: Taken in this order.
        workers: Processes.
        seconds: Bound for one input.
    """
    report, waiting = Report(), Queue[Job]()
    for job in jobs:
        if job.count:
            waiting.put(job)
    lock, failures = threading.Lock(), list[Exception]()

    def work() -> None:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_fast_folder()) as room:
            worker = _Worker(Path(room))
            try:
                while True:
                    _run(worker, waiting.get_nowait(), report, lock, seconds)
            except Empty:
                pass
            except Exception as error:
                failures.append(error)
            finally:
                worker.stop()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return report


def _fast_folder() -> str | None:
    """A folder in memory where there is one: inputs are many and small."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _run(worker: _Worker, job: Job, report: Report, lock: threading.Lock, seconds: float) -> None:
    """All inputs of a job, whatever the worker dies of."""
    done = 0
    while done < job.count:
        worker.send(job.after(done))
        if worker.line(START_SECONDS) in ("hang", "crash"):
            raise RuntimeError(f"{job.target} could not be started: {worker.last_words()}")
        since = time.monotonic()
        lives = True
        while lives and done < job.count:
            line = worker.line(seconds)
            lives = not isinstance(line, str)
            outcome, detail, data = (
                (line, worker.last_words(), worker.input()) if isinstance(line, str) else line
            )
            with lock:
                report.counts.setdefault(job.target, Counter())[outcome] += 1
                if outcome not in FINE:
                    found = Finding(outcome, job.recipe(done), detail, data)
                    report.findings.append(found)
            lives = lives and outcome != "memory"  # it ends itself then: peaks do not fall
            done += 1
        if not lives:
            worker.stop()
        with lock:
            report.seconds[job.target] += time.monotonic() - since


class _Worker:
    """A process that runs jobs, as the parent sees it."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def send(self, job: Job) -> None:
        """Start a job; the process too, where there is none."""
        if self._process is None:
            with (self._room / "stderr").open("wb") as words:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "fuzz_worker", str(self._room)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
                )
            self._buffer = b""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job.__dict__).encode() + b"\n")
        self._process.stdin.flush()

    def line(self, seconds: float) -> tuple[str, str, bytes] | str:
        """Outcome, detail and, if it is bad, content of the input it runs, or ``"hang"`` or ``"crash"``."""
        assert self._process is not None
        assert self._process.stdout is not None
        source, end = self._process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([source], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return "hang"
            part = os.read(source, 65536)
            if not part:
                return "crash"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        outcome, detail, data = json.loads(line)
        return outcome, detail, bytes.fromhex(data)

    def input(self) -> bytes:
        """The input it died of."""
        return (self._room / "current").read_bytes()

    def last_words(self) -> str:
        """The end of what the process wrote before it died."""
        text = (self._room / "stderr").read_text(errors="replace").strip()
        lines = text.splitlines()
        return " | ".join(lines[:6] if "Fatal" in text else lines[-3:])[-400:]

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def regressions(names: Sequence[str]) -> list[Job]:
    """The inputs that once failed, as jobs."""
    jobs = []
    for name in names:
        files = tuple(sorted(str(path) for path in (REGRESSIONS / name).glob("*") if path.is_file()))
        jobs += [Job(name, files=files)] if files else []
    return jobs


def keep(finding: Finding) -> Path:
    """Put a bad input among the regressions."""
    folder = REGRESSIONS / finding.recipe.split()[0]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(finding.data).hexdigest()[:12]
    path.write_bytes(finding.data)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run one target on damaged inputs.")
    parser.add_argument("target")
    parser.add_argument("inputs", help="how many, or a file to run again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="put bad inputs among the regressions, one of a kind"
    )
    asked = parser.parse_args(arguments)
    if not asked.inputs.isdigit():
        with tempfile.TemporaryDirectory(dir=_fast_folder()) as room:
            target(asked.target).prepare(Path(room))(Path(asked.inputs).read_bytes())
        return 0
    stop, step = asked.start + int(asked.inputs), max(1, int(asked.inputs) // asked.workers)
    jobs = [
        Job(asked.target, first, min(first + step, stop), asked.seed)
        for first in range(asked.start, stop, step)
    ]
    report = campaign(jobs, workers=asked.workers)
    print(report.table())
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        kinds.setdefault((finding.outcome, finding.detail.partition(": ")[0]), []).append(finding)
    for found in kinds.values():
        smallest = min(found, key=lambda finding: len(finding.data))
        print(f"{len(found)} x {smallest}" + (f" -> {keep(smallest)}" if asked.keep else ""))
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.modules["fuzzing"] = sys.modules["__main__"]
    sys.exit(main())
