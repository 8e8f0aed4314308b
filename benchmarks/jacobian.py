"""How far the Jacobian of each network is taken, what that misses, and what it costs beside doing without a matrix.

    python benchmarks/jacobian.py                                   all shipped networks
    python benchmarks/jacobian.py cnn10 folder/of/a/bundle --tier T1

One row per network: receptive-field radius R, radius r that was probed, its error as a share of ε, the products with J, and
seconds for choosing, probing and measuring. The last columns compare, in the same run, one iteration of conjugate gradients
on 24 columns (a product with J and one with Jᵀ): seconds without a matrix, seconds with it, and how many of the former the
probing costs. Setting a region up without a matrix takes a few hundred of them, every 25 samples some dozens more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from ctinv import Box, load_denoiser, read_series
from ctinv.fibre.jacobian import Jacobian, LocalJacobian
from ctinv.fibre.reach import take_jacobian
from ctinv.resources import bundles_folder, ct_folder
from ctinv.sampler import InvarianceSampler

COLUMNS = 24
HEADING = "network          R   r   error/ε  products   s taken   s/iteration without   with   probing in iterations"


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def iteration(jacobian: Jacobian, directions: torch.Tensor) -> float:
    """Seconds for J and Jᵀ on these columns, once they have run before."""
    jacobian.adjoint(jacobian.apply(directions[:, :1]))
    return seconds(lambda: jacobian.adjoint(jacobian.apply(directions)))


def row(name: str, box: Box, tier: str, device: torch.device) -> str:
    denoiser = load_denoiser(name, device=device)
    volume = read_series(ct_folder() / "quarter_dose")
    found = InvarianceSampler(denoiser, tier=tier, device=str(device)).survey(volume, box)
    region, tolerance = found.region, found.rule.tolerance
    since = time.perf_counter()
    jacobian = take_jacobian(region, found.covariance, tolerance)
    taken = time.perf_counter() - since
    directions = torch.randn(region.scan.numel(), COLUMNS, device=device)
    without = iteration(LocalJacobian(region, region.scan), directions)
    reach = jacobian.reach
    products = min(2 * reach.radius + 1, box.shape[0]) * min(2 * reach.radius + 1, box.shape[1])
    return (
        f"{denoiser.name:15} {reach.of:2d}  {reach.radius:2d}   {reach.error / tolerance:7.4f}  {products:8d}"
        f"  {taken:8.1f}   {without:19.2f}  {iteration(jacobian, directions):5.3f}   {taken / without:21.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="shipped names or bundle folders; all shipped by default")
    parser.add_argument("--box", default="10,190:254,130:194")
    parser.add_argument("--tier", default="T2")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    names = arguments.networks or sorted(path.name for path in bundles_folder().iterdir() if path.is_dir())
    print(HEADING)
    for name in names:
        print(row(name, Box.parse(arguments.box), arguments.tier, torch.device(arguments.device)), flush=True)


if __name__ == "__main__":
    main()
