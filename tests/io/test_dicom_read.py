"""Series that must be read: right HU, right place for every voxel, nothing about the patient."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import series
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ctinv.io.dicom import list_series, read_series
from ctinv.volume import Volume, series_uid

COS30, SIN30 = np.cos(np.radians(30)), np.sin(np.radians(30))
COS20, SIN20 = np.cos(np.radians(20)), np.sin(np.radians(20))
OBLIQUE = (COS30, SIN30, 0.0, -SIN30 * COS20, COS30 * COS20, SIN20)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def check(volume: Volume, *, orientation: tuple[float, ...] = series.AXIAL, atol: float = 0.0) -> None:
    """HU equal the phantom and every corner is where it was put."""
    np.testing.assert_allclose(volume.hu, series.phantom(), rtol=0, atol=atol)
    corners = np.array([[z, y, x, 1] for z in (0, 5) for y in (0, 39) for x in (0, 35)], dtype=float)
    np.testing.assert_allclose(corners @ volume.affine.T, corners @ series.affine(orientation).T, atol=0.01)


def _reversed_numbers(z: int, ds: Dataset) -> None:
    ds.InstanceNumber = 6 - z


def _slope_per_slice(z: int, ds: Dataset) -> None:
    slope = 2.0 ** (z % 3 - 2)
    ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(-2000 - z)
    series.store(ds, (series.phantom()[z] + 2000 + z) / slope, stored=16)


def _other_intercept(z: int, ds: Dataset) -> None:
    if z == 2:
        ds.RescaleIntercept = "-1000"
        series.store(ds, series.phantom()[z] + 1000)


def _signed(z: int, ds: Dataset) -> None:
    ds.RescaleIntercept = "0"
    series.store(ds, series.phantom()[z], stored=16, signed=True)


def _signed_twelve_bits(z: int, ds: Dataset) -> None:
    """Negative 12-bit numbers whose high nibble was left at zero."""
    ds.RescaleIntercept = "0"
    series.store(ds, series.phantom()[z], stored=12, signed=True)
    raw = np.frombuffer(ds.PixelData, "<u2") & 0x0FFF
    ds.PixelData = raw.tobytes()


def _garbage_high_bits(z: int, ds: Dataset) -> None:
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0xA000).tobytes()


def _monochrome1(z: int, ds: Dataset) -> None:
    ds.PhotometricInterpretation = "MONOCHROME1"


def _jitter(z: int, ds: Dataset) -> None:
    ds.ImagePositionPatient = [float(v) + 0.004 * (-1) ** z for v in ds.ImagePositionPatient]


def _misleading_thickness(z: int, ds: Dataset) -> None:
    ds.SliceThickness, ds.SpacingBetweenSlices = "5", "4"


def _no_extras(z: int, ds: Dataset) -> None:
    for word in (
        "InstanceNumber",
        "AcquisitionNumber",
        "KVP",
        "Exposure",
        "ConvolutionKernel",
        "SliceThickness",
    ):
        delattr(ds, word)
    del ds.WindowCenter, ds.WindowWidth


def _odd_optional(z: int, ds: Dataset) -> None:
    """Nonsense in optional technical facts must not matter."""
    ds.add_new("KVP", "LO", "nan")
    ds.Exposure = 0
    ds.WindowWidth = ["-3", "0"]


EDITS: list[Callable[[int, Dataset], None]] = [
    _reversed_numbers,
    _slope_per_slice,
    _other_intercept,
    _signed,
    _signed_twelve_bits,
    _garbage_high_bits,
    _monochrome1,
    _jitter,
    _misleading_thickness,
    _no_extras,
    _odd_optional,
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda e: e.__name__.strip("_"))
def test_reads_unusual_but_valid_series(tmp_path: Path, edit: series.Edit) -> None:
    check(read_series(series.write(series.datasets(edit=edit), tmp_path)))


@pytest.mark.parametrize("orientation", [OBLIQUE, SAGITTAL, CORONAL], ids=["oblique", "sagittal", "coronal"])
def test_orientation_is_kept_exactly(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    volume = read_series(series.write(series.datasets(orientation=orientation), tmp_path))
    check(volume, orientation=orientation)
    np.testing.assert_allclose(volume.affine, series.affine(orientation), atol=1e-6)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
    ids=["implicit", "big_endian", "deflated", "rle", "jpeg_ls", "jpeg_2000"],
)
def test_transfer_syntaxes_decode_exactly(tmp_path: Path, syntax: str) -> None:
    slices = series.datasets()
    for z, ds in enumerate(slices):
        if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
            ds.compress(syntax, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        if syntax in (ExplicitVRBigEndian, ImplicitVRLittleEndian):
            ds.save_as(
                tmp_path / f"{z}.dcm",
                implicit_vr=syntax == ImplicitVRLittleEndian,
                little_endian=syntax != ExplicitVRBigEndian,
                enforce_file_format=True,
            )
        else:
            ds.save_as(tmp_path / f"{z}.dcm", enforce_file_format=True)
    check(read_series(tmp_path))


def test_enhanced_multiframe_is_read_frame_by_frame(tmp_path: Path) -> None:
    from highdicom.legacy import LegacyConvertedEnhancedCTImage

    def complete(z: int, ds: Dataset) -> None:
        ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20200101"
        ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
        ds.PatientSex = ds.AccessionNumber = ds.StudyID = ds.Manufacturer = ds.PositionReferenceIndicator = ""
        ds.ReferringPhysicianName, ds.BurnedInAnnotation = "", "NO"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]

    slices = series.datasets(edit=complete)
    enhanced = LegacyConvertedEnhancedCTImage(
        legacy_datasets=slices[::-1],
        series_instance_uid="1.2.3.77",
        series_number=3,
        sop_instance_uid="1.2.3.77.1",
        instance_number=1,
    )
    enhanced.save_as(tmp_path / "enhanced.dcm")
    volume = read_series(tmp_path)
    check(volume)
    assert volume.acquisition.kernel == "B30f"


def test_other_files_are_skipped_and_counted(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path)
    (tmp_path / "Thumbs.db").write_bytes(b"junk" * 100)
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "text.dcm").write_text("not a scan")
    (tmp_path / "fake.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"no elements here" * 8)
    scout = series.datasets()[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    series.write([scout], tmp_path, prefix="scout")
    shot = series.datasets(uid="1.2.3.5")[0]
    shot.file_meta.MediaStorageSOPClassUID = shot.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    series.write([shot], tmp_path, prefix="shot")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    volume = read_series(tmp_path)
    check(volume)
    said = " ".join(volume.notes)
    assert "3 non-DICOM files" in said
    assert "1 localizers" in said
    assert "1 screen captures" in said


def test_identical_copies_are_dropped_with_a_note(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path)
    shutil.copy(tmp_path / "s003.dcm", tmp_path / "copy.dcm")
    volume = read_series(tmp_path)
    check(volume)
    assert any("1 identical copies" in note for note in volume.notes)


def test_padding_is_kept_and_counted(tmp_path: Path) -> None:
    def pad(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "0"
        image = series.phantom()[z]
        image[:2] = -2000
        series.store(ds, image, stored=16, signed=True)
        ds.add_new("PixelPaddingValue", "US", 63536)  # -2000, as scanners write it

    volume = read_series(series.write(series.datasets(edit=pad), tmp_path))
    assert (volume.hu[:, :2] == -2000).all()
    assert any(f"{6 * 2 * 36} voxels hold the padding" in note for note in volume.notes)


def test_nothing_about_the_patient_comes_along(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def odd(z: int, ds: Dataset) -> None:
        ds.add_new("StudyDate", "DA", f"{series.CANARY} 1970")

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        series.write(series.datasets(edit=odd), tmp_path)
    caplog.clear()
    volume = read_series(tmp_path)
    said = repr((volume.uid, volume.notes, volume.acquisition, list_series(tmp_path))) + caplog.text
    assert series.CANARY not in said


def test_technical_facts_come_along(tmp_path: Path) -> None:
    acquisition = read_series(series.write(series.datasets(), tmp_path)).acquisition
    assert (acquisition.kvp, acquisition.exposure_mas, acquisition.slice_thickness_mm) == (120.0, 100.0, 5.0)
    assert acquisition.kernel == "B30f"
    assert acquisition.window == ((40.0, 400.0), (-600.0, 1500.0))
    assert acquisition.dose_fraction is None
    assert acquisition.photons is None


def test_exposure_of_another_unit_gives_way_to_time_and_current(tmp_path: Path) -> None:
    def odd_unit(z: int, ds: Dataset) -> None:
        ds.Exposure, ds.ExposureTime, ds.XRayTubeCurrent = 4684, 570, 400

    volume = read_series(series.write(series.datasets(edit=odd_unit), tmp_path))
    assert volume.acquisition.exposure_mas == pytest.approx(228.0)


def test_private_numbers_of_others_are_not_taken_for_ours(tmp_path: Path) -> None:
    def foreign(z: int, ds: Dataset) -> None:
        block = ds.private_block(0x0099, "ACME", create=True)
        block.add_new(0x01, "FD", 0.25)

    volume = read_series(series.write(series.datasets(edit=foreign), tmp_path))
    assert volume.acquisition.dose_fraction is None


def test_one_of_several_series_is_picked_by_number_uid_or_file(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path, prefix="a")
    series.write(series.datasets(series.phantom()[:4] + 50, uid="1.2.3.8"), tmp_path, prefix="b")
    listed = list_series(tmp_path)
    assert [(info.number, info.slices, info.matrix) for info in listed] == [
        (1, 6, (40, 36)),
        (2, 4, (40, 36)),
    ]
    assert listed[0].spacing == pytest.approx((2.5, 0.8, 0.7))
    check(read_series(tmp_path, uid="#1"))
    check(read_series(tmp_path, uid="1.2.3.4"))
    assert read_series(tmp_path, uid="#2").shape == (4, 40, 36)
    assert read_series(tmp_path / "b001.dcm").uid == series_uid("1.2.3.8")


def test_parts_of_a_mixed_series_have_their_own_identity(tmp_path: Path) -> None:
    def sharp(z: int, ds: Dataset) -> None:
        ds.ConvolutionKernel = "B70f"

    series.write(series.datasets(), tmp_path, prefix="a")
    series.write(series.datasets(edit=sharp), tmp_path, prefix="b")
    first, second = read_series(tmp_path, uid="#1"), read_series(tmp_path, uid="#2")
    assert {first.acquisition.kernel, second.acquisition.kernel} == {"B30f", "B70f"}
    assert first.uid != second.uid


def test_a_series_without_uid_is_known_by_its_voxels(tmp_path: Path) -> None:
    def no_uid(z: int, ds: Dataset) -> None:
        ds.SeriesInstanceUID = ""

    volume = read_series(series.write(series.datasets(edit=no_uid), tmp_path))
    check(volume)
    assert volume.uid.startswith("sha256:")


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    volume = read_series(series.write(series.datasets()[:1], tmp_path))
    assert volume.spacing == pytest.approx((5.0, 0.8, 0.7))
    assert any("slice thickness" in note for note in volume.notes)


def test_silence_ends_with_the_last_reader() -> None:
    """Readers in two threads must not leave the process mute."""
    import logging
    import warnings

    from ctinv.io._quiet import quiet

    before, level = list(warnings.filters), logging.getLogger("pydicom").level
    first, second = quiet(), quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not logging.getLogger("pydicom.pixels").isEnabledFor(logging.CRITICAL)
    second.__exit__(None, None, None)
    assert list(warnings.filters) == before
    assert logging.getLogger("pydicom").level == level


def test_windows_carry_their_known_names(tmp_path: Path) -> None:
    def name(_z: int, ds: Dataset) -> None:
        ds.WindowCenterWidthExplanation = ["MEDIASTINUM", f"{series.CANARY} special"]

    volume = read_series(series.write(series.datasets(edit=name), tmp_path))
    assert volume.acquisition.window == ((40.0, 400.0), (-600.0, 1500.0))
    assert volume.acquisition.window_names == ("MEDIASTINUM", "")
