"""Sample k is the same in any company; a stored study continues, certifies, and needs no second look."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError, ResourceError, StoreError
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Store
from ctinv.sampler.certify import recertify
from ctinv.sampler.run import sample_into
from ctinv.volume import Box, Volume

BOX = Box(10, 210, 230, 150, 172)


@pytest.fixture(scope="module")
def scan() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return load_denoiser("cnn10")


@pytest.fixture(scope="module")
def sampler(denoiser: Denoiser) -> InvarianceSampler:
    return InvarianceSampler(denoiser, device="cpu")


def test_sample_k_does_not_depend_on_its_company(sampler: InvarianceSampler, scan: Volume) -> None:
    many = sampler.sample(scan, BOX, n=60, seed=4)
    few = sampler.sample(scan, BOX, n=3, seed=4)
    odd = {
        row: batch.x_tilde[i]
        for batch in sampler.batches(scan, BOX, n=60, seed=4, rows=[41, 7, 26], batch_size=1)
        for i, row in enumerate(batch.rows)
    }
    for row in range(3):
        assert np.abs(many.read(row) - few.read(row)).max() <= 1e-4
    for row in (7, 26, 41):
        assert np.abs(many.read(row) - odd[row]).max() <= 1e-4
    assert (
        many.certificates[7] == next(iter(sampler.batches(scan, BOX, n=60, seed=4, rows=[7]))).certificates[0]
    )


def test_another_seed_gives_other_samples_from_the_same_factor(
    sampler: InvarianceSampler, scan: Volume
) -> None:
    first = sampler.prepare(scan, BOX)
    a, b = sampler.sample(scan, BOX, n=2, seed=0), sampler.sample(scan, BOX, n=2, seed=1)
    assert sampler.prepare(scan, BOX) is first
    assert np.abs(a.read(0) - b.read(0)).max() > 0.5
    assert np.abs(a.read(0) - a.read(1)).max() > 0.5


def test_resuming_gives_the_same_study(sampler: InvarianceSampler, scan: Volume, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.zarr", tmp_path / "broken.zarr"
    list(sample_into(whole, sampler, scan, BOX, n=55, seed=2))
    run = sample_into(broken, sampler, scan, BOX, n=55, seed=2)
    next(run)
    run.close()
    assert len(Store.open(broken).rows) == 25
    rows = [row for batch in sample_into(broken, sampler, scan, BOX, n=55, seed=2) for row in batch.rows]
    assert rows == list(range(25, 55))
    one, other = Store.open(whole), Store.open(broken)
    for k in range(55):
        assert np.array_equal(one.read(k), other.read(k))
    assert one.certificates == other.certificates
    assert np.array_equal(one.spread(), other.spread())
    assert np.isfinite(other.worst()).all()


def test_the_same_request_does_no_work(
    denoiser: Denoiser, scan: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.zarr"
    list(sample_into(path, InvarianceSampler(denoiser, device="cpu"), scan, BOX, n=5))
    again = InvarianceSampler(denoiser, device="cpu")
    monkeypatch.setattr(again, "prepare", lambda *_, **__: pytest.fail("the factor was built for nothing"))
    assert list(sample_into(path, again, scan, BOX, n=5)) == []


def test_a_study_certifies_from_its_images_alone(
    sampler: InvarianceSampler, scan: Volume, denoiser: Denoiser, tmp_path: Path
) -> None:
    path = tmp_path / "study.zarr"
    list(sample_into(path, sampler, scan, BOX, n=6))
    study = Store.open(path)
    found, agree = recertify(study, denoiser)
    assert agree
    assert [c.k for c in found] == list(range(6))
    for new, stored in zip(found, study.certificates, strict=True):
        assert new.rmse_hu == pytest.approx(stored.rmse_hu, abs=1e-3)

    # A certificate that says more than its image holds is caught.
    samples = sampler.sample(scan, BOX, n=3)
    lie = replace(samples.certificates[1], rmse_hu=samples.certificates[1].rmse_hu / 2)
    assert not recertify(
        replace(samples, certificates=(samples.certificates[0], lie, samples.certificates[2])), denoiser
    )[1]
    changed = samples.x_tilde.copy()
    changed[2, 0, 5, 5] += 40.0
    assert not recertify(replace(samples, x_tilde=changed), denoiser)[1]


def test_another_denoiser_is_refused(sampler: InvarianceSampler, scan: Volume) -> None:
    samples = sampler.sample(scan, BOX, n=1)
    with pytest.raises(StoreError, match="receptive field"):
        recertify(samples, load_denoiser("wganvgg"))


def test_provenance_says_where_c_comes_from_and_names_nobody(
    sampler: InvarianceSampler, scan: Volume
) -> None:
    record = json.dumps(sampler.provenance(scan, BOX, n=5, seed=0).to_json())
    assert "re-noising" in record
    assert '"dose": "known"' in record
    assert scan.uid not in record


def test_a_box_that_does_not_fit_is_refused_with_the_number(denoiser: Denoiser, scan: Volume) -> None:
    tight = InvarianceSampler(denoiser, device="cpu", memory_budget=50_000_000)
    with pytest.raises(ResourceError, match=r"GiB .*0\.0 GiB may be used"):
        tight.prepare(scan, BOX)


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (-1, 0), (3, -1), (10**6 + 1, 0)])
def test_numbers_out_of_range(sampler: InvarianceSampler, scan: Volume, n: int, seed: int) -> None:
    with pytest.raises(InputError, match="expected"):
        sampler.sample(scan, BOX, n=n, seed=seed)


def test_a_region_whose_feed_back_no_study_holds_is_refused(
    denoiser: Denoiser, scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The halo counts: a study keeps f(x̃) - f(x) over it."""
    height, width = BOX.shape
    monkeypatch.setattr("ctinv.sampler.survey.MOST_VOXELS", height * width)
    with pytest.raises(InputError, match=rf"{height} x {width} voxels changes f on .* choose a smaller box"):
        InvarianceSampler(denoiser, device="cpu").survey(scan, BOX)


def test_progress_may_stop_a_run(denoiser: Denoiser, scan: Volume) -> None:
    class Stop(Exception):
        pass

    def progress(_text: str, _share: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        InvarianceSampler(denoiser, device="cpu").sample(scan, BOX, n=2, progress=progress)
