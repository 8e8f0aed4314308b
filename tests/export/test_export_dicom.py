"""Derived series and parametric maps: numbers, places, identifiers, words, and what a validator says."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from export_studies import (
    BOX,
    HALO,
    ORIENTATIONS,
    dicom_files,
    make_scan,
    make_study,
    map_values,
    validator_errors,
)
from highdicom.pm.sop import pmread
from pydicom import Dataset, config, dcmread

from ctinv.errors import InputError, SeriesError
from ctinv.export import Wanted, export_study
from ctinv.export.dicom import slope_for
from ctinv.io.dicom import read_series
from ctinv.io.dicom_write import write_series
from ctinv.io.parametric_map import Grid, write_parametric_map
from ctinv.io.units import SPREAD, ucum
from ctinv.sampler import Samples

needs_validator = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed"
)


@pytest.fixture(scope="module", params=sorted(ORIENTATIONS))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Samples, Path]:
    """A study in each orientation, exported as series and as maps."""
    study, out = make_study(make_scan(request.param)), tmp_path_factory.mktemp("out")
    export_study(study, out / "series", to="dicom")
    export_study(study, out / "maps", to="parametric-map")
    return study, out


def test_values_come_back_within_half_a_quantum_at_their_place(exported: tuple[Samples, Path]) -> None:
    study, out = exported
    expected = {f"sample_{k:04d}": study.read(k) for k in study.rows}
    expected |= {"scan": study.setting.volume.hu[0], "denoised": study.setting.fx, "mean": study.mean()}
    assert {path.name for path in (out / "series").iterdir()} == set(expected)
    for name, hu in expected.items():
        back = read_series(out / "series" / name)
        assert np.abs(back.hu[0] - hu).max() <= study.setting.quantum / 2, name
        # one slice has no direction of its own: the reader's is that of a right-handed grid
        np.testing.assert_allclose(back.affine[:, 1:], study.setting.volume.affine[:, 1:], atol=1e-6)
        if name.startswith("sample"):
            np.testing.assert_array_equal(back.hu[0], hu)  # they lie on the quantum's grid


def test_maps_come_back_to_the_last_bit_at_their_place(exported: tuple[Samples, Path]) -> None:
    study, out = exported
    scan = np.array(study.provenance.affine)
    corners = {"spread": (BOX.y0, BOX.x0), "eta": (BOX.y0, BOX.x0), "worst": (BOX.y0 - HALO, BOX.x0 - HALO)}
    values = {"spread": study.spread(), "worst": study.worst(), "eta": study.setting.eta}
    for name, (y, x) in corners.items():
        ds = dcmread(out / "maps" / f"{name}.dcm")
        stored, places = map_values(ds)
        np.testing.assert_array_equal(stored[0], values[name])
        np.testing.assert_allclose(places[0], (scan @ [BOX.z, y, x, 1])[:3], atol=1e-6)
        read = pmread(out / "maps" / f"{name}.dcm").get_volume()  # an independent reader
        np.testing.assert_array_equal(read.array[0], values[name])
        np.testing.assert_allclose(read.affine[:3, 1:], map_affine(scan, y, x)[:3, 1:], atol=1e-6)


def map_affine(scan: np.ndarray, y: int, x: int) -> np.ndarray:
    """Affine of a map whose first voxel is row y, column x of the box's slice; one slice has no direction of its own."""
    affine = scan.copy()
    affine[:3, 3] = (scan @ [BOX.z, y, x, 1])[:3]
    return affine


def test_frames_of_a_thick_map_keep_their_places(tmp_path: Path) -> None:
    """highdicom puts frames in the order of their places; each must keep its own values."""
    scan = make_scan("feet first")
    rng = np.random.default_rng(1)
    grid = Grid(rng.random(scan.shape).astype(np.float32), scan.affine, "HU", scan.uid)
    path = write_parametric_map(grid, tmp_path / "a.dcm", quantity=SPREAD, description="x")
    stored, places = map_values(dcmread(path))
    for values, place in zip(stored, places, strict=True):
        index = np.linalg.solve(scan.affine, [*place, 1])
        np.testing.assert_allclose(index[1:3], 0, atol=1e-6)
        np.testing.assert_array_equal(values, grid.values[round(index[0])])


