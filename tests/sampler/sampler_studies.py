"""Small synthetic studies: sample k depends on k alone, as with the real sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ctinv.fibre.tiers import Certificate
from ctinv.sampler import Batch, Provenance, Setting
from ctinv.sampler.provenance import hash_series
from ctinv.volume import Acquisition, Box, Volume

UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178"
BOX = Box(3, 20, 52, 30, 54)
HALO = 4


def make_provenance(**changes: Any) -> Provenance:
    record = Provenance(
        series=hash_series(UID),
        box=str(BOX),
        volume_shape=(16, 512, 512),
        affine=(
            (0.0, 0.0, 0.703125, -180.0),
            (0.0, 0.703125, 0.0, -170.1),
            (2.5, 0.0, 0.0, 0.1),
            (0.0, 0.0, 0.0, 1.0),
        ),
        denoiser="cnn10",
        weights_sha256={"model.safetensors": "ab" * 32},
        tap="output",
        generator="renoise",
        tier="T2",
        tolerance=0.451,
        tolerance_unit="HU",
        window_hu=400.0,
        noise={
            "source": "projection re-noising",
            "photons": 1.25e5,
            "dose": "known",
            "sigma_hu": 31.5,
            "bands": [1, 2],
        },
        seed=7,
        n=10,
        device="cpu",
        versions={"ctinv": "0.1.0", "torch": "2.13", "numpy": "2.3", "method": "1"},
    )
    return replace(record, **changes)


def make_setting(box: Box = BOX, *, quantum: float = 0.125, scan_hu: float = 40.0) -> Setting:
    rng = np.random.default_rng(0)
    region, output = box.shape, Box(box.z, box.y0 - HALO, box.y1 + HALO, box.x0 - HALO, box.x1 + HALO)
    context = Box(box.z, box.y0 - 2 * HALO, box.y1 + 2 * HALO, box.x0 - 2 * HALO, box.x1 + 2 * HALO)
    affine = np.array(make_provenance().affine)
    affine[:3, 3] += affine[:3, :3] @ [box.z, box.y0, box.x0]
    hu = rng.normal(scan_hu, 30.0, (1, *region)).astype(np.float32)
    acquisition = Acquisition(kvp=120.0, kernel="STANDARD", window=((40.0, 400.0), (-600.0, 1500.0)))
    eta = rng.random(region).astype(np.float32)
    eta[:3] = np.nan
    return Setting(
        volume=Volume(
            hu, affine, UID, offset=(box.z, box.y0, box.x0), acquisition=acquisition, notes=("Doe_CT.dcm",)
        ),
        fx=rng.normal(size=region).astype(np.float32),
        fx_output=rng.normal(size=output.shape).astype(np.float32),
        output_box=output,
        theory_spread=np.full(region, 12.0, dtype=np.float32),
        eta=eta,
        scalars={
            "chi2_per_n_scan": 0.862,
            "spread_theory_hu": 12.0,
            "d_eff": 512.5,
            "free_share": 0.25,
            "bad": np.nan,
        },
        quantum=quantum,
        context=rng.normal(scan_hu, 30.0, (1, *context.shape)).astype(np.float32),
        context_box=context,
    )


def make_batch(rows: Sequence[int], setting: Setting) -> Batch:
    x_tilde, errors, certificates = [], [], []
    for k in rows:
        rng = np.random.default_rng((7, k))
        sample = setting.volume.hu[0] + rng.normal(0, 12, setting.region)
        q = setting.quantum
        x_tilde.append((np.rint(sample / q) * q + 0.0 if q else sample).astype(np.float32))  # no -0
        errors.append(rng.normal(0, 0.2 + 0.01 * (k % 5), setting.output_box.shape).astype(np.float32))
        certificates.append(make_certificate(k, errors[-1]))
    return Batch(tuple(rows), np.stack(x_tilde), np.stack(errors), tuple(certificates))


def make_certificate(k: int, error: np.ndarray) -> Certificate:
    rmse = float(np.sqrt(np.mean(error.astype(np.float64) ** 2)))
    passed = k % 10 != 9
    return Certificate(
        k=k,
        rmse_hu_raw=8.0 + 0.1 * k,
        nfe_raw=0.99,
        rmse_hu=rmse,
        max_hu=float(np.abs(error).max()),
        p99_hu=float(np.percentile(np.abs(error), 99)),
        nfe=rmse / 8,
        error=rmse,
        chi2_per_n=0.84 + 0.001 * k,
        steps=1 + k % 2,
        tier="T1" if passed else "none",
        passed=passed,
    )


def fill(store: Any, *, size: int = 25, stop: int | None = None) -> None:
    """Append the missing rows in batches, at most up to row `stop`."""
    rows = [k for k in store.missing() if stop is None or k < stop]
    for start in range(0, len(rows), size):
        store.append(make_batch(rows[start : start + size], store.setting))
