"""How long η maps of four disc sizes take once the factor of a 64 x 64 region stands.

Prints one JSON object: seconds of the ideal observer's set-up and of the maps at strides 2 and 1, best and all of several
runs, and the processor time, which other work on the machine lengthens less. The bar is 5 s for four sizes at a stride of
at most 2 on two cores. Run it alone:

    OMP_NUM_THREADS=2 python benchmarks/lesion_map.py
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch

import ctinv
from ctinv.analysis.disc import DIAMETERS_MM, disc_signals
from ctinv.analysis.ideal_observer import observer_of
from ctinv.analysis.subject import Subject
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler
from ctinv.volume import Box

BAR_S = 5.0
STRIDES = (2, 1)


def region(side: int) -> Subject:
    """A region of the shipped quarter-dose CT under cnn10, at T2."""
    volume = ctinv.read_series(ct_folder() / "quarter_dose")
    sampler = InvarianceSampler(ctinv.load_denoiser("cnn10"), device="cpu")
    return Subject.of(sampler.prepare(volume, Box(8, 176, 176 + side, 152, 152 + side)), volume)


def once(subject: Subject, stride: int) -> dict[str, float]:
    """Seconds of one run, from the factor to η, d' and kept contrast of every disc."""
    begin, busy = time.perf_counter(), time.process_time()
    observer = observer_of(subject.corrector)
    stands = time.perf_counter()
    grids = disc_signals(subject, DIAMETERS_MM, stride=stride)
    for grid in grids:
        observer.look(grid.signals)
    end, used = time.perf_counter(), time.process_time() - busy
    discs = sum(len(grid) for grid in grids)
    return {
        "set_up_s": stands - begin,
        "maps_s": end - stands,
        "total_s": end - begin,
        "cpu_s": used,
        "discs": discs,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", type=int, default=64, help="height and width of the region in pixels")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    subject = region(asked.side)
    found: dict[str, dict[str, Any]] = {}
    for stride in STRIDES:
        runs = [once(subject, stride) for _ in range(asked.repeats)]
        best = min(runs, key=lambda run: run["total_s"])
        found[f"stride {stride}"] = {**best, "runs_s": [run["total_s"] for run in runs]}
    page = {
        "region": f"{asked.side} x {asked.side}",
        "diameters_mm": list(DIAMETERS_MM),
        "threads": asked.threads,
        "bar_s": BAR_S,
        "met": found["stride 2"]["total_s"] <= BAR_S,
        **found,
    }
    print(json.dumps(page, indent=1))


if __name__ == "__main__":
    main()