def test_a_map_says_quantity_unit_and_what_is_not_known(exported: tuple[Samples, Path]) -> None:
    _, out = exported
    units = {"spread": "[hnsf'U]", "worst": "[hnsf'U]", "eta": "1"}
    for name, unit in units.items():
        ds = dcmread(out / "maps" / f"{name}.dcm")
        assert (ds.Modality, ds.SOPClassUID.name) == ("OT", "Parametric Map Storage")
        (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
        assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
        assert mapping.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
        stored, _ = map_values(ds)
        assert mapping.DoubleFloatRealWorldValueFirstValueMapped == np.nanmin(stored)
        assert mapping.DoubleFloatRealWorldValueLastValueMapped == np.nanmax(stored)
        assert ("FloatPixelPaddingValue" in ds) == (name == "eta")
        if name == "eta":
            assert np.isnan([ds.FloatPixelPaddingValue, ds.FloatPixelPaddingRangeLimit]).all()
            assert np.isnan(stored[0, 0]).all()
    quantity = dcmread(out / "maps" / "spread.dcm").SharedFunctionalGroupsSequence[0]
    codes = quantity.RealWorldValueMappingSequence[0].QuantityDefinitionSequence
    assert [code.ConceptCodeSequence[0].CodeMeaning for code in codes] == [
        "Attenuation Coefficient",
        "Standard Deviation",
    ]


def test_everything_of_one_scan_is_one_study_and_each_export_has_new_identifiers(tmp_path: Path) -> None:
    study = make_study(make_scan())
    for name in ("a", "b"):
        export_study(study, tmp_path / name, to="dicom")
        export_study(study, tmp_path / f"{name}_maps", to="parametric-map")
    files = [ds for _, ds in dicom_files(tmp_path)]
    assert len({ds.StudyInstanceUID for ds in files}) == 1
    assert len({ds.FrameOfReferenceUID for ds in files}) == 1
    assert len({ds.SOPInstanceUID for ds in files}) == len(files)
    assert len({ds.SeriesInstanceUID for ds in files}) == len(files)  # each series has one slice here
    assert study.setting.volume.uid not in {ds.SeriesInstanceUID for ds in files}


def test_a_seed_text_makes_equal_files(tmp_path: Path) -> None:
    study = make_study(make_scan())
    for name, text in (("a", "demo"), ("b", "demo"), ("c", "other")):
        (tmp_path / name).mkdir()
        for to in ("dicom", "parametric-map"):
            export_study(study, tmp_path / name / to, to=to, seed_text=text)
    files = {
        name: {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path, _ in dicom_files(tmp_path / name)
        }
        for name in "abc"
    }
    assert files["a"] == files["b"]
    assert files["a"].keys() == files["c"].keys()
    assert not any(files["a"][name] == files["c"][name] for name in files["a"])


def test_a_series_says_which_sample_it_is_and_whether_it_passed(tmp_path: Path) -> None:
    study = make_study(make_scan())
    made = export_study(study, tmp_path / "a", to="dicom", wanted=Wanted(samples=(0, 4, 5), images=()))
    assert len(made.files) == 3
    told = {ds.SeriesNumber: ds for _, ds in dicom_files(tmp_path / "a")}
    assert told[100].SeriesDescription == "Sample 0 of 6: tier T2 passed, best tier met: T1"
    assert told[104].SeriesDescription == "Sample 4 of 6: tier T2 passed, implausible by chi2"
    assert told[105].SeriesDescription == "Sample 5 of 6: tier T2 NOT passed, best tier met: none"
    for ds in told.values():
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert "denoiser=cnn10" in ds.DerivationDescription
        assert "ab" * 32 in ds.ContributingEquipmentSequence[0].ContributionDescription


def test_the_dose_goes_with_what_has_its_noise(exported: tuple[Samples, Path]) -> None:
    _, out = exported
    dose = {path.name: read_series(path).acquisition.dose_fraction for path in (out / "series").iterdir()}
    assert {dose[name] for name in dose if name not in ("denoised", "mean")} == {0.25}
    assert dose["denoised"] is dose["mean"] is None


def test_maps_name_the_region_of_the_scan_as_their_source(exported: tuple[Samples, Path]) -> None:
    _, out = exported
    scan = dcmread(out / "maps" / "scan" / "IM0001.dcm")
    for name in ("spread", "worst", "eta"):
        ds = dcmread(out / "maps" / f"{name}.dcm")
        (series,) = ds.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == scan.SeriesInstanceUID
        (groups,) = ds.PerFrameFunctionalGroupsSequence
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == scan.SOPInstanceUID


def source_scan(tmp_path: Path, *, name: str = "Doe^Jane") -> tuple[Samples, Path]:
    """A study of a DICOM series that has a patient, and one of the files of that series."""
    folder = write_series(make_scan(), tmp_path / f"source {name}", description="scan")
    for path, ds in dicom_files(folder):
        ds.PatientName, ds.PatientID, ds.StudyID = name, f"id {name}", "7"
        ds.save_as(path)
    return make_study(read_series(folder)), folder / "IM0003.dcm"


def names(ds: Dataset) -> tuple[str, str]:
    return str(ds.PatientName), str(ds.PatientID)


def test_identity_is_taken_over_only_if_file_and_wish_are_given(tmp_path: Path) -> None:
    study, template = source_scan(tmp_path)
    for to in ("dicom", "parametric-map"):
        for given in ({"template": template}, {"take_over_identity": True}):
            with pytest.raises(InputError, match="only if both are given"):
                export_study(study, tmp_path / "no", to=to, **given)  # type: ignore[arg-type]
        export_study(study, tmp_path / f"alone {to}", to=to)
        export_study(study, tmp_path / f"with {to}", to=to, template=template, take_over_identity=True)
        for _, ds in dicom_files(tmp_path / f"alone {to}"):
            assert names(ds) == ("Anonymous", "ANONYMOUS")
            assert ds.PatientIdentityRemoved == "YES"
        for _, ds in dicom_files(tmp_path / f"with {to}"):
            assert names(ds) == ("Doe^Jane", "id Doe^Jane")
            assert ds.StudyInstanceUID == dcmread(template).StudyInstanceUID
            assert "PatientIdentityRemoved" not in ds
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("to", ["dicom", "parametric-map"])
def test_identity_comes_along_as_the_scanner_wrote_it(tmp_path: Path, to: str) -> None:
    """Letters of many alphabets, and a sex and a day that no standard allows."""
    study, template = source_scan(tmp_path)
    written = dcmread(template)
    with config.disable_value_validation():
        written.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        written.PatientName = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"
        written.PatientSex, written.PatientBirthDate = "X", "1947.03.11"
        written.save_as(template)
    export_study(study, tmp_path / "a", to=to, template=template, take_over_identity=True)
    with config.disable_value_validation():
        for _, ds in dicom_files(tmp_path / "a"):
            assert ds.PatientName == written.PatientName
            assert (ds.PatientSex, ds.PatientBirthDate) == ("X", "1947.03.11")
            assert ds.SpecificCharacterSet == written.SpecificCharacterSet


def test_beside_its_source_everything_names_the_image_of_its_plane(tmp_path: Path) -> None:
    study, template = source_scan(tmp_path)
    original = dcmread(template.with_name(f"IM{BOX.z + 1:04d}.dcm"))
    options = {"template": template, "take_over_identity": True}
    export_study(study, tmp_path / "d", to="dicom", **options)  # type: ignore[arg-type]
    export_study(study, tmp_path / "p", to="parametric-map", **options)  # type: ignore[arg-type]
    for _, ds in dicom_files(tmp_path / "d"):
        (image,) = ds.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["eta.dcm", "spread.dcm", "worst.dcm"]
    for _, ds in dicom_files(tmp_path / "p"):
        (groups,) = ds.PerFrameFunctionalGroupsSequence
        (image,) = groups.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == original.SeriesInstanceUID


def test_another_patients_file_is_refused(tmp_path: Path) -> None:
    study, _ = source_scan(tmp_path)
    _, other = source_scan(tmp_path, name="Roe^Richard")
    with pytest.raises(InputError, match="belongs to another series") as told:
        export_study(study, tmp_path / "a", to="dicom", template=other, take_over_identity=True)
    assert "Roe" not in str(told.value)
    assert not (tmp_path / "a").exists()


@needs_validator
def test_the_validator_finds_no_error(exported: tuple[Samples, Path]) -> None:
    _, out = exported
    found = {str(path.relative_to(out)): validator_errors(path) for path, _ in dicom_files(out)}
    assert len(found) == 13
    assert {name: errors for name, errors in found.items() if errors} == {}


@needs_validator
def test_the_validator_finds_no_error_beside_a_source(tmp_path: Path) -> None:
    study, template = source_scan(tmp_path)
    for to in ("dicom", "parametric-map"):
        export_study(study, tmp_path / to, to=to, template=template, take_over_identity=True)
        for path, _ in dicom_files(tmp_path / to):
            assert validator_errors(path) == [], path.name


def test_a_step_is_doubled_until_the_values_fit() -> None:
    assert slope_for(np.array([-1024.0, 4095.0], np.float32), 0.125) == 0.125
    assert slope_for(np.array([-1024.0, 8000.0], np.float32), 0.125) == 0.25
    assert slope_for(np.array([-5000.0, 0.0], np.float32), 0.125) == 0.25
    assert slope_for(np.array([0.0, 1.0], np.float32), 0.0) == 0.125


def test_a_unit_without_a_code_is_refused() -> None:
    with pytest.raises(InputError, match="no UCUM code"):
        ucum("furlong")


def test_a_map_that_is_known_nowhere_is_refused(tmp_path: Path) -> None:
    scan = make_scan()
    grid = Grid(np.full((1, 4, 5), np.nan, np.float32), scan.affine, "1", scan.uid)
    with pytest.raises(InputError, match="no value anywhere"):
        write_parametric_map(grid, tmp_path / "a.dcm", quantity=SPREAD, description="x")
    assert list(tmp_path.iterdir()) == []


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    affine = make_scan().affine.copy()
    affine[1, 0] = 0.7
    with pytest.raises(SeriesError, match="sheared"):
        write_parametric_map(
            Grid(np.ones((2, 4, 5), np.float32), affine, "1", "x"),
            tmp_path / "a.dcm",
            quantity=SPREAD,
            description="x",
        )
