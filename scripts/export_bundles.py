"""Write finished trainings as the bundles that are shipped: licence, source of the data, classical filters beside.

    python scripts/export_bundles.py RUN [RUN …]

A RUN is the folder that ``ctinv train denoiser --out`` wrote.
"""

# ruff: noqa: E501  # sentences of unknown length

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ctinv.bundle import export_run

ROOT = Path(__file__).parents[1]
CT = (
    "chest_lidc1: LIDC-IDRI-0001, The Cancer Imaging Archive, CC BY 3.0 (Armato et al., doi 10.7937/K9/TCIA.2015.LO9QL9SX). "
    "chest_lung1, chest_lung2: example images of pyradiomics 3.0.1, origin undocumented, not redistributed. abdomen_ts: reference "
    "CT of TotalSegmentator 2.18.0, Apache-2.0. `scripts/fetch_public_ct.py` and `scripts/prepare_training_data.py` make the "
    "pairs again. The CT shipped with the package is 16 slices of chest_lidc1, a training patient."
)
MR = (
    "brain1, brain2: example images of pyradiomics 3.0.1, origin undocumented, not redistributed. `scripts/fetch_public_ct.py` "
    "and `scripts/prepare_training_data.py` make the pairs again."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished training")
    parser.add_argument("--version", default="0.2.0", help="of the bundles")
    options = parser.parse_args()
    beside = json.loads((ROOT / "docs" / "denoisers.json").read_text(encoding="utf-8"))
    for run in options.runs:
        config = json.loads((run / "report.json").read_text(encoding="utf-8"))["config"]
        ct = config["unit"] == "HU"
        export_run(
            run,
            ROOT / "bundles" / config["name"],
            license_text=(ROOT / "LICENSE").read_text(encoding="utf-8"),
            data_source=CT if ct else MR,
            beside=beside if ct else None,
            version=options.version,
        )


if __name__ == "__main__":
    main()
