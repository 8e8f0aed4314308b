"""Fuzz every target under the guidance of coverage, with atheris, for a time; what fails becomes a regression.

    python scripts/fuzz_nightly.py                              # all targets, three minutes each
    python scripts/fuzz_nightly.py dicom image/nii --minutes 30
    python scripts/fuzz_nightly.py --list

The corpus grows in a folder and is minimised after each run. Exit code 1 if anything was found. Needs `pip install
atheris`; the targets are those of tests/fuzz.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[1]
FUZZ = ROOT / "tests" / "fuzz"
INSTRUMENTED = ["ctinv", "pydicom", "nibabel", "zarr", "tomllib", "json", "zipfile", "pickletools"]
LONGEST = 65_536  # bytes of an input
SECONDS, MEGABYTES = 10, 3000


def main() -> int:
    sys.path[:0] = [str(FUZZ)]
    if sys.argv[1:2] == ["--one"]:
        return _fuzz(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description="Fuzz under the guidance of coverage.")
    parser.add_argument("targets", nargs="*", help="names or their beginnings; all by default")
    parser.add_argument("--minutes", type=float, default=3.0, help="for each target")
    parser.add_argument("--corpus", type=Path, default=ROOT / "out" / "fuzz-corpus")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    asked = parser.parse_args()
    names = [name for name in _names() if not asked.targets or name.startswith(tuple(asked.targets))]
    if asked.list or not names:
        print("\n".join(names or _names()))
        return 0 if asked.list else 2
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed; pip install atheris, which has wheels for Linux.", file=sys.stderr)
        return 2
    found = sum(_run(name, asked.minutes * 60, asked.corpus / name) for name in names)
    print(f"{found} findings in {len(names)} targets")
    return 1 if found else 0


def _names() -> list[str]:
    from test_fuzz import COUNTS

    return list(COUNTS)


def _run(name: str, seconds: float, corpus: Path) -> int:
    """Fuzz a target until its time is over, however often it fails; returns how many inputs were put aside."""
    corpus.mkdir(parents=True, exist_ok=True)
    before, end, executions = _kept(name), time.monotonic() + seconds, 0
    while (left := int(end - time.monotonic())) > 0:
        executions += _once(name, corpus, [f"-max_total_time={left}"])
    with tempfile.TemporaryDirectory() as smaller:
        _once(name, Path(smaller), ["-merge=1", str(corpus)])
        if any(Path(smaller).iterdir()):
            for old in corpus.iterdir():
                old.unlink()
            for new in Path(smaller).iterdir():
                (corpus / new.name).write_bytes(new.read_bytes())
    fresh = sorted(_kept(name) - before)
    print(
        f"{name}: {executions} executions, {len(list(corpus.iterdir()))} inputs in the corpus, {len(fresh)} findings"
    )
    for path in fresh:
        print(f"  {path}")
    return len(fresh)


def _kept(name: str) -> set[Path]:
    folder = FUZZ / "regressions" / name
    return set(folder.iterdir()) if folder.is_dir() else set()


def _once(name: str, corpus: Path, options: list[str]) -> int:
    """One process of libFuzzer, which ends at its first finding; returns its executions."""
    kept = FUZZ / "regressions" / name
    kept.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--one", name, str(corpus), *options, f"-artifact_prefix={kept}/"]
    command += [
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LONGEST}",
        "-print_final_stats=1",
    ]
    ended = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    if not any(kept.iterdir()):
        kept.rmdir()
    lines = ended.stderr.splitlines()
    if ended.returncode:
        print(f"{name}: " + " | ".join(line for line in lines if "Error" in line or "ERROR" in line)[:400])
    counts = [
        line.rsplit(maxsplit=1)[-1] for line in lines if line.startswith("stat::number_of_executed_units")
    ]
    return int(counts[-1]) if counts else 0


def _fuzz(name: str, options: list[str]) -> int:
    """Run libFuzzer in this process on one target."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzzing import Target, target
        from mutators import CANARY

        from ctinv.errors import CtinvError

        one: Target = target(name)
    seeds = one.seeds()
    memory = "/dev/shm"  # nosec B108  # mkdtemp makes a private folder there
    room = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    run = one.prepare(room)
    corpus = next((Path(option) for option in options if not option.startswith("-")), None)
    if corpus is not None and corpus.is_dir() and "-merge=1" not in options:
        for index, seed in enumerate(seeds):
            (corpus / f"seed-{index}").write_bytes(seed)
    atheris.Setup(
        [sys.argv[0], *options], _judged(run, CtinvError, CANARY), custom_mutator=_mutator(one, seeds)
    )
    atheris.Fuzz()
    return 0


def _judged(run: Callable[[bytes], None], refusal: type[Exception], canary: str) -> Callable[[bytes], None]:
    def judged(data: bytes) -> None:
        try:
            run(data)
        except refusal as error:
            text = str(error)
            if len(text) > 200 or "\n" in text or canary in text:
                raise AssertionError(f"an unclear sentence of {len(text)} characters") from error

    return judged


def _mutator(one: object, seeds: list[bytes]) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own mutation in one half, the target's in the other, on what the corpus holds where it can be parsed."""
    import atheris

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        rng = Random(seed)  # nosec B311  # to be repeated, not to be secret
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, longest))
        try:
            made = one.mutate(rng, data, seeds)  # type: ignore[attr-defined]
        except Exception:  # what the corpus holds is damaged itself: begin with a seed again
            made = one.mutate(rng, rng.choice(seeds), seeds)  # type: ignore[attr-defined]
        return bytes(made[:longest])

    return mutate


if __name__ == "__main__":
    sys.exit(main())
