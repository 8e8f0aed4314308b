"""One case: one generator on one region, its candidates as they are and corrected at one tier."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.denoiser import OUTPUT
from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import NONE, TIERS, Certificate
from ctinv.generators.contract import Proposer, Scene
from ctinv.sampler.batch import BLOCK
from ctinv.scoreboard.texture import low_change, noise_ratio, spread
from ctinv.statistics.ranks import FEWEST, coverage, rank_distance, ranks
from ctinv.statistics.scores import crps, crps_floor, energy_floor, energy_score

Images = NDArray[np.float32]
_C_DRAW = "scoreboard"


@runtime_checkable
class Reconstructs(Protocol):
    """A generator of one region that goes through an autoencoder."""

    def reconstruct(self) -> Tensor:
        """(1, 1, h, w) HU: the scan through encoder and decoder, D(E(x))."""
        ...


@runtime_checkable
class Surrounds(Protocol):
    """A generator of one region that makes what lies around it as well."""

    def around(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        """The candidates with their own surroundings, (B, 1, H2, W2) HU on the region's context box."""
        ...


@dataclass(frozen=True, eq=False)
class Ground:
    """What the samples of one region are compared with.

    Attributes:
        scan: (h, w) HU, x.
        rescans: (m, h, w) HU, held-out re-scans.
        noise: (k, h, w) HU, draws of C given the surroundings, without its mean.
        target: (1, h, w) HU, the full dose y, where it is known.
    """

    scan: Images
    rescans: Images
    noise: Images
    target: Images | None

    def floors(self) -> dict[str, float]:
        """What nothing can beat: scores of the re-scans among each other in HU, and the scan's ranks among them."""
        relative = ranks(self.rescans, self.scan)
        return {
            "energy_hu": energy_floor(self.rescans),
            "crps_hu": crps_floor(self.rescans),
            "rank_distance": rank_distance(relative, len(self.rescans)),
            "coverage": coverage(relative, len(self.rescans)),
        }


def draws_of(noise: SurroundedNoise, shape: tuple[int, int], *, count: int, seeds: RowSeeds) -> Images:
    """(count, h, w) HU: noise of C given the surroundings, without its mean."""
    normal = torch.from_numpy(seeds.normal(range(count), noise.latent, _C_DRAW)).to(noise.mean.device)
    drawn = noise.draw(normal.T) - noise.mean[:, None]
    return _array(drawn.T.reshape(count, *shape))


@dataclass(frozen=True, eq=False)
class Proposals:
    """Candidates of one generator on one region; they depend on no tier, so all tiers share them.

    Attributes:
        images: (whole blocks, 1, h, w) HU, as the sampler draws them, so that they are the rows a study would hold.
        seconds: Once to ``open`` the generator, and to ``propose`` one sample.
        reconstruction_hu: RMSE of D(E(x)) against x where there is an autoencoder.
        seamless_hu: RMSE of f(x_c) - f(x) over the region in HU, each candidate seen with the surroundings that its
            generator made, so that no seam to the scan counts; None for a generator that makes none.
    """

    images: Tensor
    seconds: dict[str, float]
    reconstruction_hu: float | None
    seamless_hu: float | None = None


def propose(proposer: Proposer, scene: Scene, *, n: int, seeds: RowSeeds) -> Proposals:
    """Draw n candidates, filled up to whole blocks."""
    since = time.perf_counter()
    generator = proposer.on(scene)
    opened = time.perf_counter()
    images = torch.cat([generator.candidates(rows, seeds).detach() for rows in _blocks(n)])
    seconds = {"open": opened - since, "propose": (time.perf_counter() - opened) / len(images)}
    error = None
    if isinstance(generator, Reconstructs):
        difference = _array(generator.reconstruct() - scene.region.scan).astype(np.float64)
        error = float(np.sqrt((difference**2).mean()))
    seamless = _seamless(generator, scene, seeds) if isinstance(generator, Surrounds) else None
    return Proposals(images, seconds, error, seamless)


def _seamless(generator: Surrounds, scene: Scene, seeds: RowSeeds) -> float:
    """RMSE of f(x_c) - f(x) over the region, of one block of candidates with their own surroundings."""
    region = scene.region
    images = generator.around(range(BLOCK), seeds)
    square = []
    with torch.inference_mode():
        for part in images.split(region.images_per_pass):
            error = region.look(region.between_neighbours(part), OUTPUT) - region.reference_output
            square.append(error[..., region.halo[0], region.halo[1]].square().mean(dim=(1, 2, 3)))
    return float(torch.cat(square).sqrt().mean())


