"""Low-dose insertion in the projection domain, and phantoms with known truth."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "ParallelGeometry": "geometry",
    "MU_WATER_PER_MM": "geometry",
    "forward_project": "projector",
    "fbp": "projector",
    "fbp_variance": "projector",
    "fbp_autocovariance": "projector",
    "DEFAULT_PHOTONS": "dose",
    "bowtie": "dose",
    "counts": "dose",
    "fit_photons": "dose",
    "line_integrals": "dose",
    "photons_from_tags": "dose",
    "ELECTRONIC_NOISE": "low_dose",
    "HU_PER_MU": "low_dose",
    "inserted_variance": "low_dose",
    "noise_image": "low_dose",
    "scan_variance": "low_dose",
    "simulate_low_dose": "low_dose",
    "slice_generator": "low_dose",
    "contrast_phantom": "phantom",
    "phantom_scan": "phantom",
    "water_phantom": "phantom",
    "add_rician_noise": "rician",
    "rician_mean": "rician",
    "rician_variance": "rician",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ctinv.simulate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ctinv.simulate.{_PUBLIC[name]}"), name)
