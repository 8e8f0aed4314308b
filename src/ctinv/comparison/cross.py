"""Samples of one network fed through another: shared invariances and private ones.

*Measured.* The certified samples of j are fed back through i: RMSE of f_i(x̃_j) - f_i(x), NFE_i, and the share that meets the
tier under i. Null: x plus noise of C given the surroundings, sample by sample as large (RMS in HU) as x̃_j - x. A sample that
hardly differs from x meets every tier, and so does its null; that share alone says nothing. If i sees j's invariances as it
sees any noise of that size, both errors come from one law; the one-sided Mann-Whitney test asks whether those of the samples
are smaller, and the q-values of Benjamini and Hochberg over all ordered pairs control false discoveries.

*Linear theory.* With P_j = (C⁻¹ + J_jᵀJ_j/ε²)⁻¹ the covariance of j's law and d a draw of it,

    overlap(j → i) = E[dᵀP_i d] / E[dᵀP_j d] = tr(P_i P_j) / tr(P_j P_j)

is how freely i's law varies along what j ignores, as a share of how freely j's own does: 1 for the network itself, 0 where i
pins all of it down, above 1 where i leaves it more freely than j. In HU, and not in the whitened metric, so that
directions whose noise lies below ε anyway, which are free for every network, do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest, mannwhitneyu

from ctinv.comparison.look import Images, Look
from ctinv.fibre.measure import measure
from ctinv.fibre.region import Region
from ctinv.statistics.multiple import benjamini_hochberg

Q = 0.05
LEVEL = 0.95


@dataclass(frozen=True)
class Entry:
    """Certified samples of one network, seen by another.

    Attributes:
        samples_of: j.
        seen_by: i.
        n: Certified and plausible samples of j.
        rmse_hu: Mean and largest RMSE of f_i(x̃_j) - f_i(x), over the samples; None without samples.
        nfe: Mean of rmse / (√2·σ_out,i).
        met: How many of the n meet the asked tier under i.
        share: met / n, with ``low`` and ``high`` of its exact 95 % interval (Clopper and Pearson).
        null_rmse_hu: Mean RMSE at i of noise as large as the samples; None on the diagonal.
        null_met: How many of the n nulls meet the tier under i; None on the diagonal.
        p: One-sided Mann-Whitney p-value that i's errors on the samples are smaller than on the nulls.
        q: The same after Benjamini and Hochberg over all ordered pairs.
        overlap: tr(P_i P_j) / tr(P_j P_j), linear theory.
    """

    samples_of: str
    seen_by: str
    n: int
    rmse_hu: dict[str, float] | None
    nfe: float | None
    met: int
    share: dict[str, float] | None
    null_rmse_hu: float | None
    null_met: int | None
    p: float | None
    q: float | None
    overlap: float

    @property
    def seen_by_theory(self) -> float:
        """Share of what j ignores that i sees, linear theory: 1 - overlap, not below 0."""
        return max(0.0, 1.0 - self.overlap)

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return {**vars(self), "seen_by_theory": self.seen_by_theory}


def cross(looks: Mapping[str, Look]) -> list[Entry]:
    """Every network's samples seen by every network; rows of j, columns of i, in the order given."""
    pairs = [(j, i) for j in looks for i in looks]
    raw = {pair: _measured(looks, *pair) for pair in pairs}
    tested = [pair for pair in pairs if raw[pair]["p"] is not None]
    q = (
        dict(zip(tested, benjamini_hochberg([raw[pair]["p"] for pair in tested]), strict=True))
        if tested
        else {}
    )
    overlaps = overlap(looks)
    return [
        Entry(j, i, **raw[j, i], q=float(q[j, i]) if (j, i) in q else None, overlap=overlaps[j, i])
        for j, i in pairs
    ]


def overlap(looks: Mapping[str, Look]) -> dict[tuple[str, str], float]:
    """(j, i) to tr(P_i P_j) / tr(P_j P_j); P = R·Rᵀ, so each trace is ‖R_iᵀR_j‖²."""
    names = list(looks)
    trace: dict[tuple[str, str], float] = {}
    for index, i in enumerate(names):
        for j in names[index:]:
            common = (looks[i].free.T @ looks[j].free).double().square().sum()
            trace[i, j] = trace[j, i] = float(common)
    return {(j, i): trace[i, j] / trace[j, j] for j in names for i in names}


def _measured(looks: Mapping[str, Look], j: str, i: str) -> dict[str, Any]:
    of, by = looks[j], looks[i]
    held = of.holding
    blank = {"rmse_hu": None, "nfe": None, "met": 0, "share": None}
    nothing = {"null_rmse_hu": None, "null_met": None, "p": None}
    if not len(held):
        return {"n": 0, **blank, **nothing}
    if of is by:  # the certificates themselves
        certificates = [of.certificates[k] for k in held]
        return {
            **_seen([c.rmse_hu for c in certificates], sum(c.passed for c in certificates), by),
            **nothing,
        }
    rmse, met = feed(by, of.x_tilde[held])
    null_rmse, null_met = feed(by, as_large(of, held))
    test = mannwhitneyu(rmse, null_rmse, alternative="less")
    null = {"null_rmse_hu": float(np.mean(null_rmse)), "null_met": null_met, "p": float(test.pvalue)}
    return {**_seen(rmse, met, by), **null}


def _seen(rmse: list[float], met: int, by: Look) -> dict[str, Any]:
    interval = binomtest(met, len(rmse)).proportion_ci(LEVEL, method="exact")
    return {
        "n": len(rmse),
        "rmse_hu": {"mean": float(np.mean(rmse)), "max": float(np.max(rmse))},
        "nfe": float(np.mean(rmse)) / (2.0**0.5 * by.rule.sigma_out_hu),
        "met": met,
        "share": {"value": met / len(rmse), "low": float(interval.low), "high": float(interval.high)},
    }


def feed(by: Look, patches: Images) -> tuple[list[float], int]:
    """RMSE of each (h, w) HU image at a network, as a certificate measures it, and how many meet its tier."""
    region = by.region
    images = torch.from_numpy(np.ascontiguousarray(patches))[:, None].to(region.context.device)
    output, inner = region.errors(images)
    figures = [measure(region, output[k], inner[k], by.noise_rms) for k in range(len(patches))]
    met = sum(by.rule.met(by.rule.asked, **one) for one in figures)
    return [one["rmse_hu"] for one in figures], met


def as_large(of: Look, held: NDArray[np.intp]) -> Images:
    """x plus noise, sample by sample of the RMS that x̃ - x has."""
    scan = scan_of(of.region)
    size = np.sqrt(np.mean((of.x_tilde[held] - scan).astype(np.float64) ** 2, axis=(1, 2)))
    return scan + of.null[held] * size[:, None, None].astype(np.float32)


def scan_of(region: Region) -> Images:
    """(h, w) HU, x."""
    return np.ascontiguousarray(region.scan[0, 0].cpu().numpy(), dtype=np.float32)