def score_target(proposals: Proposals, ground: Ground, *, n: int) -> dict[str, Any]:
    """Figures of a generator of images as f should make them: they are compared with y and never fed back."""
    images = _array(proposals.images[:n, 0])
    found: dict[str, Any] = {"n": n, "spread_hu": spread(images)}
    if ground.target is not None and n > 1:
        found |= {"energy_hu": energy_score(images, ground.target), "crps_hu": crps(images, ground.target)}
    return {"domain": "target", "n": n, "raw": found, "seconds": proposals.seconds}


def score_input(
    proposals: Proposals, corrector: Corrector, ground: Ground, *, n: int, seeds: RowSeeds
) -> dict[str, Any]:
    """Figures of a generator of scans: its candidates, and those of them that are certified.

    Returns:
        ``nfe_raw``, ``steps``, ``passes`` (means); ``nfe_seamless``, of candidates with their own surroundings;
        ``certified`` and, of these, ``in_band`` of χ²/n (counts out of `n`); ``reached`` and ``tiers`` (samples by the way
        they arrived and by their best tier); ``raw`` and ``corrected`` (`likeness` with χ²/n, the latter of the certified
        samples alone); ``low_hu``, the low-frequency change of the certified samples before and after;
        ``reconstruction_hu``; ``seconds``, once to ``open`` the generator and per sample for the rest.
    """
    since = time.perf_counter()
    parts = [
        corrector.correct(images, rows, seeds)
        for images, rows in zip(proposals.images.split(BLOCK), _blocks(n), strict=True)
    ]
    seconds = {**proposals.seconds, "correct": (time.perf_counter() - since) / len(proposals.images)}
    chi2 = torch.cat([corrector.chi2_per_n(images) for images in proposals.images.split(BLOCK)])[:n]
    raw, x_tilde = _array(proposals.images[:n, 0]), _array(torch.cat([part[0] for part in parts])[:n, 0])
    certificates = [certificate for part in parts for certificate in part[2]][:n]
    passed = np.array([certificate.passed for certificate in certificates])
    return {
        "domain": "input",
        "n": n,
        **_feedback(certificates),
        "nfe_seamless": _nfe(proposals.seamless_hu, corrector),
        "raw": {**likeness(raw, ground), "chi2_per_n": float(chi2.mean())},
        "corrected": {**likeness(x_tilde[passed], ground), "chi2_per_n": _mean_chi2(certificates)},
        "low_hu": _low_change(raw[passed], x_tilde[passed], ground.scan),
        "reconstruction_hu": proposals.reconstruction_hu,
        "seconds": seconds,
    }


def likeness(images: Images, ground: Ground) -> dict[str, Any]:
    """How much (n, h, w) images in HU are like scans of this patient; of fewer than 20 only their number is told."""
    if len(images) < FEWEST:
        return {"n": len(images)}
    relative = ranks(images, ground.scan)
    return {
        "n": len(images),
        "spread_hu": spread(images),
        "noise_ratio": noise_ratio(images, ground.noise),
        "energy_hu": energy_score(images, ground.rescans),
        "crps_hu": crps(images, ground.rescans),
        "rank_distance": rank_distance(relative, len(images)),
        "coverage": coverage(relative, len(images)),
    }


def _blocks(n: int) -> list[range]:
    """Rows in the blocks that the sampler draws."""
    return [range(start, start + BLOCK) for start in range(0, n, BLOCK)]


def _feedback(certificates: Sequence[Certificate]) -> dict[str, Any]:
    means = {
        name: float(np.mean([getattr(certificate, name) for certificate in certificates]))
        for name in ("nfe_raw", "nfe", "steps", "passes")
    }
    tiers = [certificate.tier for certificate in certificates]
    return {
        **means,
        "certified": sum(certificate.passed for certificate in certificates),
        "in_band": sum(certificate.passed and bool(certificate.in_band) for certificate in certificates),
        "reached": dict(Counter(certificate.reached for certificate in certificates)),
        "tiers": {tier: tiers.count(tier) for tier in (*TIERS, NONE)},
    }


def _nfe(rmse_hu: float | None, corrector: Corrector) -> float | None:
    return None if rmse_hu is None else rmse_hu / (2.0**0.5 * corrector.rule.sigma_out_hu)


def _mean_chi2(certificates: Sequence[Certificate]) -> float | None:
    values = [certificate.chi2_per_n for certificate in certificates if certificate.passed]
    return float(np.mean(values)) if len(values) >= FEWEST else None


def _low_change(raw: Images, x_tilde: Images, scan: Images) -> dict[str, float] | None:
    """Low-frequency change in HU before and after certification; None for fewer than 20 certified samples."""
    if len(raw) < FEWEST:
        return None
    return {"raw": low_change(raw, scan), "certified": low_change(x_tilde, scan)}


def _array(values: Tensor) -> Images:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)
