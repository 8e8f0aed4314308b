"""Means and intervals over patients.

Regions of one patient are not independent: they share the scanner, the dose and the anatomy. So a patient is one value, the
mean of its regions, and the interval is that of a bootstrap that draws whole patients (the cluster bootstrap): percentiles
2.5 and 97.5 of the mean of as many patients, drawn with replacement. It describes patients like these; of fewer than three
none is given. With few patients it is too narrow: of normal values such intervals hold the mean in 80 % of studies
with four patients, in 91 % with ten, in 93 % with twenty.

References:
    A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, Cambridge 1997, section 3.8.
    C. A. Field, A. H. Welsh, Bootstrapping clustered data, J R Stat Soc B 69, 2007,
    https://doi.org/10.1111/j.1467-9868.2007.00593.x.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ctinv.errors import InputError

FIGURES = (
    "d_eff",
    "free_share",
    "spread_hu",
    "certified_share",
    "worst_rmse_hu",
    "nfe",
    "eta_min",
    "eta_median",
)
DRAWS = 5000
LEVEL = 0.95
FEWEST = 3
ALL = "all regions"

Region = Mapping[str, Any]


def summarise(regions: Sequence[Region], *, seed: int = 0) -> dict[str, dict[str, dict[str, Any]]]:
    """Network to kind of region, and to `ALL` of them, to figures.

    Args:
        regions: One per region and network, with ``network``, ``patient``, ``case`` and the figures.
        seed: Seed of the bootstrap.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for network in dict.fromkeys(region["network"] for region in regions):
        mine = [region for region in regions if region["network"] == network]
        kinds = dict.fromkeys(region["case"]["kind"] for region in mine)
        groups = {kind: [one for one in mine if one["case"]["kind"] == kind] for kind in kinds}
        found[network] = {
            kind: _group(rows, seed)
            for kind, rows in {**groups, **({ALL: mine} if len(groups) > 1 else {})}.items()
        }
    return found


def _group(regions: Sequence[Region], seed: int) -> dict[str, Any]:
    by_patient: dict[str, list[Region]] = {}
    for region in regions:
        by_patient.setdefault(region["patient"], []).append(region)
    figures = {}
    for name in FIGURES:
        values = {
            patient: [float(row[name]) for row in rows if _known(row[name])]
            for patient, rows in by_patient.items()
        }
        figures[name] = over_patients({patient: some for patient, some in values.items() if some}, seed=seed)
    return {
        "patients": len(by_patient),
        "regions": len(regions),
        **figures,
        "blind": _blind(by_patient),
    }


def over_patients(
    values: Mapping[str, Sequence[float]], *, seed: int = 0, draws: int = DRAWS
) -> dict[str, float | int | None]:
    """Mean over patients of the means of their regions, with its interval.

    Args:
        values: Patient to the values of its regions, at least one each.
        seed: Seed of the bootstrap.
        draws: Bootstrap draws, at least 2000.

    Returns:
        ``mean``, ``low`` and ``high`` (None for fewer than three patients), ``min`` and ``max`` over patients, ``patients``.

    Raises:
        InputError: Fewer than 2000 draws.
    """
    if draws < 2000:
        raise InputError(f"expected at least 2000 draws of the bootstrap, got {draws}.")
    means = np.array([np.mean(some) for some in values.values()], dtype=np.float64)
    if not len(means):
        return {"mean": None, "low": None, "high": None, "min": None, "max": None, "patients": 0}
    low = high = None
    if len(means) >= FEWEST:
        drawn = np.random.default_rng(seed).integers(0, len(means), (draws, len(means)))
        tail = (1.0 - LEVEL) / 2.0
        low, high = (float(end) for end in np.quantile(means[drawn].mean(axis=1), [tail, 1.0 - tail]))
    return {
        "mean": float(means.mean()),
        "low": low,
        "high": high,
        "min": float(means.min()),
        "max": float(means.max()),
        "patients": len(means),
    }


def _blind(by_patient: Mapping[str, Sequence[Region]]) -> dict[str, Any]:
    """Patients in whom f is blind to some disc, with the exact interval of that share (Clopper and Pearson)."""
    known = {
        patient: [row["blind"] for row in rows if row["blind"] is not None]
        for patient, rows in by_patient.items()
    }
    known = {patient: counts for patient, counts in known.items() if counts}
    hit = sum(any(counts) for counts in known.values())
    interval = (
        binomtest(hit, len(known)).proportion_ci(LEVEL, method="exact") if len(known) >= FEWEST else None
    )
    return {
        "discs": sum(sum(counts) for counts in known.values()),
        "patients_with": hit,
        "patients": len(known),
        "low": None if interval is None else float(interval.low),
        "high": None if interval is None else float(interval.high),
    }


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
