"""The spectrum of A = J C^½ and d_eff(ε), and what the set-up costs (figures 6 and 7)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ctinv.fibre.dimension import Spectrum
from ctinv.fibre.factor import Factor
from ctinv.fibre.memory import estimate_bytes
from ctinv.report.arrays import pack

if TYPE_CHECKING:
    from ctinv.analysis.subject import Subject
    from ctinv.report.overview import Study

_CURVE = 81


def spectrum(subject: Subject) -> dict[str, Any]:
    """Singular values of A in the unit of ε, d_eff over ε, and the figures of every tier.

    Raises:
        InputError: The region is too large for a dense decomposition.
    """
    corrector = subject.corrector
    found, response = Spectrum.of(corrector), corrector.noise_rms
    values = np.sqrt(found.values.cpu().numpy()[::-1]) / response
    tiers = corrector.rule.tolerances()
    low, high = tiers[0][1] / 3.0, max(tiers[-1][1], 0.1 * float(values[0])) * 10.0
    curve = np.geomspace(low, high, _CURVE)
    power = found.band_power()
    rows = []
    for name, epsilon in tiers:
        free = found.free(epsilon * response)
        shares = {band: float((part * free).sum() / part.sum()) for band, part in power.items()}
        rows.append(
            {
                "name": name,
                "eps": epsilon,
                "d_eff": found.d_eff(epsilon * response),
                "free_share": float(free.mean()),
                "spread_hu": found.spread(epsilon * response),
                "bands": shares,
            }
        )
    return {
        "pixels": len(values),
        "singular_values": pack(values),
        "eps": curve.tolist(),
        "d_eff": [found.d_eff(float(epsilon) * response) for epsilon in curve],
        "tiers": rows,
        "noise_spread_hu": found.noise_spread,
    }


def memory(subject: Subject) -> dict[str, int]:
    """Bytes: the estimate of the peak that is checked before a set-up, and what the kept factor takes."""
    factor = subject.corrector.factor
    kept = 0
    if isinstance(factor, Factor):
        parts: list[torch.Tensor] = [factor.half_gain, factor.noise.root]
        kept = sum(part.element_size() * part.nelement() for part in parts)
    return {"set_up_estimate": estimate_bytes(subject.corrector.region), "factor": kept}


def costs(study: Study, subject: Subject | None) -> dict[str, Any]:
    """Seconds per stage as the study keeps them, bytes on disk, and bytes of memory where the region is at hand."""
    path = getattr(study, "path", None)
    stored = None
    if isinstance(path, Path):
        stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {
        "seconds": study.summary()["seconds"],
        "device": study.provenance.device,
        "stored_bytes": stored,
        "memory_bytes": memory(subject) if subject is not None else None,
    }
