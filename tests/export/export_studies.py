"""Studies of scans in any orientation, and what the tests of the export share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Batch, Provenance, Samples, Setting
from ctinv.sampler.provenance import hash_series
from ctinv.volume import Acquisition, Box, Volume

SHAPE = (9, 40, 36)
BOX = Box(4, 10, 26, 12, 22)
HALO = 3
# Columns: the direction in (L, P, S) of one step along z, y, x, in mm.
ORIENTATIONS = {
    "axial": np.array([[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]]),
    "feet first": np.array([[0, 0, -0.7], [0, 0.8, 0], [-2.5, 0, 0]]),
    "sagittal": np.array([[2.5, 0, 0], [0, 0, 0.7], [0, -0.8, 0]]),
    "coronal": np.array([[0, 0, 0.7], [2.5, 0, 0], [0, -0.8, 0]]),
}


def make_scan(orientation: str = "axial", *, uid: str = "1.2.826.0.1.3680043.8.498.77") -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[orientation]
    affine[:3, 3] = (-21.3, 14.2, -130.5)
    values = np.random.default_rng(5).permutation(int(np.prod(SHAPE))).reshape(SHAPE) % 2000 - 1000
    facts = Acquisition(
        kvp=120.0, kernel="STANDARD", dose_fraction=0.25, photons=1e5, window=((-600.0, 1500.0),)
    )
    return Volume(values.astype(np.float32), affine, uid, acquisition=facts)


def make_study(
    scan: Volume, *, rows: int = 6, quantum: float = 0.125, domain: str = "input", eta: bool = True
) -> Samples:
    """A study of made-up samples; the last one does not pass, the one before is implausible."""
    region = scan[BOX]
    output = Box(BOX.z, BOX.y0 - HALO, BOX.y1 + HALO, BOX.x0 - HALO, BOX.x1 + HALO)
    lesions = np.linspace(0, 1, region.hu.size, dtype=np.float32).reshape(BOX.shape)
    lesions[0] = np.nan
    rng = np.random.default_rng(3)
    setting = Setting(
        volume=region,
        fx=region.hu[0] + rng.normal(0, 3, BOX.shape).astype(np.float32),
        fx_output=scan[output].hu[0],
        output_box=output,
        theory_spread=np.full(BOX.shape, 8.0, np.float32),
        eta=lesions if eta else None,
        scalars={"chi2_per_n_scan": 0.86},
        quantum=quantum,
    )
    provenance = Provenance(
        series=hash_series(scan.uid),
        box=str(BOX),
        volume_shape=scan.shape,
        affine=tuple(tuple(row) for row in scan.affine.tolist()),
        denoiser="cnn10",
        weights_sha256={"model.safetensors": "ab" * 32},
        tap="output",
        generator="renoise",
        tier="T2",
        tolerance=0.45,
        tolerance_unit=scan.unit,
        window_hu=400.0,
        noise={"source": "made up for a test"},
        seed=0,
        n=max(rows, 1),
        device="cpu",
        versions={"method": "1"},
        unit=scan.unit,
        domain=domain,
    )
    noise = rng.normal(0, 8, (rows, *BOX.shape))
    step = quantum or 1e-6
    images = (np.rint((region.hu + noise) / step) * step).astype(np.float32)
    errors = rng.normal(0, 0.2, (rows, *output.shape)).astype(np.float32)
    certificates = tuple(make_certificate(k, rows, target=domain == "target") for k in range(rows))
    batches = [Batch(tuple(range(rows)), images, errors, certificates)] if rows else []
    return Samples.collect(batches, setting, provenance)


def make_certificate(k: int, rows: int, *, target: bool) -> Certificate:
    if target:
        return Certificate.of_target(k)
    passed = k != rows - 1
    return Certificate(
        k=k,
        rmse_hu_raw=8.0,
        nfe_raw=0.99,
        rmse_hu=0.2 + 0.01 * k,
        max_hu=0.9,
        p99_hu=0.6,
        nfe=0.03,
        error=0.2,
        chi2_per_n=0.86,
        steps=1,
        tier="T1" if passed else "none",
        passed=passed,
        in_band=k != rows - 2,
    )


def dicom_files(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    """Every DICOM file below a folder."""
    for path in sorted(folder.rglob("*.dcm")):
        yield path, dcmread(path)


def validator_errors(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    said = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    return [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]


def map_values(ds: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Values (Z, Y, X) of a parametric map as the file has them, and the place of each frame's first voxel in mm."""
    shape = (int(ds.NumberOfFrames), ds.Rows, ds.Columns)
    places = [
        group.PlanePositionSequence[0].ImagePositionPatient for group in ds.PerFrameFunctionalGroupsSequence
    ]
    return np.frombuffer(ds.FloatPixelData, "<f4").reshape(shape), np.array(places, dtype=np.float64)
