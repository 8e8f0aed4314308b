"""How far the sampler is from the law on a real network, where it is only approximate.

No law is known there, so samples are held against HMC (`ctinv.validation.reference`) on a region small enough for it: 8 x 8
pixels of the shipped CT. Three samplers are: the one of the product, which stops at the first step that meets the tier and
rounds to what is stored; the settled one, at the law's own point; and the settled one with importance weights. Further
reference samples show what chance alone does to each figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.progress import Progress
from ctinv.statistics.two_sample import c2st, mahalanobis, whiten

if TYPE_CHECKING:
    from ctinv.denoiser import Denoiser
    from ctinv.sampler.prepare import Prepared
    from ctinv.volume import Box, Volume

Array = NDArray[np.float64]

DENOISER, PLACE = "cnn10", (8, 200, 208, 176, 184)
TIERS = ("T1", "T2", "T3")
_FEWEST = 64
_CHAINS = 5  # one shows what chance does, the others are the law: its moments must be known better than the samples'


def deviation(
    *,
    n: int = 500,
    seed: int = 0,
    tiers: Sequence[str] = TIERS,
    denoiser: str = DENOISER,
    place: tuple[int, int, int, int, int] = PLACE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Figures of the three samplers, tier by tier.

    It takes some minutes for each tier on one core: the weights need J at every sample.

    Args:
        n: Samples of each sampler, at least 64; a few times as many as the region has pixels show more.
        seed: Seed of samplers and reference.
        tiers: Tiers to look at.
        denoiser: Name of a shipped denoiser.
        place: z, y0, y1, x0, x1 of the region on the shipped CT, of at most 64 pixels.
        progress: Told what is done.

    Returns:
        What was looked at, and for each tier under ``tiers``: ε in HU, how many dimensions are pinned, how the reference
        fared, the curvature (RMS length of the step that would follow the swap, in standard deviations of the law), the
        share of samples that settled, the effective share of the weights, and under ``samplers`` what `figures` measures of
        each sampler and of ``"chance"``: independent samples of the reference.

    Raises:
        InputError: The region is too large, too few samples are asked, or a library is missing.
    """
    from ctinv.denoiser import load_denoiser
    from ctinv.io.dicom import read_series
    from ctinv.resources import ct_folder
    from ctinv.volume import Box

    if n < _FEWEST:
        raise InputError(
            f"expected at least {_FEWEST} samples, got {n}; fewer show nothing in {_FEWEST} pixels."
        )
    volume, network, box = read_series(ct_folder() / "quarter_dose"), load_denoiser(denoiser), Box(*place)
    found: dict[str, Any] = {}
    for index, tier in enumerate(tiers):
        if progress is not None:
            progress(f"{denoiser} at {tier}", index / len(tiers))
        found[tier] = _of_tier(network, volume, box, tier, n, seed)
    return {
        "denoiser": denoiser,
        "box": str(box),
        "pixels": box.shape[0] * box.shape[1],
        "n": n,
        "tiers": found,
    }


def _of_tier(network: Denoiser, volume: Volume, box: Box, tier: str, n: int, seed: int) -> dict[str, Any]:
    from ctinv.sampler.sampler import InvarianceSampler
    from ctinv.validation.reference import reference

    prepared = InvarianceSampler(network, tier=tier, device="cpu", cache=False).prepare(volume, box)
    corrector = prepared.corrector
    drawn, facts = _draw(prepared, n, seed)
    law = reference(corrector, _CHAINS * n, seed=seed, method="whitened", chains=_CHAINS)
    moments = law.chains[1:].reshape(-1, corrector.factor.pixels)
    drawn["chance"] = law.chains[0]
    return {
        "tolerance_hu": corrector.factor.tolerance,
        "d_eff": corrector.factor.d_eff,
        "reference": {"accepted": law.accepted, "r_hat": law.r_hat},
        **facts,
        "samplers": {name: figures(one, moments, seed=seed) for name, one in drawn.items()},
    }


def _draw(prepared: Prepared, n: int, seed: int) -> tuple[dict[str, Array], dict[str, float]]:
    """The samples of the three samplers, and how they fared."""
    from ctinv.fibre.rows import RowSeeds
    from ctinv.fibre.settle import settle
    from ctinv.fibre.weights import effective_size, log_weights
    from ctinv.validation.problems.contract import Drawn
    from ctinv.validation.problems.setup import flat

    corrector, rows, seeds = prepared.corrector, range(n), RowSeeds(seed, "nonlinear", "place")
    candidates = prepared.generator.candidates(rows, seeds)
    product, _, _ = corrector.correct(candidates, rows, seeds)
    swapped = settle(corrector, candidates, rows, seeds, steps=0)
    settled = settle(corrector, candidates, rows, seeds)
    weights = np.where(settled.arrived.numpy(), log_weights(corrector, settled.x_tilde), -np.inf)
    x = flat(settled.x_tilde)
    drawn = {"product": flat(product), "settled": x, "weighted": Drawn(x, weights).thinned(seed=seed)}
    return drawn, {
        "curvature": float(swapped.change.square().mean().sqrt()),
        "settled_share": float(settled.arrived.double().mean()),
        "effective_share": effective_size(weights) / n,
    }


def figures(samples: Array, law: Array, *, seed: int = 0) -> dict[str, float]:
    """How far (n, d) samples are from (m, d) samples of the law.

    Returns:
        ``"c2st"``: accuracy of a classifier, 0.5 where none can tell them apart. ``"mahalanobis"``: mean squared
        distance in the law's estimated moments, by d; beyond 1 by chance too, as the moments are estimated.
        ``"std_ratio"``: RMS over pixels of the standard deviation over the law's. ``"mean_shift"``: RMS over pixels of the
        difference of means over the law's standard deviation. ``"n"``: samples that were looked at.
    """
    size = min(len(samples), len(law))
    mean, covariance = law.mean(0), np.cov(law.T)
    std = np.sqrt(np.diag(covariance))
    spaced = law[np.linspace(0, len(law) - 1, size).astype(int)]  # of all chains
    white = [whiten(one, mean, covariance) for one in (samples[:size], spaced)]
    return {
        "n": len(samples),
        "c2st": c2st(white[0], white[1], seed=seed),
        "mahalanobis": float(mahalanobis(samples, mean, covariance).mean() / len(mean)),
        "std_ratio": float(np.sqrt(np.mean((samples.std(0, ddof=1) / std) ** 2))),
        "mean_shift": float(np.sqrt(np.mean(((samples.mean(0) - mean) / std) ** 2))),
    }
