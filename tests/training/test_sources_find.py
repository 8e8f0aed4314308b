"""Folders to sources: each layout is recognised by its signs, names are neutral, partners are not guessed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pair_folders import anatomy, collection, doses, write_dicom, write_pair

from ctinv.errors import InputError
from ctinv.training.sources import LAYOUTS, PairSource, find_pairs


def names(sources: list[PairSource]) -> list[str]:
    return [source.name for source in sources]


def paired_folders(root: Path, low: str = "quarter_dose", full: str = "Full Dose") -> Path:
    for number, patient in enumerate(("Mueller^Hans", "Zorn^Ada")):
        for side, hu in zip((low, full), doses(number), strict=True):
            write_dicom(hu, root / side / patient, patient=patient, uid=f"1.2.{number}.{len(side)}")
    return root


def test_the_collection_is_recognised_wherever_in_it_the_folder_begins(tmp_path: Path):
    root = collection(tmp_path / "manifest-1", ("C002", "L004"))
    for folder in (root, root / "LDCT-and-Projection-data"):
        sources = find_pairs(folder)
        assert [(s.name, s.patient, s.layout) for s in sources] == [
            ("C002", "C002", "ldct-and-projection"),
            ("L004", "L004", "ldct-and-projection"),
        ]
        assert all(s.low and "Low Dose" in s.low.name and "Full Dose" in s.full.name for s in sources)
    assert names(find_pairs(root / "LDCT-and-Projection-data" / "C002")) == ["C002"]


def test_the_collection_with_half_a_patient_is_refused(tmp_path: Path):
    root = collection(tmp_path, ("C002", "L004"))
    study = next((root / "LDCT-and-Projection-data" / "L004").iterdir())
    shutil.rmtree(next(study.glob("*Full Dose Images*")))
    with pytest.raises(InputError, match="L004 has 1 folders of low and 0 of full"):
        find_pairs(root)


def test_paired_folders_get_names_that_say_nothing_about_the_patient(tmp_path: Path):
    sources = find_pairs(paired_folders(tmp_path))
    assert [s.layout for s in sources] == ["paired-folders"] * 2
    assert [s.patient for s in sources] == ["patient1", "patient2"]
    for source in sources:
        assert source.name.startswith(f"{source.patient}-")
        assert source.low is not None
        assert source.low.name == source.full.name
        assert not any(word in repr(source) for word in ("Mueller", "Zorn", tmp_path.name))


def test_a_key_stays_when_a_patient_is_added(tmp_path: Path):
    root = paired_folders(tmp_path)
    before = {source.key for source in find_pairs(root)}
    for side, hu in zip(("quarter_dose", "Full Dose"), doses(7), strict=True):
        write_dicom(hu, root / side / "Adam", patient="Adam", uid=f"1.2.77.{len(side)}")
    after = find_pairs(root)
    assert before < {source.key for source in after}
    assert not before & {source.name for source in after}


def test_dicom_files_right_in_the_folders_of_the_doses_are_one_pair(tmp_path: Path):
    for side, hu in zip(("low", "full"), doses(0), strict=True):
        write_dicom(hu, tmp_path / side, patient="A", uid=f"1.2.{len(side)}")
    assert len(find_pairs(tmp_path)) == 1


def test_scans_of_one_patient_are_one_patient_whatever_their_folders_are_called(tmp_path: Path):
    for number, (folder, patient) in enumerate((("a", "X"), ("b", "Y"), ("c", "X"), ("d", ""), ("e", ""))):
        write_dicom(anatomy(number), tmp_path / folder, patient=patient, uid=f"1.2.{number}")
    sources = find_pairs(tmp_path, "full-dose")
    # Empty tags say nothing: those two are not taken for one patient.
    assert [s.patient for s in sources] == ["patient1", "patient2", "patient1", "patient3", "patient4"]
    assert len({s.name for s in sources}) == 5


def test_files_beside_a_scan_name_it_and_its_patient(tmp_path: Path):
    write_pair(tmp_path, "doe", 0)
    write_pair(tmp_path, "kim", 1)
    (tmp_path / "kim.json").write_text(json.dumps({"name": "head 1", "patient": "h"}))
    first, second = find_pairs(tmp_path)
    assert first.patient == "patient1"
    assert "doe" not in repr(first)
    assert (second.name, second.patient, second.layout) == ("head 1", "h", "paired-files")


def test_arrays_keep_their_names(tmp_path: Path):
    for number, name in enumerate(("a", "b")):
        write_pair(tmp_path, name, number, ending=".npy")
    (tmp_path / "b.json").write_text(json.dumps({"patient": "a", "spacing_mm": [2, 0.7, 0.7]}))
    assert [(s.name, s.patient) for s in find_pairs(tmp_path)] == [("a", "a"), ("b", "a")]


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"name": "x" * 41}, "name in a.json"),
        ({"patient": "../p"}, "patient in a.json"),
        ({"spacing_mm": [1, 2]}, "spacing_mm in a.json"),
        ({"spacing_mm": [1, 0, 1]}, "spacing_mm in a.json"),
        ({"kvp": True}, "kvp in a.json"),
        ([], "JSON object"),
    ],
)
def test_odd_facts_get_one_sentence(tmp_path: Path, about: object, words: str):
    write_pair(tmp_path, "a", 0, ending=".npy")
    (tmp_path / "a.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=words):
        find_pairs(tmp_path)


def test_a_layout_that_nothing_marks_must_be_said(tmp_path: Path):
    write_dicom(anatomy(0), tmp_path / "LD", patient="A", uid="1.2.1")
    write_dicom(anatomy(0), tmp_path / "HD", patient="A", uid="1.2.2")
    with pytest.raises(InputError, match="bears no sign of a layout") as refused:
        find_pairs(tmp_path)
    assert all(name in str(refused.value) for name in LAYOUTS)
    assert len(find_pairs(tmp_path, "full-dose")) == 2
    with pytest.raises(InputError, match="'pairs' is unknown"):
        find_pairs(tmp_path, "pairs")


def test_a_folder_with_the_signs_of_two_layouts_is_not_guessed(tmp_path: Path):
    write_pair(paired_folders(tmp_path), "a", 3)
    with pytest.raises(InputError, match="both paired-folders and paired-files"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, "paired-files")) == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_folder_and_no_folder_are_refused(tmp_path: Path, layout: str):
    (tmp_path / "empty").mkdir()
    for folder, chosen in (
        (tmp_path / "empty", layout),
        (tmp_path / "none", layout),
        (tmp_path / "empty", "auto"),
    ):
        with pytest.raises(InputError, match=r"data folder|one folder for the low dose"):
            find_pairs(folder, chosen)


def test_a_scan_without_partner_is_counted_not_named(tmp_path: Path):
    root = paired_folders(tmp_path)
    shutil.rmtree(root / "quarter_dose" / "Zorn^Ada")
    with pytest.raises(
        InputError, match="scan 2 of the full dose, in order of names, has no partner"
    ) as refused:
        find_pairs(root)
    assert "Zorn" not in str(refused.value)
    write_pair(tmp_path / "files", "a", 0)[0].unlink()
    with pytest.raises(InputError, match="scan 1 of the full dose"):
        find_pairs(tmp_path / "files", "paired-files")


def test_a_sub_folder_with_two_scans_is_refused_and_one_with_none_left_out(tmp_path: Path):
    write_dicom(anatomy(0), tmp_path / "a", patient="A", uid="1.2.1")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.txt").write_text("no scan")
    assert len(find_pairs(tmp_path, "full-dose")) == 1
    np.save(tmp_path / "a" / "copy.npy", anatomy(0))
    with pytest.raises(InputError, match="sub-folder 1 of the data, in order of names, holds several scans"):
        find_pairs(tmp_path, "full-dose")


def test_one_scan_twice_is_refused(tmp_path: Path):
    write_pair(tmp_path, "a", 0)
    for side in ("low", "full"):
        shutil.copy(tmp_path / f"a_{side}.nii.gz", tmp_path / f"b_{side}.nii.gz")
    with pytest.raises(InputError, match="two scans of the data folder are patient"):
        find_pairs(tmp_path)
