"""Volumes in any orientation and small real studies of them; voxel values tell where a voxel lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctinv.denoiser import load_denoiser
from ctinv.fibre.tiers import Certificate
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import Batch, InvarianceSampler, Provenance, Setting, Store
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.run import sample_into
from ctinv.volume import Acquisition, Box, Volume

UID = "1.2.826.0.1.3680043.8.498.77"
BOX = Box(4, 10, 26, 12, 22)
HALO = 3

# Columns: the direction in (L, P, S) of one step along z, y, x, in mm.
AXIAL = np.array([[0, 0, 0.7], [0, 0.8, 0], [2.5, 0, 0]])
FEET_FIRST = np.array([[0, 0, -0.7], [0, 0.8, 0], [-2.5, 0, 0]])
SAGITTAL = np.array([[2.5, 0, 0], [0, 0, 0.7], [0, -0.8, 0]])
CORONAL = np.array([[0, 0, 0.7], [2.5, 0, 0], [0, -0.8, 0]])
ORIENTATIONS = {"axial": AXIAL, "feet first": FEET_FIRST, "sagittal": SAGITTAL, "coronal": CORONAL}


def make_volume(matrix: NDArray[np.float64] = AXIAL, shape: tuple[int, int, int] = (9, 40, 36)) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = (-21.3, 14.2, -130.5)
    values = np.random.default_rng(5).permutation(int(np.prod(shape))).reshape(shape) % 2000 - 1000
    acquisition = Acquisition(kvp=120.0, window=((-600.0, 1500.0),))
    return Volume(values.astype(np.float32), affine, UID, acquisition=acquisition)


def make_certificate(k: int, *, passed: bool = True) -> Certificate:
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
    )


def make_store(
    path: Path,
    volume: Volume,
    *,
    rows: int,
    n: int | None = None,
    box: Box = BOX,
    failed: tuple[int, ...] = (),
) -> Store:
    """A study with `rows` finished samples of `n`, of which some failed."""
    region = volume[box]
    output = Box(box.z, box.y0 - HALO, box.y1 + HALO, box.x0 - HALO, box.x1 + HALO)
    eta = np.linspace(0, 1, region.hu.size, dtype=np.float32).reshape(box.shape)
    eta[0] = np.nan
    setting = Setting(
        volume=region,
        fx=region.hu[0] + 1,
        fx_output=volume[output].hu[0] + 1,
        output_box=output,
        theory_spread=np.full(box.shape, 8.0, np.float32),
        eta=eta,
        scalars={"chi2_per_n_scan": 0.86},
    )
    provenance = Provenance(
        series=hash_series(volume.uid),
        box=str(box),
        volume_shape=volume.shape,
        affine=tuple(tuple(row) for row in volume.affine.tolist()),
        denoiser="cnn10",
        weights_sha256={},
        tap="output",
        generator="renoise",
        tier="T2",
        tolerance=0.45,
        tolerance_unit="HU",
        window_hu=400.0,
        noise={"source": "made up for a test"},
        seed=0,
        n=n or rows,
        device="cpu",
        versions={"method": "1"},
    )
    with Store.create(path, provenance, setting, n=n or rows) as store:
        rng = np.random.default_rng(3)
        images = region.hu + np.rint(rng.normal(0, 8, (rows, *box.shape)) * 8) / 8
        errors = rng.normal(0, 0.2, (rows, *output.shape))
        certificates = tuple(make_certificate(k, passed=k not in failed) for k in range(rows))
        batch = Batch(tuple(range(rows)), images.astype(np.float32), errors.astype(np.float32), certificates)
        store.append(batch)
    return Store.open(path)


def sample_cnn10(path: Path, box: Box, *, n: int) -> Path:
    """A study of the shipped scan that CNN-10 was sampled for."""
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    list(sample_into(path, sampler, read_series(ct_folder() / "quarter_dose"), box, n=n))
    return path
