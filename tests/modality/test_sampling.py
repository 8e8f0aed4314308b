"""Certified invariances of MR and PET images by the public API; every figure in the image's own unit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from modality_scans import SIGMA, blur, head, mr_scan, pet_scan, save

from ctinv.errors import InputError
from ctinv.io import read
from ctinv.sampler import InvarianceSampler, Samples, Store
from ctinv.sampler.certify import recertify
from ctinv.sampler.run import sample_into
from ctinv.volume import Box, Volume

BOX = Box(1, 60, 80, 30, 50)


@pytest.fixture(scope="module")
def mr(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return read(save(mr_scan(), tmp_path_factory.mktemp("mr") / "head.npy"), modality="MR")


@pytest.fixture(scope="module")
def samples(mr: Volume) -> Samples:
    return InvarianceSampler(blur(1.5, unit="a.u."), tier="T2", device="cpu").sample(mr, BOX, n=30)


def test_mr_samples_are_certified_in_their_own_unit(mr: Volume, samples: Samples) -> None:
    assert all(one.passed for one in samples.certificates)
    record = samples.provenance
    assert (record.unit, record.tolerance_unit, record.window_source) == (
        "a.u.",
        "a.u.",
        "percentiles 1 to 99",
    )
    low, high = np.percentile(mr.hu, [1, 99])
    assert record.window_hu == pytest.approx(high - low)
    assert record.step == pytest.approx(np.ptp(mr.hu) / 4096)
    assert samples.summary()["unit"] == "a.u."
    assert "Rician" in record.noise["source"]
    assert record.noise["sigma"] == pytest.approx(SIGMA, rel=0.05)
    # The scan is as plausible as scans of a known C are, and the samples differ from it.
    assert samples.setting.scalars["chi2_per_n_scan"] == pytest.approx(1.0, abs=0.2)
    assert samples.summary()["chi2_per_n"] == pytest.approx(1.0, abs=0.25)
    assert samples.summary()["spread_hu"] > 3.0
    # The grid of the samples spoils neither T1 nor the noise.
    quantum = samples.setting.quantum
    assert quantum <= min(record.step / 8, SIGMA / 64)
    assert np.array_equal(np.rint(samples.x_tilde / quantum) * quantum, samples.x_tilde)


def test_an_mr_study_is_stored_and_certifies(mr: Volume, tmp_path: Path) -> None:
    denoiser = blur(1.5)
    path = tmp_path / "mr.zarr"
    list(sample_into(path, InvarianceSampler(denoiser, tier="T1", device="cpu"), mr, BOX, n=4))
    study = Store.open(path)
    assert (study.setting.volume.modality, study.setting.volume.unit) == ("MR", "a.u.")
    assert all(one.passed for one in study.certificates)
    assert recertify(study, denoiser)[1]
    attributes = json.loads((path / "x_tilde" / "zarr.json").read_text())["attributes"]
    assert attributes["unit"] == "a.u."
    samples = InvarianceSampler(denoiser, tier="T1", device="cpu").sample(mr, BOX, n=2)
    changed = samples.x_tilde.copy()
    changed[1, 0, 5, 5] += SIGMA
    assert not recertify(replace(samples, x_tilde=changed), denoiser)[1]


def test_a_wrong_noise_level_shows_in_the_scans_own_chi2(mr: Volume) -> None:
    sampler = InvarianceSampler(blur(1.5), device="cpu", noise_sigma=2 * SIGMA)
    found = sampler.prepare(mr, BOX).setting.scalars["chi2_per_n_scan"]
    assert found == pytest.approx(0.25, abs=0.06)


def test_a_denoiser_of_another_unit_is_refused(mr: Volume) -> None:
    with pytest.raises(InputError, match="made for images in HU"):
        InvarianceSampler(blur(1.5, unit="HU"), device="cpu").sample(mr, BOX, n=1)


@pytest.mark.parametrize(
    ("settings", "match"), [({"photons": 1e5}, "no photons"), ({"noise_sigma": -1}, "above 0")]
)
def test_knowledge_that_does_not_fit(mr: Volume, settings: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        InvarianceSampler(blur(1.5), device="cpu", **settings).sample(mr, BOX, n=1)  # type: ignore[arg-type]


def test_pet_samples_are_certified(tmp_path: Path) -> None:
    scan = read(save(pet_scan(), tmp_path / "pet.npy"), modality="PT")
    box = Box(0, 70, 90, 40, 60)
    samples = InvarianceSampler(blur(6.0), tier="T3", device="cpu").sample(scan, box, n=10)
    assert all(one.passed for one in samples.certificates)
    assert samples.provenance.unit == "Bq/ml"
    assert "PET" in samples.provenance.noise["source"]
    # f keeps much of noise that is as wide as its own blur, so the residual of the scan is less than its noise.
    assert 0.3 < samples.setting.scalars["chi2_per_n_scan"] < 1.6


def test_scaling_an_image_scales_every_figure(mr: Volume, tmp_path: Path) -> None:
    """The unit is a convention: nothing may depend on whether an image is stored in thousands or in units."""
    thousandth = mr.with_hu(mr.hu / np.float32(1024))
    denoiser = blur(1.5)
    fine = blur(1.5)
    fine.std = denoiser.std / 1024
    one = InvarianceSampler(denoiser, device="cpu").sample(mr, BOX, n=3)
    other = InvarianceSampler(fine, device="cpu").sample(thousandth, BOX, n=3)
    assert other.provenance.tolerance * 1024 == pytest.approx(one.provenance.tolerance, rel=1e-3)
    assert other.summary()["chi2_per_n"] == pytest.approx(one.summary()["chi2_per_n"], rel=0.1)
    assert other.summary()["spread_hu"] * 1024 == pytest.approx(one.summary()["spread_hu"], rel=0.1)
    assert [c.tier for c in other.certificates] == [c.tier for c in one.certificates]
    assert recertify(other, fine)[1]


def test_head_is_what_the_scan_shows() -> None:
    assert np.abs(mr_scan(5.0).hu[0] - head()).mean() < 8.0
