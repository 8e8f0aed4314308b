"""Peak memory, time and room of writing, resuming and reading a study of 250 x 512 x 512.

Run:  python benchmarks/store_memory.py [--n 250] [--side 512] [--folder DIR]

The batches are synthetic (coloured noise on a smooth image) and made one at a time, so that what is measured
is the store; their errors are white, which compresses worst. Each stage runs in its own process, whose peak
resident size (VmHWM) it reports as JSON. Seconds are of the CPU, all threads together, unless named wall.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from peak import peak_mib

from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Batch, Provenance, Setting, Store
from ctinv.volume import Box, Volume


def study(side: int) -> tuple[Provenance, Setting]:
    box = Box(0, 0, side, 0, side)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    hu = (300 * np.sin(x / 60) * np.cos(y / 45)).astype(np.float32)
    eye = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    provenance = Provenance(
        "0" * 64, str(box), (1, side, side), eye, "none", {}, "output", "synthetic",
        "T2", 0.45, "HU", 400.0, {"source": "synthetic"}, 0, 1, "cpu", {"method": "1"},
    )  # fmt: skip
    theory = np.full_like(hu, 30.0)
    setting = Setting(Volume(hu[None], np.eye(4), "synthetic"), hu, hu, box, theory, None, {}, 0.125)
    return provenance, setting


def batch(rows: list[int], setting: Setting) -> Batch:
    rng = np.random.default_rng(rows[0])
    white = rng.standard_normal((len(rows), *setting.region), dtype=np.float32)
    noise = 15 * (white + np.roll(white, 1, -1) + np.roll(white, 1, -2) + np.roll(white, (1, 1), (-1, -2)))
    error = rng.standard_normal((len(rows), *setting.output_box.shape), dtype=np.float32) * np.float32(0.2)
    certificates = tuple(
        Certificate(k, 8.0, 1.0, 0.2, 0.9, 0.6, 0.03, 0.2, 0.86, 1, "T1", True) for k in rows
    )
    return Batch(tuple(rows), np.rint((setting.volume.hu + noise) * 8) / 8, error, certificates)


def write(path: Path, n: int, side: int) -> dict[str, float]:
    provenance, setting = study(side)
    spent = wall = 0.0
    with Store.create(path, provenance, setting, n=n) as store:
        rows = store.missing()
        for start in range(0, n, 25):
            part = batch(rows[start : start + 25], setting)
            begin, clock = time.process_time(), time.perf_counter()
            store.append(part)
            spent += time.process_time() - begin
            wall += time.perf_counter() - clock
        store.finish()
    return {
        "append_s": spent,
        "append_wall_s": wall,
        "mb": sum(p.stat().st_size for p in path.rglob("*") if p.is_file()) / 1e6,
    }


def resume(path: Path, n: int, side: int) -> dict[str, float]:
    provenance, setting = study(side)
    begin = time.process_time()
    with Store.create(path, provenance, setting, n=n) as store:
        assert store.missing() == []
    return {"check_s": time.process_time() - begin}


def read(path: Path, n: int, side: int) -> dict[str, float]:
    begin = time.perf_counter()
    store = Store.open(path)
    opened = time.perf_counter()
    planes = [time.perf_counter()]
    for k in np.linspace(0, n - 1, 10).astype(int):
        store.x_tilde[int(k), 0]
        planes.append(time.perf_counter())
    pixels = [time.perf_counter()]
    for position in np.linspace(0, side - 1, 10).astype(int):
        store.probe(int(position), int(position))
        pixels.append(time.perf_counter())
    store._maps, store._meta["maps"] = None, None  # as after an interruption: from the samples
    recompute = time.process_time()
    store.spread()
    return {
        "open_ms": 1e3 * (opened - begin),
        "plane_ms": 1e3 * float(np.median(np.diff(planes))),
        "pixel_ms": 1e3 * float(np.median(np.diff(pixels))),
        "maps_again_s": time.process_time() - recompute,
    }


STAGES = {"write": write, "resume": resume, "read": read}


def measure(folder: Path, *, n: int = 250, side: int = 512) -> dict[str, dict[str, float]]:
    """All stages, each in its own process; ``peak_mib`` is that process's peak resident size."""
    results = {}
    for name in STAGES:
        command = [
            sys.executable,
            __file__,
            "--stage",
            name,
            "--folder",
            folder,
            "--n",
            str(n),
            "--side",
            str(side),
        ]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        results[name] = json.loads(done.stdout)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=250)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stage", choices=STAGES)
    given = parser.parse_args()
    if given.stage is not None:
        result = STAGES[given.stage](given.folder / "study.zarr", given.n, given.side)
        peak = peak_mib()
        print(json.dumps({**result, "peak_mib": peak}))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        print(json.dumps(measure(Path(folder), n=given.n, side=given.side), indent=2))


if __name__ == "__main__":
    main()
