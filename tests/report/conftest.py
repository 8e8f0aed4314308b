"""A real study on the shipped CT, whose files name a patient who must not appear anywhere, and its report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from report_studies import ANALYSES, BOX, CANARY, FIRST, SLICES, Made, N

from ctinv.denoiser import load_denoiser
from ctinv.io import read
from ctinv.report.build import Report, build
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler, Samples, Store
from ctinv.sampler.certify import recertify
from ctinv.sampler.run import sample_into


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Thirty samples of three slices of the shipped CT, renamed to a patient with a telling name."""
    folder = tmp_path_factory.mktemp(CANARY) / "series"
    folder.mkdir()
    slices = [
        pydicom.dcmread(path) for path in (ct_folder() / "quarter_dose").iterdir() if path.suffix == ".dcm"
    ]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    for index, one in enumerate(slices[FIRST : FIRST + SLICES]):
        one.PatientName, one.PatientID = f"{CANARY}^Anna", f"{CANARY}-4711"
        one.StudyDescription, one.InstitutionName = f"{CANARY} thorax", f"{CANARY} hospital"
        one.save_as(folder / f"{CANARY}_{index}.dcm")
    volume = read(folder)
    denoiser = load_denoiser("cnn10")
    sampler = InvarianceSampler(denoiser, device="cpu")
    path = tmp_path_factory.mktemp("study") / f"{CANARY}.zarr"
    list(sample_into(path, sampler, volume, BOX, n=N))
    return Made(volume, folder, denoiser, sampler, Store.open(path))


@pytest.fixture(scope="session")
def report(made: Made) -> Report:
    """Its report."""
    return build(made.store, denoiser=made.denoiser, analyses=ANALYSES)


@pytest.fixture(scope="session")
def plain(samples: Samples) -> Report:
    """One without its denoiser and so without analyses: fewer pictures."""
    return build(samples, absent="it is elsewhere.", analyses=[])


@pytest.fixture(scope="session")
def samples(made: Made) -> Samples:
    """The same samples in memory."""
    return Samples.collect(made.store.batches(), made.store.setting, made.store.provenance)


@pytest.fixture(scope="session")
def failed(made: Made, samples: Samples) -> Samples:
    """One sample is no invariance, with the certificate it deserves; another is called implausible."""
    images = samples.x_tilde.copy()
    images[4, 0] += 40.0 * np.eye(BOX.shape[0], dtype=np.float32)
    changed = replace(samples, x_tilde=images)
    certificates, agree = recertify(changed, made.denoiser)
    assert not agree
    certificates[7] = replace(certificates[7], in_band=False)
    return replace(changed, certificates=tuple(certificates))
