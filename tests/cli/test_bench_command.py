"""bench generators on a folder of one tiny pair: a record per tier, a page, and nothing done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_shell import Ran


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A pair that was held out, one that was trained on, and an MR pair."""
    from ctinv.simulate import simulate_low_dose, water_phantom
    from ctinv.volume import Acquisition

    folder = tmp_path / "pairs"
    folder.mkdir()
    phantom = water_phantom(size=96, pixel_mm=1.0, diameter_mm=80.0, slices=1)
    full = replace(phantom, hu=phantom.hu + np.float32(40.0), acquisition=Acquisition(photons=8000.0))
    low = simulate_low_dose(full, dose=0.25, seed=3)
    facts: dict[str, Any] = {"spacing_mm": [2.0, 1.0, 1.0], "dose": 0.25, "photons_low": 2000.0}
    for name, more in (("held_out", {}), ("trained_on", {"split": "train"}), ("brain", {"unit": "a.u."})):
        np.save(folder / f"{name}_low.npy", low.hu)
        np.save(folder / f"{name}_full.npy", full.hu)
        (folder / f"{name}.json").write_text(json.dumps({**facts, **more}))
    return folder


def test_a_scoreboard_and_its_page(
    ctinv: Callable[..., Ran], bundle: Path, pairs: Path, tmp_path: Path
) -> None:
    out, table = tmp_path / "board.json", tmp_path / "page.md"
    words = ("bench", "generators", "--denoiser", bundle, "--generators", "renoise", "--pairs", pairs)
    words = (*words, "--n", 20, "--size", 12, "--out", out, "--device", "cpu")
    ran = ctinv(*words, "--table", table, "--json")
    assert ran.code == 0, ran.err
    assert {row["case"]["patient"] for row in ran.json["cases"]} == {"held_out"}
    assert {row["case"]["tier"] for row in ran.json["cases"]} == {"T1", "T2", "T3"}
    assert ran.json["absent"] == ["held_out: lung edge", "held_out: bone"]
    assert all(row["rescans"]["source"].startswith("full dose") for row in ran.json["cases"])
    assert "| renoise |" in table.read_text(encoding="utf-8")
    before = out.read_bytes()
    again = ctinv(*words)
    assert again.code == 0
    assert "no such region: held_out: bone" in again.out
    assert "| renoise |" in again.out
    assert "setting up" not in again.err
    assert out.read_bytes() == before


def test_pairs_that_do_not_fit_are_refused_by_name(
    ctinv: Callable[..., Ran], pairs: Path, tmp_path: Path
) -> None:
    words = ("bench", "generators", "--pairs", pairs, "--size", 12, "--out", tmp_path / "board.json")
    assert "no pair absent" in ctinv(*words, "--patients", "absent").sentence
    assert "brain is no CT pair" in ctinv(*words, "--patients", "brain").sentence
    assert not (tmp_path / "board.json").exists()
