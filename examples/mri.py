"""Certified invariances of a denoiser of MR images: the same method, another modality.

The denoiser is CNN-10, trained on one brain with added Rician noise (configs/mri_cnn10.toml); the scan is another brain.
Neither brain may be redistributed, so both are fetched, and the weights are trained here, in about four minutes:

    python scripts/prepare_training_data.py brain1 brain2
    ctinv train denoiser --config configs/mri_cnn10.toml --data PAIRS --out RUN
    python examples/mri.py --bundle RUN/mri_cnn10 --pairs PAIRS

It prints one row for each tier, and writes the study of the last one and its overview beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ctinv import Box, InvarianceSampler, load_denoiser
from ctinv.io import read
from ctinv.report import overview
from ctinv.sampler import Samples, Store
from ctinv.sampler.run import sample_into

BOX = Box(11, 96, 160, 96, 160)
"""Deep grey matter, ventricles and white matter, 64 x 64 voxels of 0.78 mm."""


def row(study: Samples | Store) -> str:
    """One line of the table in docs/modalities.md."""
    found, unit = study.summary(), study.provenance.unit
    scan, share = found["chi2_per_n_scan"], 100 * found["free_share"]
    return (
        f"| {found['tier']} | {study.provenance.tolerance:.3g} {unit} | {found['passed']} of {found['n']} "
        f"| {found['nfe_raw']:.2f} | {found['nfe']:.3f} | {found['rmse_hu']['mean']:.3g} | {found['spread_hu']:.3g} "
        f"| {found['chi2_per_n']:.2f} ({scan:.2f}) | {share:.1f} % |"
    )


def main() -> None:
    """Sample, print the table, draw the overview."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, required=True, help="bundle folder of the trained denoiser")
    parser.add_argument("--pairs", type=Path, required=True, help="folder with brain2_low.npy")
    parser.add_argument("--out", type=Path, default=Path("out/mri"), help="folder for the study")
    parser.add_argument("--n", type=int, default=250, help="samples")
    options = parser.parse_args()
    scan = read(options.pairs / "brain2_low.npy", modality="MR")
    denoiser = load_denoiser(options.bundle)
    print("| tier | ε | passed | NFE raw | NFE | RMSE | spread | χ²/n (the scan) | free |")
    print("|---|---|---|---|---|---|---|---|---|")
    for tier in ("T1", "T2", "T3"):
        sampler = InvarianceSampler(denoiser, tier=tier)
        path = options.out / f"{tier}.zarr"
        for _ in sample_into(path, sampler, scan, BOX, n=options.n):
            pass
        study = Store.open(path)
        print(row(study))
    noise = study.provenance.noise
    print(
        f"\nnoise: sigma {noise['sigma']:.1f} in the tissue, {noise['sigma_background'] or 0:.1f} in the background,"
    )
    print(f"{noise['source']}, {noise['spectrum']}; {100 * noise['share_below_3_sigma']:.0f} % below 3 sigma")
    overview(study, options.out / "overview.png", scan_slice=scan.hu[BOX.z])


if __name__ == "__main__":
    main()
