"""Low-dose insertion in the projection domain, and phantoms with known truth."""

from __future__ import annotations

import lazy_loader

_PUBLIC = {
    "geometry": ["ParallelGeometry", "MU_WATER_PER_MM"],
    "projector": ["forward_project", "fbp", "fbp_variance", "fbp_autocovariance"],
    "dose": ["DEFAULT_PHOTONS", "bowtie", "counts", "fit_photons", "line_integrals", "photons_from_tags"],
    "low_dose": [
        "ELECTRONIC_NOISE",
        "HU_PER_MU",
        "inserted_variance",
        "noise_image",
        "scan_variance",
        "simulate_low_dose",
        "slice_generator",
    ],
    "phantom": ["contrast_phantom", "phantom_scan", "water_phantom"],
    "rician": ["add_rician_noise", "rician_mean", "rician_variance"],
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_PUBLIC)
