"""Make the low-/full-dose pairs the denoisers are trained, validated and tested on.

For each fetched scan: NAME_low.npy and NAME_full.npy (n, Y, X, float32, HU) and NAME.json (spacing, dose,
photons, seed, slices). An MR image has no dose and no absolute unit: it is scaled so that the median of its
foreground is 500, and its noisy side has Rician noise.

    python scripts/prepare_training_data.py [--cache DIR] [--out DIR] [chest_lidc1 …]
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fetch_public_ct import SCANS, default_cache, fetch, is_whole, write_array, write_text

from ctinv.simulate import add_rician_noise, simulate_low_dose
from ctinv.training.digest import digest_of_facts
from ctinv.volume import Acquisition, Volume

log = logging.getLogger("prepare_training_data")
DOSE = 0.25
MR_MEDIAN = 500.0
MR_BACKGROUND = 0.1  # share of the 99th percentile below which a voxel is no tissue


@dataclass(frozen=True)
class Recipe:
    """How one patient is used."""

    seed: int
    step: int  # every n-th slice; neighbours differ little
    photons: str | None  # None: from the dose tags; "fit": from the scan's own noise
    rician_sigma: float = 0.0  # of an MR image, where the median of the foreground is 500


RECIPES = {
    "chest_lidc1": Recipe(1, 2, None),
    "chest_lung1": Recipe(2, 2, "fit"),
    "chest_lung2": Recipe(3, 2, "fit"),
    "abdomen_ts": Recipe(4, 1, "fit"),
    "brain1": Recipe(5, 1, None, rician_sigma=40.0),
    "brain2": Recipe(6, 1, None, rician_sigma=40.0),
}


def read_scan(voxels: Path) -> Volume:
    """A fetched scan as a volume."""
    facts = json.loads(voxels.with_suffix(".json").read_text(encoding="utf-8"))
    affine = np.eye(4)[[2, 1, 0, 3]] * np.array([*facts["spacing_mm"], 1.0])
    tags = {key: facts.get(key) for key in ("kvp", "exposure_mas", "slice_thickness_mm", "kernel")}
    modality = "CT" if SCANS[facts["name"]].unit == "HU" else "MR"
    return Volume(
        np.load(voxels).astype(np.float32),
        affine,
        f"public:{facts['name']}",
        acquisition=Acquisition(**tags),
        modality=modality,
    )


def prepare(name: str, cache: Path, out: Path, *, workers: int) -> None:
    """Simulate and write one patient, unless it is there."""
    low_path, full_path, facts_path = out / f"{name}_low.npy", out / f"{name}_full.npy", out / f"{name}.json"
    if is_whole(low_path, full_path, facts=facts_path):
        log.info("%s is there", name)
        return
    recipe = RECIPES[name]
    scan = read_scan(fetch(name, cache))
    kept = np.arange(0, scan.shape[0], recipe.step)
    affine = scan.affine @ np.diag([recipe.step, 1.0, 1.0, 1.0])
    full = replace(scan, hu=scan.hu[kept], affine=affine)
    if full.modality == "MR":
        full, made = scaled(full)
        low = add_rician_noise(full, sigma=recipe.rician_sigma, seed=recipe.seed)
        made |= {"rician_sigma": recipe.rician_sigma}
    else:
        low = simulate_low_dose(full, dose=DOSE, seed=recipe.seed, photons=recipe.photons, workers=workers)
        made = {"dose": DOSE, "photons_low": low.acquisition.photons}
    write_array(low_path, low.hu)
    write_array(full_path, full.hu)
    facts = {
        "name": name,
        "split": SCANS[name].split,
        "licence": SCANS[name].licence,
        "spacing_mm": list(scan.spacing),
        "unit": full.unit,
        **made,
        "seed": recipe.seed,
        "slices": kept.tolist(),
        "note": low.notes[-1],
    }
    facts["sha256"] = digest_of_facts(facts, low_path, full_path)
    write_text(facts_path, json.dumps(facts, indent=1))
    log.info("%s: %d pairs, %s", name, len(kept), low.notes[-1])


def scaled(scan: Volume) -> tuple[Volume, dict[str, float]]:
    """An MR image with the median of its foreground at 500, and by what it was multiplied."""
    foreground = scan.hu[scan.hu > MR_BACKGROUND * np.percentile(scan.hu, 99)]
    scale = MR_MEDIAN / float(np.median(foreground))
    return scan.with_hu(scan.hu * np.float32(scale)), {"scale": scale}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which scans: {', '.join(RECIPES)}; default all"
    )
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the fetched scans")
    parser.add_argument("--out", type=Path, help="folder for the pairs; default CACHE/pairs")
    parser.add_argument("--workers", type=int, default=2, help="slices at the same time")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    unknown = set(options.names) - set(RECIPES)
    if unknown:
        raise SystemExit(f"unknown scan {', '.join(sorted(unknown))}; choose from {', '.join(RECIPES)}.")
    out = options.out or options.cache / "pairs"
    out.mkdir(parents=True, exist_ok=True)
    for name in options.names or RECIPES:
        prepare(name, options.cache, out, workers=options.workers)


if __name__ == "__main__":
    main()
