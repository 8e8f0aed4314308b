"""Patients are opened one by one, never named, counted once, and never dropped in silence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from population_patients import volume, write_array, write_dicom

from ctinv.errors import InputError
from ctinv.io.nifti import write_nifti
from ctinv.population.folder import Scan, Unreadable, entries_of, scans_of, without_names
from ctinv.sampler.provenance import hash_series

NAME = "Zebrafink_Anton"


def test_formats_are_read_and_nobody_is_named(tmp_path: Path) -> None:
    write_array(tmp_path, f"{NAME}_array", 1)
    write_dicom(tmp_path / f"{NAME}_dicom", 2)
    write_nifti(volume(3), tmp_path / f"{NAME}_nifti.nii.gz")
    (tmp_path / f"{NAME}_inside").mkdir()
    write_nifti(volume(4), tmp_path / f"{NAME}_inside" / f"{NAME}.nii.gz")
    found = list(scans_of(tmp_path))
    assert all(isinstance(one, Scan) for one in found), found
    assert [one.name.split("-")[0] for one in found] == ["patient1", "patient2", "patient3", "patient4"]
    assert NAME not in repr(found)
    first = found[0]
    assert isinstance(first, Scan)
    assert first.volume.spacing == pytest.approx((2.5, 1.0, 1.0))
    assert first.name == f"patient1-{hash_series(first.volume.uid)[:8]}"


def test_what_cannot_be_read_is_listed_with_its_reason_and_without_its_name(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.nii.gz").write_bytes(b"nothing")
    (tmp_path / f"{NAME}_text").mkdir()
    (tmp_path / f"{NAME}_text" / f"{NAME}.txt").write_text("a letter")
    (tmp_path / f"{NAME}_two").mkdir()
    for seed in (1, 2):
        write_nifti(volume(seed), tmp_path / f"{NAME}_two" / f"{seed}.nii.gz")
    shutil.copy(write_array(tmp_path, "bare", 5), tmp_path / f"{NAME}_unknown.npy")
    (tmp_path / f"{NAME}_notes.docx").write_bytes(b"x" * 400)
    found = list(scans_of(tmp_path))
    assert [type(one) for one in found].count(Scan) == 1
    listed = [one for one in found if isinstance(one, Unreadable)]
    assert len(listed) == 5
    said = " ".join(one.reason for one in listed)
    assert "spacing_mm" in said
    assert "several scans" in said
    assert "Zebrafink" not in said
    assert "Anton" not in said
    assert all(one.reason.endswith(".") for one in listed)


def test_a_patient_with_two_scans_is_one_patient(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a", 1, patient=("Fink^Anna", "4711"))
    write_dicom(tmp_path / "b", 2, patient=("Fink^Berta", "4712"))
    write_dicom(tmp_path / "c", 3, patient=("Fink^Anna", "4711"))
    write_array(tmp_path, "d", 4, facts={"patient": "same"})
    write_array(tmp_path, "e", 5, facts={"patient": "same"})
    found = [one for one in scans_of(tmp_path) if isinstance(one, Scan)]
    assert [one.patient for one in found] == ["patient1", "patient2", "patient1", "patient3", "patient3"]
    assert len({one.name for one in found}) == 5


def test_the_same_scan_twice_counts_once(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a", 1)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, second = scans_of(tmp_path)
    assert isinstance(first, Scan)
    assert isinstance(second, Unreadable)
    assert first.name in second.reason


def test_of_several_series_one_is_read_only_if_it_is_named(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "one", 1)
    write_dicom(tmp_path / "a" / "two", 2)
    write_dicom(tmp_path / "b", 3)
    alone, other = scans_of(tmp_path)
    assert isinstance(alone, Unreadable)
    assert "#1" in alone.reason
    assert isinstance(other, Scan)
    chosen, other = scans_of(tmp_path, uids=["#2"])
    assert isinstance(chosen, Scan)
    assert isinstance(other, Scan)


def test_a_folder_of_slices_or_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scan"):
        entries_of(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        entries_of(tmp_path / "missing")
    with pytest.raises(InputError, match="folder above"):
        entries_of(write_dicom(tmp_path / "a", 1))


def test_companions_are_no_patients(tmp_path: Path) -> None:
    write_array(tmp_path, "a", 1)
    (tmp_path / "b.mhd").write_text("ObjectType = Image\n")
    (tmp_path / "b.raw").write_bytes(b"0")
    (tmp_path / "loose.json").write_text(json.dumps({}))
    assert [path.name for path in entries_of(tmp_path)] == ["a.npy", "b.mhd", "loose.json"]


def test_numbers_in_a_sentence_stay(tmp_path: Path) -> None:
    entry = tmp_path / "12345678.nii.gz"
    entry.touch()
    said = without_names("'12345678.nii.gz' is cut off after 133 slices of 2.5 mm; see 12345678.", entry)
    assert said == "a file is cut off after 133 slices of 2.5 mm; see a file."
    short = tmp_path / "1"
    short.mkdir()
    assert without_names("#1: 133 slices of 1 mm.", short) == "#1: 133 slices of 1 mm."
