"""The CT in data/: what it promises, and that nothing in it leads to a person."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.volume import Box, Volume

SOFT_TISSUE, LUNG_EDGE, BONE = (
    Box.parse(text) for text in ("10,190:254,130:194", "10,262:326,140:204", "10,318:382,220:284")
)
IDENTITY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")
IDENTITY += ("AccessionNumber", "StudyID", "ReferringPhysicianName", "InstitutionName", "StationName")


@pytest.fixture(scope="module")
def full() -> Volume:
    return read_series(ct_folder() / "full_dose")


@pytest.fixture(scope="module")
def quarter() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


def test_both_series_show_the_same_place(full: Volume, quarter: Volume) -> None:
    assert full.shape == quarter.shape == (16, 512, 512)
    np.testing.assert_array_equal(full.affine, quarter.affine)
    assert full.spacing == pytest.approx((2.5, 0.703125, 0.703125))
    assert full.uid != quarter.uid


def test_quarter_dose_doubles_the_noise_and_keeps_the_mean(full: Volume, quarter: Volume) -> None:
    std = quarter[SOFT_TISSUE].hu.std() / full[SOFT_TISSUE].hu.std()
    assert std == pytest.approx(2, rel=0.1)
    noise = quarter.hu - full.hu
    assert abs(noise.mean()) < 0.1
    assert noise[(full.hu > 0) & (full.hu < 150)].std() > 15


def test_dose_is_known(full: Volume, quarter: Volume) -> None:
    assert full.acquisition.photons is not None
    assert quarter.acquisition.photons == pytest.approx(full.acquisition.photons / 4)
    assert (full.acquisition.dose_fraction, quarter.acquisition.dose_fraction) == (1.0, 0.25)
    assert (full.acquisition.exposure_mas, quarter.acquisition.exposure_mas) == (228.0, 57.0)


def test_regions_show_what_their_names_say(full: Volume) -> None:
    soft = full[SOFT_TISSUE].hu
    assert 40 < soft.mean() < 110
    assert soft.std() < 25
    edge = full[LUNG_EDGE].hu
    assert (edge < -700).mean() > 0.2
    assert (edge > 0).mean() > 0.1
    assert (full[BONE].hu > 250).mean() > 0.1


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # header only: nothing here is about its values
def test_headers_hold_no_identity() -> None:
    files = sorted(ct_folder().glob("*_dose/*.dcm"))
    assert len(files) == 32
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        values = {str(header.get(name, "")) for name in IDENTITY}
        assert values <= {"", "Anonymous", "ANONYMOUS"}
        assert header.PatientIdentityRemoved == "YES"
        groups = {element.tag.group for element in header.iterall() if element.tag.is_private}
        assert groups == {0x0099}
        content = path.read_bytes()
        assert b"LIDC-IDRI-0001" not in content
        assert b"1.3.6.1.4.1.14519" not in content  # root of the archive's own UIDs


def test_size_and_attribution() -> None:
    folder = ct_folder()
    assert sum(path.stat().st_size for path in folder.rglob("*.dcm")) <= 14e6
    text = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for words in ("CC BY 3.0", "10.7937/K9/TCIA.2015.LO9QL9SX", "Armato", "Clark", "What was changed"):
        assert words in text
