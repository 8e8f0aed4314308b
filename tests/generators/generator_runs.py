"""Small pairs with the noise of a scanner, and trainings of a few steps on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ctinv.simulate.dose import counts, line_integrals
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.simulate.low_dose import noise_image, scan_variance
from ctinv.training.generator import GeneratorConfig

PHOTONS = 6e3
EDGE = 96
STAGES = {"autoencoder": {"steps": 4}, "flow": {"steps": 4}}
SMALL = {
    "train": ("a",),
    "validate": ("b",),
    "batch": 2,
    "patch": 32,
    "validate_every": 2,
    "validate_patches": 2,
    "save_every": 2,
}


def write_pairs(folder: Path) -> Path:
    """Two patients: a water disc with inserts, at a low and at a high dose."""
    y, x = np.mgrid[:EDGE, :EDGE] - 47.5
    for number, name in enumerate("ab"):
        anatomy = np.where(np.hypot(y, x) < 42, 20.0, -1000.0)
        anatomy += np.where(np.hypot(y - 10 + 5 * number, x) < 7, 60.0, 0.0)
        clean = anatomy.astype(np.float32)
        geometry = ParallelGeometry((EDGE, EDGE), 0.75)
        variance = scan_variance(counts(line_integrals(clean, geometry), geometry, photons=PHOTONS))
        draws = [noise_image(variance, geometry, np.random.default_rng(10 * number + k)) for k in range(4)]
        np.save(folder / f"{name}_low.npy", np.round(clean + np.stack(draws[:2])).astype(np.float32))
        np.save(folder / f"{name}_full.npy", np.round(clean + 0.3 * np.stack(draws[2:])).astype(np.float32))
    return folder


def small_config(kind: str, **changes: Any) -> GeneratorConfig:
    """A training of a few steps."""
    tables: dict[str, Any] = {}
    if kind in ("vae_cinn", "cvae_cinn", "cvae", "vae_y"):
        arguments = {"channels": 8, "depth": 1, "latent": 6, "conditional": kind != "vae_cinn"}
        tables["autoencoder"] = {"steps": 4, "arguments": arguments}
    if kind in ("vae_cinn", "cvae_cinn"):
        tables["flow"] = {"steps": 4, "arguments": {"blocks": 2, "hidden": 8, "features": 8}}
    if kind == "inn":
        small = {"blocks": [1, 1], "hidden": [6, 6], "features": [4, 4]}
        tables["flow"] = {"steps": 4, "arguments": small}
    return GeneratorConfig(kind=kind, **{**SMALL, **tables, **changes})
