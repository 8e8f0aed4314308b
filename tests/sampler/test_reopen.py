"""A stored study is analysed without its scan: the same region, the same K, the same C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ctinv
from ctinv.analysis.subject import Subject
from ctinv.errors import StoreError
from ctinv.fibre.rows import RowSeeds
from ctinv.resources import ct_folder
from ctinv.sampler.reopen import reopen
from ctinv.sampler.run import sample_into

BOX = ctinv.Box(8, 184, 200, 160, 178)


@pytest.fixture(scope="module")
def scan() -> ctinv.Volume:
    return ctinv.read(ct_folder() / "quarter_dose")


@pytest.fixture(scope="module")
def sampler() -> ctinv.InvarianceSampler:
    return ctinv.InvarianceSampler(ctinv.load_denoiser("cnn10"), tier="T2")


@pytest.fixture(scope="module")
def study(
    scan: ctinv.Volume, sampler: ctinv.InvarianceSampler, tmp_path_factory: pytest.TempPathFactory
) -> ctinv.Store:
    path: Path = tmp_path_factory.mktemp("reopen") / "study.zarr"
    for _ in sample_into(path, sampler, scan, BOX, n=30, seed=3):
        pass
    return ctinv.Store.open(path)


def test_the_same_region_is_set_up_again(
    scan: ctinv.Volume, sampler: ctinv.InvarianceSampler, study: ctinv.Store
) -> None:
    prepared = sampler.prepare(scan, BOX)
    corrector, covariance = reopen(study, ctinv.load_denoiser("cnn10"), cache=False)
    region = prepared.corrector.region
    assert (corrector.region.box, corrector.region.output_box) == (region.box, region.output_box)
    assert torch.equal(corrector.region.reference, region.reference)
    np.testing.assert_array_equal(covariance.dense(BOX), prepared.covariance.dense(BOX))
    torch.testing.assert_close(corrector.noise.mean, prepared.corrector.noise.mean)
    torch.testing.assert_close(corrector.factor.half_gain, prepared.corrector.factor.half_gain)
    assert corrector.chi2_expected == pytest.approx(prepared.corrector.chi2_expected, rel=1e-6)


def test_the_same_samples_are_drawn_again(study: ctinv.Store, sampler: ctinv.InvarianceSampler) -> None:
    corrector, _ = reopen(study, ctinv.load_denoiser("cnn10"))
    seeds = RowSeeds(3, study.provenance.series, str(BOX))
    noise = corrector.noise
    rows = range(25)
    normal = torch.from_numpy(seeds.normal(rows, noise.latent, "candidate"))
    drawn = noise.draw(normal.T).T.reshape(25, 1, *BOX.shape)
    x_tilde, _, _ = corrector.correct(corrector.clean + drawn, rows, seeds)
    np.testing.assert_array_equal(x_tilde[4, 0].numpy(), study.read(4))


def test_the_factor_comes_from_the_cache(study: ctinv.Store, tmp_path: Path) -> None:
    phrases: list[str] = []
    reopen(study, ctinv.load_denoiser("cnn10"), progress=lambda phrase, _: phrases.append(phrase))
    assert "factorising" not in phrases  # the sampling run has left it there


def test_a_subject_holds_what_is_certified(study: ctinv.Store) -> None:
    subject = Subject.of_study(study, ctinv.load_denoiser("cnn10"))
    assert subject.x_tilde.shape == (30, *BOX.shape)
    assert subject.left_out == 0
    np.testing.assert_array_equal(subject.scan, study.setting.volume.hu[0])
    np.testing.assert_array_equal(subject.clean, study.setting.fx)
    assert subject.spacing_mm == study.setting.volume.spacing[1:]
    deviation = subject.noise(range(400)) - subject.corrector.noise.mean.reshape(BOX.shape).numpy()
    root = subject.corrector.noise.root
    expected = root.square().sum(1).sqrt().reshape(BOX.shape).numpy()
    assert np.median(deviation.std(0) / expected) == pytest.approx(1.0, abs=0.03)


def test_failures_and_implausible_samples_are_left_out(study: ctinv.Store) -> None:
    samples = ctinv.Samples.collect(study.batches(), study.setting, study.provenance)
    spoiled = list(samples.certificates)
    spoiled[1] = replace(spoiled[1], passed=False)
    spoiled[7] = replace(spoiled[7], in_band=False)
    subject = Subject.of_study(replace(samples, certificates=tuple(spoiled)), ctinv.load_denoiser("cnn10"))
    assert subject.left_out == 2
    assert not {1, 7} & set(subject.rows)


def test_an_older_study_says_so(study: ctinv.Store) -> None:
    older = ctinv.Samples.collect(study.batches(), replace(study.setting, noise=None), study.provenance)
    with pytest.raises(StoreError, match="before studies kept the noise covariance"):
        Subject.of_study(older, ctinv.load_denoiser("cnn10"))


def test_another_network_is_refused(study: ctinv.Store) -> None:
    with pytest.raises(StoreError, match="receptive field"):
        reopen(study, ctinv.load_denoiser("wganvgg"))
