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

from ctinv.fibre.correct import Corrector
from ctinv.fibre.covariance import SurroundedNoise
from ctinv.fibre.rows import RowSeeds
from ctinv.fibre.tiers import NONE, TIERS, Certificate
from ctinv.generators.contract import Generator, Proposer, Scene
from ctinv.sampler.sampler import BLOCK
from ctinv.scoreboard.ranks import FEWEST, coverage, rank_distance, ranks
from ctinv.scoreboard.scores import crps, crps_floor, energy_floor, energy_score
from ctinv.scoreboard.texture import low_change, noise_ratio, spread

Images = NDArray[np.float32]
_C_DRAW = "scoreboard"


@runtime_checkable
class Reconstructs(Protocol):
    """A generator of one region that goes through an autoencoder."""

    def reconstruct(self) -> Tensor:
        """(1, 1, h, w) HU: the scan through encoder and decoder, D(E(x))."""
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


def score_target(
    proposer: Proposer, scene: Scene, ground: Ground, *, n: int, seeds: RowSeeds
) -> dict[str, Any]:
    """Figures of a generator of images as f should make them: they are compared with y and never fed back."""
    since = time.perf_counter()
    generator = proposer.on(scene)
    opened = time.perf_counter()
    images = np.concatenate([_candidates(generator, rows, seeds)[1] for rows in _blocks(n)])[:n]
    seconds = {"open": opened - since, "propose": (time.perf_counter() - opened) / (len(_blocks(n)) * BLOCK)}
    found: dict[str, Any] = {"n": n, "spread_hu": spread(images)}
    if ground.target is not None and n > 1:
        found |= {"energy_hu": energy_score(images, ground.target), "crps_hu": crps(images, ground.target)}
    return {"domain": "target", "n": n, "raw": found, "seconds": seconds}


def score_input(
    proposer: Proposer, scene: Scene, corrector: Corrector, ground: Ground, *, n: int, seeds: RowSeeds
) -> dict[str, Any]:
    """Figures of a generator of scans: its candidates, and those of them that are certified.

    Returns:
        ``nfe_raw``, ``steps``, ``passes`` (means); ``certified`` and, of these, ``in_band`` of χ²/n (counts out of `n`);
        ``reached`` and ``tiers`` (samples by the way they arrived and by their best tier); ``raw`` and ``corrected``
        (`likeness` with χ²/n, the latter of the certified samples alone); ``low_kept``; ``reconstruction_hu`` where there
        is an autoencoder; ``seconds``, once to ``open`` the generator and per sample for the rest.
    """
    since = time.perf_counter()
    generator = proposer.on(scene)
    opened, seconds = time.perf_counter() - since, {"propose": 0.0, "correct": 0.0}
    parts = [_corrected(generator, corrector, rows, seeds, seconds) for rows in _blocks(n)]
    raw, x_tilde = (np.concatenate([part[side] for part in parts])[:n] for side in (0, 1))
    chi2 = np.concatenate([part[2] for part in parts])[:n]
    certificates = [certificate for part in parts for certificate in part[3]][:n]
    passed = np.array([certificate.passed for certificate in certificates])
    found = {
        "domain": "input",
        "n": n,
        **_feedback(certificates),
        "raw": {**likeness(raw, ground), "chi2_per_n": float(chi2.mean())},
        "corrected": {**likeness(x_tilde[passed], ground), "chi2_per_n": _mean_chi2(certificates)},
        "low_kept": _kept(raw[passed], x_tilde[passed], ground.scan),
        "seconds": {
            "open": opened,
            **{stage: value / (len(parts) * BLOCK) for stage, value in seconds.items()},
        },
    }
    if isinstance(generator, Reconstructs):
        error = _array(generator.reconstruct()[0, 0]) - ground.scan
        found["reconstruction_hu"] = float(np.sqrt((error.astype(np.float64) ** 2).mean()))
    return found


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


def _corrected(
    generator: Generator, corrector: Corrector, rows: range, seeds: RowSeeds, seconds: dict[str, float]
) -> tuple[Images, Images, NDArray[np.float32], list[Certificate]]:
    """Candidates, x̃, χ²/n of the candidates and certificates of one block; the times are added up."""
    since = time.perf_counter()
    candidates, raw = _candidates(generator, rows, seeds)
    between = time.perf_counter()
    x_tilde, _, certificates = corrector.correct(candidates, rows, seeds)
    images = _array(x_tilde[:, 0])
    seconds["propose"] += between - since
    seconds["correct"] += time.perf_counter() - between
    return raw, images, _array(corrector.chi2_per_n(candidates)), certificates


def _candidates(generator: Generator, rows: range, seeds: RowSeeds) -> tuple[Tensor, Images]:
    with torch.no_grad():
        candidates = generator.candidates(rows, seeds)
    return candidates, _array(candidates[:, 0])


def _blocks(n: int) -> list[range]:
    """Whole blocks, as the sampler draws them, so that the rows scored are the rows a study would hold."""
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


def _mean_chi2(certificates: Sequence[Certificate]) -> float | None:
    values = [certificate.chi2_per_n for certificate in certificates if certificate.passed]
    return float(np.mean(values)) if len(values) >= FEWEST else None


def _kept(raw: Images, x_tilde: Images, scan: Images) -> float | None:
    """Share of the low-frequency change that certification leaves; None for fewer than 20 certified samples."""
    before = low_change(raw, scan) if len(raw) >= FEWEST else 0.0
    return low_change(x_tilde, scan) / before if before > 0 else None


def _array(values: Tensor) -> Images:
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float32)
