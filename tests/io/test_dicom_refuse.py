"""Series that must be refused: one sentence, short, that says what is wrong and never who the patient is."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import series
from pydicom import Dataset, Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from ctinv.errors import SeriesError
from ctinv.io.dicom import list_series, read_series


def refused(folder: Path, word: str, **options: object) -> str:
    """The refusal, after checking it is a short sentence without identity."""
    with pytest.raises(SeriesError, match=word) as caught:
        read_series(folder, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert len(text) <= 200, text
    assert text.endswith(".")
    assert series.CANARY not in text
    assert str(folder) not in text
    return text


def put(keyword: str, vr: str, value: object) -> Callable[[Dataset], None]:
    def edit(ds: Dataset) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.add_new(keyword, vr, value)

    return edit


def drop(keyword: str) -> Callable[[Dataset], None]:
    return lambda ds: ds.__delattr__(keyword)


def raw_text(keyword: str, text: str) -> Callable[[Dataset], None]:
    """A number text that pydicom would not take as DS, written under another VR."""

    def edit(ds: Dataset) -> None:
        ds.add_new(keyword, "LO", text.split("\\"))

    return edit


def _modality_lut(ds: Dataset) -> None:
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [2, 0, 16], "HU"
    ds.ModalityLUTSequence = Sequence([item])


def _colour(ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.PixelData = ds.PixelData * 3


def _short_pixels(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-100]


def _long_pixels(ds: Dataset) -> None:
    ds.PixelData = ds.PixelData + b"\0" * 64


def _no_pixels(ds: Dataset) -> None:
    ds.PixelData = b""


# What is spoiled in one slice, and a word of the sentence that must follow.
ONE_SLICE: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "no position": (drop("ImagePositionPatient"), "ImagePositionPatient"),
    "nan position": (raw_text("ImagePositionPatient", "-30\\nan\\5"), "ImagePositionPatient"),
    "far position": (raw_text("ImagePositionPatient", "-30\\1e9\\5"), "ImagePositionPatient"),
    "two coordinates": (raw_text("ImagePositionPatient", "-30\\1"), "ImagePositionPatient"),
    "no orientation": (drop("ImageOrientationPatient"), "ImageOrientationPatient"),
    "skewed orientation": (raw_text("ImageOrientationPatient", "1\\0\\0\\0.3\\1\\0"), "orthonormal"),
    "no spacing": (drop("PixelSpacing"), "PixelSpacing"),
    "zero spacing": (raw_text("PixelSpacing", "0\\0"), "PixelSpacing"),
    "negative spacing": (raw_text("PixelSpacing", "-0.8\\0.7"), "PixelSpacing"),
    "nan spacing": (raw_text("PixelSpacing", "nan\\nan"), "PixelSpacing"),
    "comma spacing": (raw_text("PixelSpacing", "0,8\\0,7"), "PixelSpacing"),
    "underscore spacing": (raw_text("PixelSpacing", "0_8\\0.7"), "PixelSpacing"),
    "no slope": (drop("RescaleSlope"), "RescaleSlope"),
    "zero slope": (raw_text("RescaleSlope", "0"), "RescaleSlope"),
    "nan slope": (raw_text("RescaleSlope", "nan"), "RescaleSlope"),
    "infinite slope": (raw_text("RescaleSlope", "inf"), "RescaleSlope"),
    "overflowing slope": (raw_text("RescaleSlope", "1e400"), "RescaleSlope"),
    "no intercept": (drop("RescaleIntercept"), "RescaleIntercept"),
    "huge intercept": (raw_text("RescaleIntercept", "1e30"), "RescaleIntercept"),
    "implausible HU": (raw_text("RescaleSlope", "900"), "rescale"),
    "other unit": (put("RescaleType", "LO", "Z_EFF"), "RescaleType"),
    "modality LUT": (_modality_lut, "Modality LUT"),
    "magnetic resonance": (put("Modality", "CS", "MR"), "CT"),
    "colour": (_colour, "colour"),
    "17 bits stored": (put("BitsStored", "US", 17), "BitsStored"),
    "high bit": (put("HighBit", "US", 15), "HighBit"),
    "empty pixels": (_no_pixels, "truncated or empty"),
    "short pixels": (_short_pixels, "truncated"),
    "long pixels": (_long_pixels, "header says"),
    "many frames": (put("NumberOfFrames", "IS", "2000000"), "frames"),
}


@pytest.mark.parametrize("where", ["one", "all"])
@pytest.mark.parametrize("name", ONE_SLICE)
def test_spoiled_headers(tmp_path: Path, name: str, where: str) -> None:
    spoil, word = ONE_SLICE[name]

    def edit(z: int, ds: Dataset) -> None:
        if where == "all" or z == 2:
            spoil(ds)

    refused(series.write(series.datasets(edit=edit), tmp_path), word)


def _other_matrix(ds: Dataset) -> None:
    ds.Rows = ds.Rows // 2
    ds.PixelData = ds.PixelData[: len(ds.PixelData) // 2]


# What makes one slice belong to another scan, and what the sentence calls it.
MIXED: dict[str, tuple[Callable[[Dataset], None], str]] = {
    "kernel": (put("ConvolutionKernel", "SH", "B70f"), "kernel"),
    "acquisition": (put("AcquisitionNumber", "IS", 2), "acquisition number"),
    "time point": (put("TemporalPositionIdentifier", "IS", 2), "time point"),
    "patient": (put("PatientID", "LO", f"{series.CANARY}-8"), "patient"),
    "study": (put("StudyInstanceUID", "UI", "1.2.99"), "study"),
    "voltage": (put("KVP", "DS", "80"), "tube voltage"),
    "matrix": (_other_matrix, "image matrix"),
    "flipped": (raw_text("ImageOrientationPatient", "-1\\0\\0\\0\\1\\0"), "orientation"),
    "pixel spacing": (raw_text("PixelSpacing", "0.8\\0.9"), "pixel spacing"),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", MIXED)
def test_one_series_uid_over_several_scans(tmp_path: Path, name: str, count: int) -> None:
    spoil, word = MIXED[name]

    def edit(z: int, ds: Dataset) -> None:
        if z >= 6 - count:
            spoil(ds)

    text = refused(series.write(series.datasets(edit=edit), tmp_path), word)
    assert f"{6 - count} slices" in text


def test_two_phases_at_the_same_places(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path, prefix="a")
    series.write(series.datasets(series.phantom() + 9), tmp_path, prefix="b")
    refused(tmp_path, "duplicate slices")


def test_two_series_are_listed_by_number(tmp_path: Path) -> None:
    series.write(series.datasets(), tmp_path, prefix="a")
    series.write(series.datasets(uid="1.2.3.8")[:4], tmp_path, prefix="b")
    text = refused(tmp_path, "2 CT series")
    assert "#1: 6 slices of 2.50 mm" in text
    assert "#2: 4 slices of 2.50 mm" in text
    assert "1.2.3" not in text
    refused(tmp_path, "does not hold", uid="#3")
    refused(tmp_path, "does not hold", uid=f"{series.CANARY}")


def test_missing_slice(tmp_path: Path) -> None:
    slices = series.datasets()
    del slices[3]
    refused(series.write(slices, tmp_path), "slice is missing: slices 3 and 4 are 5.00 mm apart")
    assert "missing" in list_series(tmp_path)[0].warnings[0]


@pytest.mark.parametrize(("shift", "word"), [(0.4, "uneven"), (-0.06, "uneven"), (-2.5, "duplicate")])
def test_uneven_spacing_and_duplicate_places(tmp_path: Path, shift: float, word: str) -> None:
    def move(z: int, ds: Dataset) -> None:
        if z == 3:
            ds.ImagePositionPatient[2] += shift

    refused(series.write(series.datasets(edit=move), tmp_path), word)


def test_sideways_slice(tmp_path: Path) -> None:
    def move(z: int, ds: Dataset) -> None:
        if z == 3:
            ds.ImagePositionPatient[0] += 4

    refused(series.write(series.datasets(edit=move), tmp_path), "displaced")


def test_tilted_gantry(tmp_path: Path) -> None:
    step = (0.0, 2.5 * np.tan(np.radians(15)), 2.5)
    refused(series.write(series.datasets(step=step), tmp_path), "tilted by 15.0 degrees")


def test_one_slice_of_unknown_thickness(tmp_path: Path) -> None:
    ds = series.datasets()[0]
    del ds.SliceThickness
    refused(series.write([ds], tmp_path), "thickness")


@pytest.mark.parametrize("keep", [150, 400, 700, -300])
def test_cut_off_file(tmp_path: Path, keep: int) -> None:
    """Also in the outermost slice, where a silent skip would leave a shorter, regular series."""
    series.write(series.datasets(), tmp_path)
    victim = tmp_path / "s001.dcm"
    victim.write_bytes(victim.read_bytes()[:keep])
    if keep == 150:  # nothing is left that says CT: skipped, and said
        assert any("unreadable" in note for note in read_series(tmp_path).notes)
    else:
        refused(tmp_path, "s001.dcm")


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=["rle", "jpeg_ls", "jpeg_2000"]
)
@pytest.mark.parametrize("damage", ["truncated", "other size", "claims"])
def test_damaged_compressed_pixels(tmp_path: Path, syntax: str, damage: str) -> None:
    slices = series.datasets()
    for ds in slices:
        ds.compress(syntax, generate_instance_uid=False)
    if damage == "truncated":
        slices[2].PixelData = slices[2].PixelData[: len(slices[2].PixelData) // 2]
    for z, ds in enumerate(slices):
        if damage == "other size" and z == 2:
            ds.PixelData = slices[0].PixelData
        if damage == "other size" or damage == "claims":
            ds.Rows = ds.Columns = 65000 if damage == "claims" else 38
    refused(series.write(slices, tmp_path), r"s\d\d\d.dcm", memory_budget=2**40)


def test_random_damage_never_escapes(tmp_path: Path) -> None:
    """Flipped bytes anywhere in compressed files: read or refused, nothing else."""
    rng = np.random.default_rng(0)
    syntaxes = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
    whole = []
    for syntax in syntaxes:
        ds = series.datasets()[0]
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(tmp_path / "x.dcm", enforce_file_format=True)
        whole.append((tmp_path / "x.dcm").read_bytes())
    read, sentences = 0, []
    for round_ in range(150):
        data = bytearray(whole[round_ % 3])
        for at in rng.integers(132, len(data), size=4):
            data[at] = rng.integers(256)
        (tmp_path / "x.dcm").write_bytes(bytes(data))
        try:
            volume = read_series(tmp_path, memory_budget=2**24)
            assert np.isfinite(volume.hu).all()
            read += 1
        except SeriesError as error:
            sentences.append(str(error))
    assert 0 < read < 150
    assert read + len(sentences) == 150
    assert max(map(len, sentences)) <= 200
    assert series.CANARY not in " ".join(sentences)


def test_missing_codec_names_the_transfer_syntax(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctinv.io import _pixels

    slices = series.datasets()
    for ds in slices:
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
    monkeypatch.setattr(_pixels, "_PLUGINS", ())
    refused(series.write(slices, tmp_path), "JPEG-LS Lossless")


def test_budget_is_checked_before_decoding(tmp_path: Path) -> None:
    text = refused(series.write(series.datasets(), tmp_path), "memory", memory_budget=8 * 6 * 40 * 36 - 1)
    assert "0 MB are allowed" in text
    assert read_series(tmp_path, memory_budget=8 * 6 * 40 * 36).shape == (6, 40, 36)


def test_deflated_bomb(tmp_path: Path) -> None:
    ds = series.datasets()[0]
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    whole = (tmp_path / "a.dcm").read_bytes()
    from ctinv.io._files import _file_meta

    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(2**20)
    bomb = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    (tmp_path / "a.dcm").write_bytes(whole[: _file_meta(whole)[1]] + bomb)
    refused(tmp_path, "deflated")


def test_empty_folder_text_file_and_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no folder")
    refused(tmp_path, "the folder is empty")
    (tmp_path / "scan.dcm").write_text("this is no scan")
    refused(tmp_path, "1 non-DICOM files")
    refused(tmp_path / "scan.dcm", "not a CT image")


def test_scouts_alone_are_no_series(tmp_path: Path) -> None:
    def scout(z: int, ds: Dataset) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    refused(series.write(series.datasets(edit=scout), tmp_path), "6 localizers")


def test_refusals_are_silent_elsewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a warning (an error in this suite) nor a log line quotes a header."""
    caplog.set_level(logging.DEBUG)

    def odd(z: int, ds: Dataset) -> None:
        raw_text("PixelSpacing", f"{series.CANARY}\\0.7")(ds)

    series.write(series.datasets(edit=odd), tmp_path)
    caplog.clear()
    refused(tmp_path, "PixelSpacing")
    assert series.CANARY not in caplog.text
