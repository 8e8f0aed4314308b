"""Kills real sampling runs at random moments and prints what was left of them, as JSON.

    python kill_runs.py FOLDER KILLS SEED

One warmed process prepares the region and forks every run from itself, so that a run begins sampling at once. The children
report each batch over a pipe when `sample_into` hands it over: from then on its samples are promised.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from ctinv.denoiser import load_denoiser
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Store
from ctinv.sampler.run import sample_into
from ctinv.volume import Box

BOX = Box(10, 210, 222, 150, 162)
N = 80


def child(sampler: InvarianceSampler, scan: Any, path: Path, pipe: int) -> None:
    """Sample, and say what is promised."""
    os.write(pipe, b"begin\n")
    for batch in sample_into(path, sampler, scan, BOX, n=N, seed=5):
        os.write(pipe, (" ".join(map(str, batch.rows)) + "\n").encode())
    os.write(pipe, b"end\n")


def run(
    sampler: InvarianceSampler, scan: Any, path: Path, after: float | None
) -> tuple[set[int], bool, float]:
    """One life of a run, killed so many seconds after its beginning: rows promised, whether it ended, how long it took."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            child(sampler, scan, path, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        lines = [said.readline()]
        since = time.perf_counter()
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        lines += said.readlines()
    _, status = os.waitpid(pid, 0)
    took = time.perf_counter() - since
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a run failed"
    rows = {
        int(word) for line in lines[1:] if line.endswith(b"\n") and line != b"end\n" for word in line.split()
    }
    return rows, lines[-1] == b"end\n", took


def main(folder: Path, kills: int, seed: int) -> None:
    """Kill and resume until so many kills have hit."""
    scan = read_series(ct_folder() / "quarter_dose")
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    sampler.prepare(scan, BOX)
    whole = folder / "whole.zarr"
    _, ended, took = run(sampler, scan, whole, None)
    assert ended
    reference = Store.open(whole)
    images = {k: reference.read(k).tobytes() + reference.read_error(k).tobytes() for k in range(N)}
    rng = np.random.default_rng(seed)
    path = folder / "killed.zarr"
    found: dict[str, Any] = {"moments": [], "lost": 0, "torn": 0, "faults": [], "unequal": [], "runs": 0}
    promised: set[int] = set()
    while len(found["moments"]) < kills:
        after = float(rng.uniform(0.0, 1.1 * took))
        rows, ended, _ = run(sampler, scan, path, after)
        promised |= rows
        if not ended:
            found["moments"].append(round(after, 4))
        elif path.exists():
            found["unequal"] += differences(whole, path)
            found["runs"] += 1
        if not path.exists():
            continue
        store = Store.open(path)
        found["lost"] += len(promised - set(store.rows))
        found["torn"] += sum(
            store.read(k).tobytes() + store.read_error(k).tobytes() != images[k] for k in store.rows
        )
        found["faults"] += [fault.sentence for fault in store.verify()]
        if ended:
            shutil.rmtree(path)
            promised = set()
    run(sampler, scan, path, None)
    found["unequal"] += differences(whole, path)
    found["runs"] += 1
    found["left beside"] = sorted(entry.name for entry in folder.iterdir() if entry.suffix != ".zarr")
    print(json.dumps(found))


def differences(one: Path, other: Path) -> list[str]:
    """Files in which two studies differ, the times apart."""
    mine, theirs = snapshot(one), snapshot(other)
    return sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def snapshot(folder: Path) -> dict[str, bytes]:
    """Name to content of every file; of the metadata all but the times and the checksum over them."""
    files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    document = json.loads(files["zarr.json"])
    meta = document["attributes"]["ctinv"]
    del meta["seconds"], meta["sha256"]
    return {**files, "zarr.json": json.dumps(document).encode()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
