"""Peak memory of proposing samples of a whole slice with a trained spatial generator, and whether it grows with n.

    python benchmarks/generator_memory.py [--n 25 250 1000] [--side 512] [--out FILE]

The product's own generator proposes rows in the sampler's blocks; each block is dropped once it is there, as it is when a
store has it. The networks are those of cvae_cinn at their default sizes with random weights, on which memory does not
depend, and f is CNN-10. Each n runs in a process of its own, whose peak resident size (VmHWM) is told, beside that of
setting up alone, n = 0. Correction and store are other benchmarks' business.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import numpy as np
import torch
from peak import peak_mib

from ctinv.denoiser import Denoiser
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.model import GeneratorModel
from ctinv.generators.trained import TrainedGenerator
from ctinv.networks import CNN10
from ctinv.networks.autoencoders import SpatialAutoencoder
from ctinv.networks.flows import SpatialFlow
from ctinv.representation import Representation
from ctinv.sampler.batch import BLOCK
from ctinv.volume import Box

BAR_MIB = 2048.0
GROWTH_MIB = 64.0  # one more sample of 512 x 512 that is kept by mistake takes 1 MiB


def scene(side: int) -> Scene:
    y, x = np.mgrid[:side, :side].astype(np.float32)
    scan = torch.from_numpy(300 * np.sin(x / 60) * np.cos(y / 45))
    representation = Representation(Denoiser(CNN10(), name="cnn10", std=500.0))
    region = Region.in_slice(representation, scan, Box(0, 0, side, 0, side))
    noise = cast(SurroundedNoise, None)  # a trained generator does not look at it
    return Scene(region, noise, scan[None], region.reference_output[0, 0].clone(), 10.0)


def propose(n: int, side: int) -> dict[str, float]:
    torch.manual_seed(0)
    model = GeneratorModel(
        "cvae_cinn",
        autoencoder=SpatialAutoencoder(),
        flow=SpatialFlow(latent=8, channels=1),
        mean=-350.0,
        std=500.0,
    )
    generator = TrainedGenerator(model.eval().requires_grad_(False), scene(side))
    seeds, since = RowSeeds(0, "0" * 64, "benchmark"), time.process_time()
    for start in range(0, n, BLOCK):
        images = generator.candidates(range(start, min(start + BLOCK, n)), seeds)
        if not bool(torch.isfinite(images).all()):
            raise AssertionError("a candidate holds a value that is not finite.")
    peak = peak_mib()
    return {"n": n, "side": side, "peak_mib": peak, "cpu_s": time.process_time() - since}


def measure(n: int, side: int) -> dict[str, float]:
    """One n in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", "--n", str(n), "--side", str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, nargs="+", default=[25, 250, 1000])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(propose(given.n[0], given.side)))
        return
    rows = []
    for n in [0, *given.n]:
        rows.append(measure(n, given.side))
        print("n = {n:5d}: {peak_mib:7.0f} MiB, {cpu_s:7.1f} s of the CPU".format(**rows[-1]), flush=True)
    peaks = [row["peak_mib"] for row in rows[1:]]
    verdict = "met" if max(peaks) <= BAR_MIB and max(peaks) - min(peaks) <= GROWTH_MIB else "NOT met"
    print(f"bar: {BAR_MIB:.0f} MiB, and no growth with n: {verdict}")
    if given.out is not None:
        given.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
