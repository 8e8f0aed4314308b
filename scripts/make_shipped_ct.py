"""Make the CT that travels with the package, in ``data/``: 16 slices of a public scan and their quarter dose.

Needs the scan chest_lidc1 of ``fetch_public_ct.py``; writes data/full_dose and data/quarter_dose as fresh
DICOM series without any identity. The files come out the same each time.

    python scripts/make_shipped_ct.py [--cache DIR] [--out DIR]
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from fetch_public_ct import AIR_HU, default_cache, raw_files

from ctinv.io.dicom import read_series
from ctinv.io.dicom_write import write_series
from ctinv.simulate import photons_from_tags, simulate_low_dose
from ctinv.volume import Volume

SLICES = slice(42, 58)  # liver, heart, lung bases, spine and ribs
DOSE, SEED = 0.25, 20250
SOURCE = "TCIA LIDC-IDRI, CC BY 3.0"
SOFT_TISSUE_WINDOW, LUNG_WINDOW = (40.0, 400.0), (-600.0, 1500.0)


def series(scan: Volume) -> tuple[Volume, Volume]:
    """Full and quarter dose; padding outside the field of view becomes air in both."""
    full = scan[SLICES]
    acquisition = replace(full.acquisition, window=(SOFT_TISSUE_WINDOW, LUNG_WINDOW), dose_fraction=1.0)
    photons = photons_from_tags(acquisition, full.spacing[1])
    # A neutral name takes the place of the public UID, so that nothing in the files leads back to it.
    full = replace(full, uid="ctinv shipped CT", acquisition=replace(acquisition, photons=photons))
    low = simulate_low_dose(full, dose=DOSE, seed=SEED, workers=2)
    return without_padding(full), without_padding(replace(low, uid=full.uid))


def without_padding(volume: Volume) -> Volume:
    padded = volume.hu < AIR_HU - 500
    return volume.with_hu(np.where(padded, np.float32(AIR_HU), volume.hu))


def write(volume: Volume, folder: Path, title: str, derived: dict[str, object]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    facts = {"source": SOURCE, "slices": f"{SLICES.start}-{SLICES.stop - 1} of 133", **derived}
    write_series(
        volume, folder, description=title, derived=facts, compress=True, seed_text=f"ctinv shipped CT {title}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder of the fetched scans")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "data", help="where to write"
    )
    options = parser.parse_args()
    full, low = series(read_series(raw_files("chest_lidc1", options.cache)))
    write(full, options.out / "full_dose", "CT chest, full dose", {"dose": 1})
    facts = {
        "dose": DOSE,
        "seed": SEED,
        "photons": f"{low.acquisition.photons:.6g}",
        "noise": "projection domain",
    }
    write(low, options.out / "quarter_dose", "CT chest, simulated quarter dose", facts)


if __name__ == "__main__":
    main()
