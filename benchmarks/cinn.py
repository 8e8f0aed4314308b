"""What a conditional INN costs for 250 samples: one embedding and one batch, against one by one as in the published code.

    python benchmarks/cinn.py [--n 250] [--loop 12] [--slice-n 4] [--out FILE]

Both ways in one run, in turns, same weights (random) and same v, in seconds of the CPU of one thread: the least of
three, after a first that is not counted. The published loop embeds the condition again for every sample; it is run for a few
samples and scaled to n. *cinn* is the flow of the published size on a patch of 128 x 128; *slice* is our spatial generator
on 512 x 512, decoder included, two samples at a time as in use, and both ways are scaled.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ctinv.generators.model import GeneratorModel
from ctinv.networks.autoencoders import SpatialAutoencoder
from ctinv.networks.flows import SpatialFlow, VectorFlow

BAR = 25.0
REPEATS = 3
PASS = 2  # samples of 512 x 512 that are decoded together
SAME = 1e-4  # of values of about 1


def cpu_seconds(work: Callable[[], Tensor]) -> float:
    since = time.process_time()
    work()
    return time.process_time() - since


def compared(
    batched: Callable[[int], Tensor], alone: Callable[[int], Tensor], *, n: int, together: int, loop: int
) -> dict[str, float]:
    """Seconds for n samples both ways.

    Args:
        batched: The first k samples at once.
        alone: Sample k.
        n: Samples of which the seconds are told.
        together, loop: Samples that are drawn at once, and one by one.
    """

    def at_once() -> Tensor:
        return batched(together)

    def one_by_one() -> Tensor:
        return torch.cat([alone(k) for k in range(loop)])

    samples, again = at_once(), one_by_one()
    error = float((samples[:loop] - again).abs().max() / again.abs().max())
    if error > SAME:
        raise AssertionError(f"both ways must draw the same samples, they differ by {error:.1e}.")
    turns = [(cpu_seconds(at_once), cpu_seconds(one_by_one)) for _ in range(REPEATS)]
    once, each = (min(column) for column in zip(*turns, strict=True))
    batch_s, loop_s = once * n / together, each * n / loop
    return {
        "n": n,
        "measured_batched": together,
        "measured_loop": loop,
        "batched_s": batch_s,
        "loop_s": loop_s,
        "ratio": loop_s / batch_s,
        "largest_relative_difference": error,
    }


def published_size(n: int, loop: int) -> dict[str, float]:
    """The flow of the papers: 137.1 million weights, 256 numbers, f(x) of 128 x 128."""
    flow = VectorFlow(latent=256, channels=1, separate=True).eval()
    phi, v = torch.randn(1, 1, 128, 128), torch.randn(n, 256)

    def batched(count: int) -> Tensor:
        return flow.inverse(v[:count], flow.embed(phi))

    def alone(k: int) -> Tensor:
        return flow.inverse(v[k : k + 1], flow.embed(phi))

    return compared(batched, alone, n=n, together=n, loop=loop)


def whole_slice(n: int, count: int) -> dict[str, float]:
    """Our flow and autoencoder at their default sizes, f(x) of 512 x 512, decoded."""
    model = GeneratorModel(
        "cvae_cinn",
        autoencoder=SpatialAutoencoder(),
        flow=SpatialFlow(latent=8, channels=1),
        mean=-350.0,
        std=500.0,
    ).eval()
    clean = 300.0 * torch.randn(1, 1, 512, 512)
    v = torch.randn(count, *model.latent_shape((512, 512)))

    def batched(count: int) -> Tensor:
        frame = model.frame(clean, clean)
        return torch.cat([model.propose(v[k : min(k + PASS, count)], frame) for k in range(0, count, PASS)])

    def alone(k: int) -> Tensor:
        return model.propose(v[k : k + 1], model.frame(clean, clean))

    return compared(batched, alone, n=n, together=count, loop=count)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=250)
    parser.add_argument("--loop", type=int, default=12, help="samples of the published loop that are run")
    parser.add_argument("--slice-n", type=int, default=4, help="samples of a slice that are run, both ways")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with torch.inference_mode():
        found = {
            "cinn": published_size(given.n, given.loop),
            "slice": whole_slice(given.n, given.slice_n),
        }
    for name, row in found.items():
        print(
            f"{name}: {row['n']} samples in {row['batched_s']:.2f} s at once, {row['loop_s']:.1f} s one by one, "
            f"{row['ratio']:.1f} times as long"
        )
    print(f"bar for cinn: {BAR:.0f} times, {'met' if found['cinn']['ratio'] >= BAR else 'NOT met'}")
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
