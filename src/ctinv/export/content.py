"""The arrays of a study with their places, units and words, in the same form for every format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.fibre.tiers import Certificate
from ctinv.io.units import ETA, SPREAD, WORST, Quantity
from ctinv.report import Study
from ctinv.volume import Box

QUANTITIES: Mapping[str, Quantity] = {"spread": SPREAD, "worst": WORST, "eta": ETA}
TITLES: Mapping[str, str] = {
    "scan": "Scan x in the region",
    "denoised": "Denoised f(x) in the region",
    "mean": "Mean of the samples",
    **{name: quantity.title for name, quantity in QUANTITIES.items()},
}


def image_of(study: Study, name: str) -> NDArray[np.float32]:
    """(1, h, w) in the unit of the scan: ``scan``, ``denoised`` or ``mean``."""
    if name == "scan":
        return study.setting.volume.hu
    return (study.setting.fx if name == "denoised" else study.mean())[None]


def map_of(study: Study, name: str) -> tuple[NDArray[np.float32], NDArray[np.float64], str]:
    """Values (1, h, w), affine and unit of ``spread``, ``worst`` or ``eta``; NaN where nothing is known."""
    setting = study.setting
    if name == "worst":
        return study.worst()[None], affine_of(study, setting.output_box), setting.volume.unit
    if name == "spread":
        return study.spread()[None], setting.volume.affine, setting.volume.unit
    assert setting.eta is not None
    return setting.eta[None], setting.volume.affine, "1"


def affine_of(study: Study, box: Box) -> NDArray[np.float64]:
    """Affine of a box of the scan, index (z, y, x, 1) inside it to mm (LPS)."""
    affine = np.array(study.provenance.affine, dtype=np.float64)
    affine[:3, 3] += affine[:3, :3] @ np.array([box.z, box.y0, box.x0], dtype=np.float64)
    return affine


def standing(certificate: Certificate, asked: str) -> str:
    """Whether a sample holds, in a few ASCII words: for a description of at most 64 characters."""
    if certificate.tier == "target":
        return "target domain, not fed back"
    if not certificate.passed:
        return f"tier {asked} NOT passed, best tier met: {certificate.tier}"
    if certificate.in_band is False:
        return f"tier {asked} passed, implausible by chi2"
    return f"tier {asked} passed, best tier met: {certificate.tier}"


def facts_of(study: Study) -> dict[str, object]:
    """How everything in the study was made, as plain facts without any identity."""
    provenance = study.provenance
    return {
        "study": provenance.key(),
        "denoiser": provenance.denoiser,
        "tap": provenance.tap,
        "generator": provenance.generator,
        "tier": provenance.tier,
        "tolerance": f"{provenance.tolerance:.4g} {provenance.tolerance_unit}",
        "region": provenance.box,
        "seed": provenance.seed,
        "samples": len(study.certificates),
        "weights_sha256": provenance.weights_sha256,
    }


def sample_facts(certificate: Certificate, asked: str) -> dict[str, object]:
    """What the certificate of one sample says."""
    figures = {
        "rmse_hu": certificate.rmse_hu,
        "max_hu": certificate.max_hu,
        "nfe": certificate.nfe,
        "chi2_per_n": certificate.chi2_per_n,
    }
    return {
        "sample": certificate.k,
        "certificate": standing(certificate, asked),
        **{name: f"{value:.4g}" for name, value in figures.items() if math.isfinite(value)},
    }


def certificates_of(study: Study, rows: tuple[int, ...]) -> list[dict[str, Any]]:
    """The certificates of some samples as JSON values, in the order of `rows`."""
    known = {one.k: one for one in study.certificates}
    return [{**asdict(known[k]), "is_invariance": known[k].is_invariance} for k in rows]
