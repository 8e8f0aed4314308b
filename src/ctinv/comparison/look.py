"""One network on the common ground: what it leaves free, and its certified samples."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.analysis.blindness import lesion_blindness
from ctinv.analysis.finding import Finding
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.correct import Corrector
from ctinv.fibre.factor import Factor
from ctinv.fibre.region import Region
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import Certificate, TierRule
from ctinv.progress import Progress
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.batch import BLOCK
from ctinv.sampler.maps import rms
from ctinv.sampler.prepare import Prepared, prepare
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.survey import Survey

Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Look:
    """What one network shows.

    Attributes:
        region: The region and the network.
        rule: Its tiers, with its σ_out in the common C.
        noise_rms: Unit of relative errors; 1 at the output.
        figures: σ_out, d_eff, free share, spread and η, as JSON values.
        dimension: One dict per tier with ``name``, ``eps``, ``d_eff``, ``free_share`` and ``bands``.
        lesions: Blindness to lesions, with the maps of η and the contrast-size curve; None where no disc fits.
        free: (n, n) HU, R with R·Rᵀ = (C⁻¹ + JᵀJ/ε²)⁻¹, the covariance of the law of linear theory.
        x_tilde: (n, h, w) HU, all samples in the order of their rows.
        certificates: One per sample.
        null: (n, h, w) HU of unit RMS, noise of C given the surroundings, its mean taken off; the same for all networks.
    """

    region: Region
    rule: TierRule
    noise_rms: float
    figures: dict[str, Any]
    dimension: list[dict[str, Any]]
    lesions: Finding | None
    free: Tensor
    x_tilde: Images
    certificates: tuple[Certificate, ...]
    null: Images

    @property
    def holding(self) -> NDArray[np.intp]:
        """Indices of the samples that hold: certified at the asked tier and plausible by χ²/n."""
        return np.flatnonzero([holds(one) for one in self.certificates])


def holds(certificate: Certificate) -> bool:
    """Whether a sample may be compared: it meets its tier and looks like a scan."""
    return certificate.passed and certificate.in_band is not False


def look(
    sampler: InvarianceSampler, found: Survey, *, n: int, seed: int, progress: Progress | None = None
) -> Look:
    """Set the region up for one network and draw its samples.

    Args:
        sampler: The network's sampler.
        found: The survey on the common ground.
        n: Number of samples.
        seed: Seed of the rows; equal seeds give all networks the same candidates.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The region is too large for a dense factor.
    """
    prepared = prepare(found, sampler.wish, progress=progress)
    corrector = prepared.corrector
    factor = corrector.factor
    if not isinstance(factor, Factor):
        raise InputError(
            "networks are compared on regions up to about 96 x 96 voxels, where their fibres can be laid side by side; "
            "choose a smaller box."
        )
    tolerances = corrector.rule.tolerances()
    rows = prepared.dimension([value for _, value in tolerances])
    seeds = RowSeeds(seed, hash_series(found.volume.uid), str(found.region.box))
    since = time.perf_counter()
    x_tilde, certificates = _samples(prepared, n, seeds, progress)
    seconds = {**prepared.seconds, "samples": time.perf_counter() - since}
    return Look(
        region=corrector.region,
        rule=corrector.rule,
        noise_rms=corrector.noise_rms,
        figures=_figures(prepared, x_tilde, certificates, seconds),
        dimension=[{"name": name, **row} for (name, _), row in zip(tolerances, rows, strict=True)],
        lesions=_lesions(Subject.of(prepared, found.volume), seed, progress),
        free=factor.tolerance * factor.half_gain.T,
        x_tilde=x_tilde,
        certificates=certificates,
        null=_unit_noise(corrector, n, seeds),
    )


def _samples(
    prepared: Prepared, n: int, seeds: RowSeeds, progress: Progress | None
) -> tuple[Images, tuple[Certificate, ...]]:
    """n corrected samples in the sampler's own blocks, so that row k is the one a study would hold."""
    images: list[Images] = []
    certificates: list[Certificate] = []
    for start in range(0, n, BLOCK):
        if progress is not None:
            progress("sampling", start / n)
        rows = range(start, start + BLOCK)
        candidates = prepared.generator.candidates(rows, seeds)
        x_tilde, _, found = prepared.corrector.correct(candidates, rows, seeds)
        images.append(x_tilde[:, 0].cpu().numpy())
        certificates += found
    return np.concatenate(images)[:n], tuple(certificates[:n])


def _lesions(subject: Subject, seed: int, progress: Progress | None) -> Finding | None:
    try:
        return lesion_blindness(subject, seed=seed, progress=progress)
    except InputError:  # the region is smaller than the smallest disc
        return None


def _unit_noise(corrector: Corrector, n: int, seeds: RowSeeds) -> Images:
    """Noise of C of unit RMS, rows of their own: the null of the comparison."""
    noise = corrector.noise
    normal = torch.from_numpy(seeds.normal(range(n), noise.latent, "comparison null")).to(noise.mean.device)
    drawn = (noise.draw(normal.T) - noise.mean[:, None]).T
    unit = drawn / drawn.square().mean(1, keepdim=True).sqrt()
    return np.ascontiguousarray(unit.reshape(n, *corrector.region.shape).cpu().numpy(), dtype=np.float32)


def _figures(
    prepared: Prepared, x_tilde: Images, certificates: tuple[Certificate, ...], seconds: dict[str, float]
) -> dict[str, Any]:
    scalars = prepared.setting.scalars
    held = x_tilde[[holds(one) for one in certificates]]
    names = (
        "sigma_out_hu",
        "d_eff",
        "free_share",
        "spread_theory_hu",
        "chi2_per_n_scan",
        "chi2_per_n_expected",
    )
    return {
        **{name: scalars[name] for name in names},
        "tolerance_hu": prepared.corrector.rule.tolerance,
        "spread_hu": rms(held.std(0, ddof=1)) if len(held) > 1 else None,
        "passed": sum(one.passed for one in certificates),
        "implausible": sum(one.in_band is False for one in certificates),
        "chi2_per_n": float(np.mean([one.chi2_per_n for one in certificates])),
        "seconds": seconds,
    }
