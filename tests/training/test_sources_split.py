"""Splits go by patient: no patient and no image in two sets, ldct-benchmark's lists as published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pair_folders import SMALL, anatomy, collection, doses, write_dicom, write_pair

from ctinv.errors import InputError
from ctinv.training.data import Pair
from ctinv.training.sources import PairSource, Split, choose_pairs, find_pairs, split
from ctinv.training.sources.leaks import refuse_copies
from ctinv.training.sources.split import benchmark_patients, of_subset


@dataclass(frozen=True)
class Settings:
    layout: str = "auto"
    split: str = "named"
    subset: str = ""
    train: tuple[str, ...] = ()
    validate: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    dose: float = 0.25
    seed: int = 0
    photons: float | str | None = None


def source(name: str, patient: str = "") -> PairSource:
    return PairSource(name, patient or name, "paired-files", Path(name))


def patients(made: Split) -> list[set[str]]:
    return [{part.source.patient for part in parts} for parts in made]


def test_named_parts_of_pairs():
    made = split([source(n) for n in "abc"], train=["a[2:5]", "b"], validate=["c"])
    assert [(p.source.name, p.first, p.last) for p in made.train] == [("a", 2, 5), ("b", None, None)]
    assert made.test == ()


def test_a_neutral_name_is_found_after_its_number_changed():
    sources = [source("patient2-0123abcd"), source("patient3-4567abcd")]
    made = split(sources, train=["patient1-0123abcd"], validate=["patient3-4567abcd"])
    assert made.train[0].source is sources[0]
    with pytest.raises(InputError, match="no pair patient2-4567abce"):
        split(sources, train=["patient2-4567abce"], validate=["patient3-4567abcd"])


@pytest.mark.parametrize(
    ("train", "validate", "test", "words"),
    [
        (["a"], ["a"], [], "patient A is in train and in validate"),
        (["a[0:3]"], ["a[3:6]"], [], "patient A is in train and in validate"),
        (["a"], ["b"], ["c"], "patient A is in train and in test"),  # c is another scan of A
        (["b"], ["c"], ["a"], "patient A is in validate and in test"),
        (["a"], [], [], "at least one pair to train on and one to validate on"),
        ([], ["b"], [], "at least one pair to train on and one to validate on"),
        (["d"], ["b"], [], r"no pair d; it has a, b, c\."),
        (["a[0-3]"], ["b"], [], r"no pair a\[0-3\]"),
    ],
)
def test_leaks_and_unknown_names_are_refused(
    train: list[str], validate: list[str], test: list[str], words: str
):
    sources = [source("a", "A"), source("b", "B"), source("c", "A")]
    with pytest.raises(InputError, match=words):
        split(sources, train=train, validate=validate, test=test)


def test_one_patient_is_not_enough_for_any_rule():
    sources = [source("a", "A"), source("c", "A")]
    for rule in ("named", "random", "ldct-benchmark"):
        with pytest.raises(InputError, match="one patient only"):
            split(sources, rule=rule, train=["a"] if rule == "named" else [], validate=[])


@pytest.mark.parametrize(
    ("count", "sizes"), [(2, (1, 1, 0)), (3, (2, 1, 0)), (10, (7, 2, 1)), (50, (35, 10, 5))]
)
def test_random_shares_are_of_patients(count: int, sizes: tuple[int, int, int]):
    sources = [source(f"s{n}{twin}", f"p{n}") for n in range(count) for twin in "ab"]
    made = split(sources, rule="random", seed=3)
    sets = patients(made)
    assert tuple(len(one) for one in sets) == sizes
    assert sum(len(parts) for parts in made) == 2 * count
    assert len(set.union(*sets)) == count
    assert patients(split(sources[::-1], rule="random", seed=3)) == sets
    if count == 50:
        assert patients(split(sources, rule="random", seed=4)) != sets


def test_rules_that_choose_refuse_names():
    with pytest.raises(InputError, match="chooses the patients itself"):
        split([source("a"), source("b")], rule="random", train=["a"])
    with pytest.raises(InputError, match="'patient' is unknown"):
        split([source("a"), source("b")], rule="patient")


def test_the_benchmark_lists_have_the_published_sizes():
    lists = benchmark_patients()
    assert {which: len(ids) for which, ids in lists.items()} == {"train": 105, "validate": 30, "test": 15}
    assert len({one for ids in lists.values() for one in ids}) == 150
    for letter in "CLN":
        assert [sum(i[0] == letter for i in lists[which]) for which in ("train", "validate", "test")] == [
            35,
            10,
            5,
        ]
    assert {i for i in lists["test"] if i[0] == "C"} == {"C121", "C249", "C170", "C135", "C280"}


def test_the_benchmark_split_of_a_part_of_the_collection():
    sources = [source(name) for name in ("C002", "C052", "C121", "L004", "L014", "C001")]
    made = split(sources, rule="ldct-benchmark")
    assert patients(made) == [{"C002", "L004"}, {"C052", "L014"}, {"C121"}]  # C001 is in no list
    chest = split(of_subset(sources, "chest"), rule="ldct-benchmark")
    assert patients(chest) == [{"C002"}, {"C052"}, {"C121"}]
    with pytest.raises(InputError, match="2 scans to train on and 0 to validate on"):
        split([source("C002"), source("L004")], rule="ldct-benchmark")
    with pytest.raises(InputError, match="no neuro scan"):
        of_subset(sources, "neuro")
    with pytest.raises(InputError, match="'head' is unknown"):
        of_subset(sources, "head")


@pytest.mark.parametrize(
    "copied",
    [
        lambda hu: hu,
        lambda hu: hu[2:4],
        lambda hu: hu[::-1, :, ::-1],
        lambda hu: hu.transpose(0, 2, 1)[:, ::-1],
        lambda hu: hu.astype(np.int16),
    ],
)
def test_one_image_under_two_names_is_refused(copied):
    first = doses(0, (5, 80, 80))[1]
    with pytest.raises(InputError, match="a and b hold the same image"):
        refuse_copies([Pair("a", first, first), Pair("b", first, copied(first))])


def test_other_noise_parts_of_one_pair_and_air_are_no_copies():
    low, full = doses(0, (5, 80, 80))
    air = np.full_like(full, -1000)
    refuse_copies([Pair("a", full, full[:2]), Pair("a", full, full[1:]), Pair("b", full, low)])
    refuse_copies([Pair("a", air, air), Pair("b", air, air)])


def test_a_training_on_the_collection(tmp_path: Path):
    told: list[str] = []
    sets = choose_pairs(
        collection(tmp_path),
        Settings(split="ldct-benchmark", subset="chest"),
        lambda text, _fraction: told.append(text),
    )
    assert [[pair.name for pair in pairs] for pairs in sets] == [["C002"], ["C052"], ["C121"]]
    np.testing.assert_array_equal(sets[2][0].full, doses(2)[1])
    assert told == ["opening C002", "opening C052", "opening C121"]


def test_a_training_on_named_arrays_cuts_slices(tmp_path: Path):
    for number, name in enumerate("ab"):
        write_pair(tmp_path, name, number, ending=".npy")
    train, validate, test = choose_pairs(tmp_path, Settings(train=("a[1:3]",), validate=("b",)))
    np.testing.assert_array_equal(train[0].full, doses(0)[1][1:3])
    assert (len(validate[0].low), test) == (6, [])
    with pytest.raises(InputError, match="6 slices, 1:9 was asked for"):
        choose_pairs(tmp_path, Settings(train=("a[1:9]",), validate=("b",)))


def test_a_training_on_full_dose_scans_finds_one_image_under_two_patients(tmp_path: Path):
    for number in range(2):
        write_dicom(anatomy(number, SMALL), tmp_path / str(number), patient=f"P{number}", uid=f"1.2.{number}")
    settings = Settings(layout="full-dose", split="random", photons=1e5)
    train, validate, _ = choose_pairs(tmp_path, settings)
    assert {train[0].patient, validate[0].patient} == {"patient1", "patient2"}
    write_dicom(anatomy(1, SMALL)[1:], tmp_path / "2", patient="P2", uid="1.2.3")
    with pytest.raises(InputError, match="hold the same image"):
        choose_pairs(tmp_path, settings)


def test_nothing_of_the_patient_is_in_names_messages_or_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    for number, name in enumerate(("Mueller", "Zorn")):
        for side, hu in zip(("low", "full"), doses(number), strict=True):
            write_dicom(hu, tmp_path / "data" / side / name, patient=name, uid=f"1.2.{number}.{len(side)}")
    told: list[str] = []
    sources = find_pairs(tmp_path / "data")
    settings = Settings(train=(sources[0].name,), validate=(sources[1].name,))
    sets = choose_pairs(tmp_path / "data", settings, lambda text, _fraction: told.append(text))
    files = list((tmp_path / "cache").rglob("*.*"))
    written = [path.name + path.read_bytes().decode("latin-1") for path in files if path.is_file()]
    assert len(written) == 8
    shown = [*told, *written, *(pair.name + pair.patient for pairs in sets for pair in pairs), repr(sources)]
    assert not any(word in text for text in shown for word in ("Mueller", "Zorn"))
