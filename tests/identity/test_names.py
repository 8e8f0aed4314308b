"""Of the name of an input only an allow-list is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctinv.names import DIGITS, HIDDEN, LONGEST, WORDS, bare, is_neutral

SURNAMES = ("Smith", "DOE", "Müller", "O'Brien", "Ng", "García", "Nguyen", "王", "Иванов", "van der Berg")
TELLING = st.lists(
    st.one_of(
        st.sampled_from(SURNAMES),
        st.sampled_from(sorted(WORDS)),
        st.from_regex(r"\A\d{1,14}\Z"),
        st.sampled_from(["1970-01-02", "02.01.1970", "19700102", "1.2.840.113619.2.55"]),
        st.sampled_from([*"_-. ^,()", HIDDEN, "\u202e", "\n", "\u0308"]),
        st.text(max_size=4),
    ),
    max_size=9,
).map("".join)


@settings(max_examples=500, deadline=None)
@given(TELLING)
@example("SMITH_JOHN_19700102.dcm")
@example(f"{HIDDEN}{HIDDEN}_12345.dcm")
def test_no_word_of_its_own_and_no_long_number_survives(name: str) -> None:
    shown = bare(name)
    assert shown.isprintable()
    assert 1 <= len(shown) <= LONGEST
    assert not re.search(rf"\d{{{DIGITS + 1}}}", shown)
    assert shown.replace(HIDDEN, "").isascii()
    for letters in re.findall(r"[A-Za-z]+", shown):
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", letters)
        assert len(letters) == 1 or letters.lower() in WORDS or all(part.lower() in WORDS for part in parts)


@settings(max_examples=500, deadline=None)
@given(TELLING)
def test_what_is_shown_is_shown_as_it_is(name: str) -> None:
    assert is_neutral(bare(name))


@given(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=4), st.integers(0, 9999))
def test_neutral_names_come_out_unchanged(words: list[str], number: int) -> None:
    name = f"{'_'.join(words)}{number:04d}.dcm"
    shown = bare(name)
    assert shown == name if len(name) <= LONGEST else name.endswith(shown.removeprefix(HIDDEN))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("s001.dcm", "s001.dcm"),
        ("IM-0001-0002.dcm", "IM-0001-0002.dcm"),
        ("LowDoseCT_full.nii.gz", "LowDoseCT_full.nii.gz"),
        ("chest_lidc1.npy", "chest_lidc1.npy"),
        ("1-001.dcm", "1-001.dcm"),
        ("SMITH_JOHN_0007.dcm", "…_0007.dcm"),
        ("SMITH_JOHN_19700102.dcm", "….dcm"),
        ("Doe^Jane 02.01.1970.ima", "….ima"),
        ("1.2.840.113619.2.55.3.604688119.969.dcm", "…969.dcm"),
        ("123-45-6789", "…6789"),
        ("I1000123", "I…0123"),
        ("A12B34C56.dcm", "…56.dcm"),
        ("Müller.nii.gz", "….nii.gz"),
        ("scan.smith", "scan.…"),
        ("", "…"),
    ],
)
def test_cases(name: str, shown: str) -> None:
    assert bare(Path("/data/Smith") / name if name else Path("/")) == shown


def test_slices_of_one_patient_are_told_apart() -> None:
    names = [f"SMITH^JOHN.CT.{number:07d}.dcm" for number in range(133)]
    assert len({bare(name) for name in names}) == len(names)
