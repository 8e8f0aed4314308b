"""The page about privacy counts what the code lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from canaries import PLACES
from test_crash_report import FAILURES
from test_finder import FORMS
from test_refusals import SPOILT, damaged_files

from ctinv.io.identity import READ
from ctinv.names import bare

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def test_its_numbers_are_those_of_the_code_and_the_tests(tmp_path: Path) -> None:
    counts = Counter(READ.values())
    assert f"Of a file {len(READ)} are parsed" in PAGE
    for leaves, count in counts.items():
        assert f"| {leaves.value.split(', which')[0]} ({count}) |" in PAGE, leaves
    assert f"an own word in {len(PLACES)} places" in PAGE
    damaged = len(damaged_files(tmp_path / "in"))
    assert f"found in {len(SPOILT)} refusals of spoilt series and {damaged} of damaged files" in PAGE
    assert f"found in {len(FAILURES)} kinds of crash report" in PAGE
    assert f"| all | {len(FORMS)} of {len(FORMS)} |" in PAGE


def test_its_example_of_a_name_is_true() -> None:
    assert bare("SMITH_JOHN_19700102_0007.dcm") == "…_0007.dcm"
    assert "`SMITH_JOHN_19700102_0007.dcm` is\nshown as `…_0007.dcm`" in PAGE
