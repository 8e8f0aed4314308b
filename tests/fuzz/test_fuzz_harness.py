"""The harness itself: planted bugs are found and called by their name, inputs come again, mutants are mutants."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import fuzzing
import pytest
from fuzz_planted import BUGS, TRIGGER
from fuzzing import Finding, Job, campaign, keep, make_input, regressions, target
from mutators import DICTIONARIES, mutate_bytes, mutate_tree, read_dictionary

INPUTS = 60


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="memory is bounded by RLIMIT_AS, which Linux keeps"
)
def test_each_planted_bug_is_found_and_called_what_it_is() -> None:
    report = campaign([Job(f"planted/{name}", 0, INPUTS) for name in BUGS], seconds=2.0)
    for name, (_, outcome) in BUGS.items():
        found = [finding for finding in report.findings if finding.recipe.startswith(f"planted/{name} ")]
        counts = report.counts[f"planted/{name}"]
        assert sum(counts.values()) == INPUTS, name  # the inputs after a death are run as well
        assert {finding.outcome for finding in found} == {outcome}, name
        assert len(found) == counts[outcome] > 0
        assert all(finding.data[:1] == bytes([TRIGGER]) for finding in found), name  # and the input is named


def test_a_finding_names_an_input_that_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = campaign([Job("planted/index", 0, INPUTS, seed=3)], workers=1)
    for finding in report.findings:
        name, _, seed, _, index = finding.recipe.split()
        one = target(name)
        assert make_input(one, name, one.seeds(), int(seed), int(index)) == finding.data
        assert "IndexError" in finding.detail
        assert "fuzz_planted.py" in finding.detail
    monkeypatch.setattr(fuzzing, "REGRESSIONS", tmp_path)
    kept = keep(report.findings[0])
    jobs = regressions(["planted/index", "planted/panic"])
    assert [job.files for job in jobs] == [(str(kept),)]
    again = campaign(jobs, workers=1)
    assert [finding.outcome for finding in again.findings] == ["uncaught"]
    assert str(kept) in str(again.findings[0])


def test_a_sound_target_has_no_findings() -> None:
    report = campaign([Job("image/npy", 0, 20)], workers=1)
    assert report.findings == []
    assert sum(report.counts["image/npy"].values()) == 20
    assert "20 inputs" in report.table()


def test_a_target_that_cannot_start_is_an_error_and_no_finding() -> None:
    with pytest.raises(RuntimeError, match="could not be started"):
        campaign([Job("planted/none", 0, 3)], workers=1)


def test_mutants_differ_from_their_seed_and_are_a_function_of_the_generator() -> None:
    data = bytes(range(200))
    first = [mutate_bytes(Random(i), data, [data], [b"token"]) for i in range(300)]
    assert first == [mutate_bytes(Random(i), data, [data], [b"token"]) for i in range(300)]
    assert sum(mutant != data for mutant in first) > 280
    assert len({len(mutant) for mutant in first}) > 50
    tree = {"a": [1, {"b": 2.5}], "c": "text"}
    assert sum(mutate_tree(Random(i), tree) != tree for i in range(300)) > 260
    assert tree == {"a": [1, {"b": 2.5}], "c": "text"}


@pytest.mark.parametrize("path", sorted(DICTIONARIES.glob("*.dict")), ids=lambda path: path.stem)
def test_dictionaries_hold_tokens_of_at_most_64_bytes(path: Path) -> None:
    tokens = read_dictionary(path.stem)
    assert tokens
    assert all(0 < len(token) <= 64 for token in tokens)  # longer ones libFuzzer leaves out
    assert len(set(tokens)) == len(tokens)


def test_a_finding_is_one_line() -> None:
    assert str(Finding("hang", "image/nii seed 0 input 7", "", b"")) == "hang: image/nii seed 0 input 7: "
