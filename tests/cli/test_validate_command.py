"""validate on one problem: a result that is kept, its page and pictures, and exit code 1 where the sampler is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_shell import Ran

from ctinv.validation import results, suite
from ctinv.validation.problems.contract import Drawn
from ctinv.validation.problems.linear import linear_problem

SMALL = suite.Effort(seeds=(0,), simulations=100, draws=30, rescans=1, thorough=False)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "QUICK", SMALL)


class Narrow:
    """G1 with a sampler whose spread is a fifth too small, and a check that no longer sees one of its wrong samplers."""

    def __init__(self) -> None:
        self.problem = linear_problem()
        self.controls = ("blunt",)
        self.quantities = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.problem, name)

    def draw(self, n: int, *, seed: int, control: str | None = None) -> Drawn:
        if control == "blunt":
            return Drawn(self.problem.exact(n, seed=1))
        return self.problem.draw(n, seed=seed, control="spread 0.8")


def test_a_validation_is_kept_and_written_down(ctinv: Callable[..., Ran], tmp_path: Path) -> None:
    out, table, figures = tmp_path / "result.json", tmp_path / "page.md", tmp_path / "pictures"
    words = ("validate", "--quick", "--problems", "G1", "--out", out)
    ran = ctinv(*words, "--table", table, "--figures", figures, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["failures"] == []
    record = ran.json["parts"]["G1"]
    assert record["laws"]["0"]["C2ST"]["value"] < 0.55
    assert record["decided_by"]["versions"].keys() >= {"ctinv", "torch", "numpy", "code"}
    assert set(record["controls"]) == set(linear_problem().controls)
    assert len(record["calibration"]["quantities"]) >= 10
    page = table.read_text(encoding="utf-8")
    assert "All checks of G1 pass, and all 6 wrong samplers are caught." in page
    assert "| G1: linear f, Gaussian x | 144 |" in page
    for name in ran.json["figures"]:
        assert (figures / name).read_bytes().startswith(b"\x89PNG")
    assert ran.json["figures"] == ["validation_laws.png", "validation_calibration.png"]
    before = out.read_bytes()
    again = ctinv(*words)
    assert again.code == 0
    assert "setting up" not in again.err
    assert "no η" in again.out
    assert out.read_bytes() == before
    assert json.loads(before)["parts"]["G1"] == record


def test_a_wrong_sampler_and_a_blunt_check_end_with_exit_code_one(
    ctinv: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctinv.validation.problems import find

    monkeypatch.setitem(find.PROBLEMS, "G1", Narrow)
    ran = ctinv("validate", "--quick", "--problems", "G1", "--out", tmp_path / "result.json")
    assert ran.code == 1
    assert "checks fail" in ran.sentence
    assert "G1: seed 0: Mahalanobis KS p 0 (above 0.01: failed)" in ran.sentence
    assert "the wrong sampler 'blunt' breaks no rule" in ran.sentence
    assert "**not caught**" in ran.out


def test_other_code_or_settings_are_run_again(tmp_path: Path) -> None:
    kept = results.Results(tmp_path / "result.json")
    decided_by = {"seeds": (0, 1), "versions": {"code": "a"}}
    kept.add("G1", {"decided_by": decided_by, "failures": [], "value": np.float64(1.5)})
    again = results.Results(kept.path)
    assert again.holds("G1", decided_by)
    assert again.parts["G1"]["value"] == 1.5
    assert not again.holds("G1", {**decided_by, "versions": {"code": "b"}})
    assert not again.holds("G1", {**decided_by, "seeds": (0,)})
    assert not again.holds("G2", decided_by)
    assert results.fingerprint() == results.fingerprint()


def test_wrong_words_are_refused(ctinv: Callable[..., Ran], tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    assert "there is no part 'G9'" in ctinv("validate", "--problems", "G9", "--out", out).sentence
    assert not out.exists()
    out.write_text('{"format": 1, "cases": {}}', encoding="utf-8")
    assert "no validation of this format" in ctinv("validate", "--out", out).sentence


def test_an_interrupted_run_goes_on_from_the_last_part(
    ctinv: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(effort: suite.Effort, progress: suite.Progress) -> dict[str, Any]:
        raise KeyboardInterrupt

    done: Callable[..., dict[str, Any]] = lambda effort, progress: {"failures": []}  # noqa: E731
    out = tmp_path / "result.json"
    monkeypatch.setattr(suite, "PARTS", {"first": done, "second": stopped})
    ran = ctinv("validate", "--quick", "--out", out, "--json")
    assert ran.code == 130
    assert ran.json["parts"] == ["first"]
    assert "1 parts are kept in result.json" in ran.json["error"]
    monkeypatch.setattr(suite, "PARTS", {"first": stopped, "second": done})
    assert ctinv("validate", "--quick", "--out", out).code == 0
    assert list(json.loads(out.read_text())["parts"]) == ["first", "second"]
