"""Estimated against actual time and memory of a request, on the shipped CT: ratios by stage.

    python benchmarks/estimate.py [EDGE ...]

The cache of factors is a new folder, so that the first run of each region builds its factor and the second reads it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator

from ctinv.denoiser import load_denoiser
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.cost import Cost
from ctinv.sampler.estimate import estimate
from ctinv.volume import Box

EDGES = (32, 64, 96)
N = 50


def measured(edge: int, denoiser: str) -> Iterator[tuple[str, Cost, dict[str, float]]]:
    """The estimate and what each stage took: with the factor built, read and ready."""
    volume = read_series(ct_folder() / "quarter_dose")
    box = Box(8, 200, 200 + edge, 150, 150 + edge)
    sampler = InvarianceSampler(load_denoiser(denoiser))
    for state in ("absent", "kept", "ready"):
        if state == "kept":
            sampler = InvarianceSampler(load_denoiser(denoiser))
        sampler.survey(volume, box)
        guess = estimate(sampler, volume, box, n=N)
        assert guess.factor == state, (guess.factor, state)
        spent = {} if state == "ready" else dict(sampler.prepare(volume, box).seconds)
        since = time.perf_counter()
        list(sampler.batches(volume, box, n=N))
        yield state, guess, {**spent, "samples": time.perf_counter() - since}


def main() -> None:
    """Print one line for each region and state."""
    edges = [int(text) for text in sys.argv[1:]] or EDGES
    with tempfile.TemporaryDirectory() as cache:
        os.environ["CTINV_CACHE"] = cache
        for edge in edges:
            for state, guess, spent in measured(edge, os.environ.get("DENOISER", "cnn10")):
                actual = sum(spent[stage] for stage in guess.stages)
                ratios = ", ".join(
                    f"{stage} {seconds:.1f}/{spent[stage]:.1f}" for stage, seconds in guess.stages.items()
                )
                print(
                    f"{edge:4d} {state:7s} estimated/actual {guess.seconds / actual:.2f} "
                    f"({guess.seconds:.1f} s / {actual:.1f} s): {ratios}; {guess.memory_bytes / 2**30:.2f} GiB; "
                    f"load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
