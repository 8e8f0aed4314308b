"""The candidates behind samples are those that were corrected: their feed-back errors are the certified ones."""

from __future__ import annotations

import numpy as np
import pytest

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Samples
from ctinv.sampler.provenance import hash_series
from ctinv.sampler.raw import Candidates
from ctinv.volume import Box, Volume

BOX = Box(10, 210, 226, 150, 168)


@pytest.fixture(scope="module")
def volume() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return load_denoiser("cnn10")


def sampled(denoiser: Denoiser, volume: Volume, generator: str, box: Box = BOX) -> Samples:
    sampler = InvarianceSampler(denoiser, device="cpu", generator=generator)
    return sampler.sample(volume, box, n=3, seed=4)


@pytest.mark.parametrize("generator", ["renoise", "metamer"])
def test_a_study_alone_gives_its_candidates_again(denoiser: Denoiser, volume: Volume, generator: str) -> None:
    samples = sampled(denoiser, volume, generator)
    found = list(Candidates.of(samples, denoiser).draw([2, 0]))
    assert [one.k for one in found] == [2, 0]
    for one in found:
        assert one.agrees
        assert one.rmse_hu == pytest.approx(samples.certificates[one.k].rmse_hu_raw, rel=1e-4)
        assert one.x.shape == BOX.shape
        assert one.error.shape == samples.setting.output_box.shape


def test_a_trained_generator_needs_the_scan_and_no_other_one(denoiser: Denoiser, volume: Volume) -> None:
    samples = sampled(denoiser, volume, "vae_cinn")
    with pytest.raises(InputError, match="open the scan first"):
        Candidates.of(samples, denoiser)
    with pytest.raises(InputError, match="not the scan that was sampled"):
        Candidates.of(samples, denoiser, volume=read_series(ct_folder() / "full_dose"))
    (one,) = Candidates.of(samples, denoiser, volume=volume).draw([1])
    assert one.rmse_hu == pytest.approx(samples.certificates[1].rmse_hu_raw, rel=1e-4)


def test_another_candidate_is_told_apart(denoiser: Denoiser, volume: Volume) -> None:
    samples = sampled(denoiser, volume, "metamer")
    candidates = Candidates.of(samples, denoiser)
    other = RowSeeds(5, hash_series(volume.uid), str(BOX))
    (one,) = Candidates(candidates.region, candidates.generator, other, candidates.certified).draw([0])
    assert not one.agrees
    (unknown,) = candidates.draw([99])
    assert unknown.certified_hu is None
    assert not unknown.agrees


def test_the_candidate_of_a_large_region_needs_no_jacobian(
    denoiser: Denoiser, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise on the torus is known from C alone; taking J for a picture would cost minutes."""
    from ctinv.sampler import gain

    samples = sampled(denoiser, volume, "renoise")
    monkeypatch.setattr(gain, "is_small", lambda region: False)
    monkeypatch.setattr(gain, "take_jacobian", lambda *_, **__: pytest.fail("J was taken"))
    (one,) = Candidates.of(samples, denoiser).draw([0])
    assert np.isfinite(one.x).all()
