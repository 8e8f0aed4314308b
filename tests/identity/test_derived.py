"""A written series says what it is, by attributes of one list, and stands up to a validator."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import canaries
import numpy as np
import pytest
from pydicom import Dataset, config, dcmread

from ctinv import __version__
from ctinv.errors import InputError, SeriesError
from ctinv.io import read
from ctinv.io.dicom_write import write_series
from ctinv.io.identity import (
    HANDED_OVER,
    HEADER_TAGS,
    PRIVATE_GROUP,
    READ,
    WRITTEN,
    Leaves,
    check_written,
    kernel_name,
    tags_of,
    window_name,
)

WEIGHTS = {"model.safetensors": "ab" * 32}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted scan, without the values that no validator would take."""
    folder = tmp_path_factory.mktemp("in")
    for z, ds in enumerate(canaries.slices(canaries.voxels())):
        del ds["FrameOfReferenceUID"], ds["PatientSex"]
        ds.FrameOfReferenceUID, ds.PatientSex = canaries.uid("frame of reference"), "O"
        (folder / f"s{z:03d}.dcm").write_bytes(canaries.encoded(ds))
    return folder


@pytest.fixture(scope="module")
def written(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same scan written without identity, compressed, and beside its source."""
    out, volume = tmp_path_factory.mktemp("out"), read(source)
    facts: dict[str, object] = {"denoiser": "cnn10", "weights_sha256": WEIGHTS}
    template = next(source.iterdir())
    write = {"alone": {}, "compressed": {"compress": True}, "beside": {"template": template}}
    return {
        name: write_series(
            volume, out / name, description="denoised by cnn10", derived=facts, slope=0.125, **more
        )  # type: ignore[arg-type]
        for name, more in write.items()
    }


def first(folder: Path) -> Dataset:
    return dcmread(sorted(folder.iterdir())[0])


@pytest.mark.parametrize("name", ["alone", "compressed", "beside"])
def test_it_says_what_it_is(written: dict[str, Path], name: str) -> None:
    ds = first(written[name])
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    for text in (ds.ImageComments, ds.DerivationDescription):
        assert "Derived or synthetic" in text
        assert "not for diagnosis" in text
        assert __version__ in text
    assert ds.ContentQualification == "RESEARCH"
    assert ds.BurnedInAnnotation == "NO"
    (made,) = ds.ContributingEquipmentSequence
    assert made.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Equipment"
    assert made.SoftwareVersions == __version__
    assert WEIGHTS["model.safetensors"] in made.ContributionDescription


def test_without_a_template_it_says_that_nobody_is_in_it(written: dict[str, Path]) -> None:
    ds = first(written["alone"])
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    assert ds.LongitudinalTemporalInformationModified == "REMOVED"
    assert "SourceImageSequence" not in ds
    names = {element.keyword for element in ds if element.tag.group != PRIVATE_GROUP}
    assert names <= WRITTEN


def test_beside_its_source_it_names_the_image_of_its_plane(written: dict[str, Path], source: Path) -> None:
    originals = {
        float(ds.ImagePositionPatient[2]): ds.SOPInstanceUID for ds in map(dcmread, source.iterdir())
    }
    for path in written["beside"].iterdir():
        ds = dcmread(path)
        (image,) = ds.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == originals[float(ds.ImagePositionPatient[2])]
        assert "PatientIdentityRemoved" not in ds
        assert "DeidentificationMethodCodeSequence" not in ds
        assert {element.keyword for element in ds} <= WRITTEN | set(HANDED_OVER)


@pytest.mark.parametrize("name", ["alone", "compressed"])
def test_every_value_is_valid(written: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.RAISE)
    for path in written[name].iterdir():
        for element in dcmread(path).iterall():
            assert element.value is not None or element.is_empty


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed"
)
def test_the_validator_finds_no_error(written: dict[str, Path], source: Path) -> None:
    assert _errors(sorted(source.iterdir())[1]), "the validator finds nothing at all"
    for folder in written.values():
        for path in folder.iterdir():
            assert _errors(path) == set(), folder.name


def _errors(path: Path) -> set[str]:
    said = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    return {line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")}


def test_burned_in_text_is_refused(tmp_path: Path) -> None:
    slices = canaries.slices(np.zeros((2, 8, 8), np.float32))
    for z, ds in enumerate(slices):
        ds.BurnedInAnnotation = "YES"
        (tmp_path / f"s{z:03d}.dcm").write_bytes(canaries.encoded(ds))
    with pytest.raises(SeriesError, match="burned into its pixels"):
        read(tmp_path)


def test_one_list_decides() -> None:
    assert set(tags_of(READ)) <= set(HEADER_TAGS)
    for keyword in ("PatientAddress", "StudyDescription", "PatientAge", "InstitutionName", "StudyDate"):
        assert keyword not in READ
    assert {READ["PatientName"], READ["PatientID"], READ["SeriesInstanceUID"]} == {Leaves.HASH}
    unlisted = Dataset()
    unlisted.StudyDescription = "knee"
    with pytest.raises(InputError, match="on no list"):
        check_written(unlisted, handed_over=True)
    private = Dataset()
    private.private_block(0x0099, "OTHER", create=True).add_new(0x05, "LO", "knee")
    with pytest.raises(InputError, match="on no list"):
        check_written(private, handed_over=False)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (["B30f"], "B30f"),
        (["Br40d", "3"], "Br40d 3"),
        (["I31f\\3"], "I31f 3"),
        (["FC08-H"], "FC08-H"),
        (["BONEPLUS"], "BONEPLUS"),
        (["STANDARD"], "STANDARD"),
        (["Qr36"], "Qr36"),
        (["UB"], "UB"),
        (["Smith"], None),
        (["B30f Smith"], None),
        (["19470311"], None),
        ([""], None),
        ([], None),
    ],
)
def test_a_kernel_is_a_known_word_or_a_short_code(values: list[str], name: str | None) -> None:
    assert kernel_name(values) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LUNG", "LUNG"),
        ("WINDOW2", "WINDOW2"),
        (" Soft_Tissue ", "Soft Tissue"),
        ("MEDIASTINUM", "MEDIASTINUM"),
        ("Smith", ""),
        ("lung Smith", ""),
        ("Lung 19470311", ""),
        ("WINDOW19470311", ""),
        ("", ""),
    ],
)
def test_the_name_of_a_window_is_of_known_words(text: str, name: str) -> None:
    assert window_name(text) == name
