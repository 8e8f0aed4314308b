"""Cases: the rows of a study, known faults found, nothing measured twice, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scoreboard_patients import SIZE, Far, InTarget, Narrow, patient

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError
from ctinv.generators.find import GENERATORS, find_generator
from ctinv.sampler import InvarianceSampler
from ctinv.scoreboard import board
from ctinv.scoreboard.board import Request, run
from ctinv.scoreboard.results import Results
from ctinv.volume import Box

N = 25
PATIENTS = {"phantom": patient}


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return load_denoiser("cnn10")


@pytest.fixture(scope="module")
def path(denoiser: Denoiser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scoreboard of good, far, narrow and target-domain generators; not to be written to."""
    path = tmp_path_factory.mktemp("board") / "board.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GENERATORS, "far", Far)
        patch.setitem(GENERATORS, "narrow", Narrow)
        patch.setattr(board, "find_generator", _find)
        names = ("renoise", "far", "narrow", "in_target")
        request = Request(generators=names, kinds=("soft tissue", "lung edge"), n=N, size=SIZE, device="cpu")
        found = run(denoiser, PATIENTS, request, Results(path))
    assert found["absent"] == ["phantom: lung edge"]
    assert len(found["asked"]) == len(set(found["asked"])) == 3 * 3 + 1
    return path


def _find(source: str, representation: Any) -> Any:
    return InTarget() if source == "in_target" else find_generator(source, representation)


@pytest.fixture(scope="module")
def cases(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    rows = json.loads(path.read_text())["cases"].values()
    return {(row["case"]["generator"], row["case"]["tier"]): row for row in rows}


@pytest.mark.parametrize("tier", ["T2", "T1", "T3"])
def test_a_case_holds_the_rows_of_a_study(denoiser: Denoiser, cases: dict, tier: str) -> None:
    row = cases["renoise", tier]
    sampler = InvarianceSampler(denoiser, tier=tier, device="cpu")
    summary = sampler.sample(patient().scan, Box.parse(row["case"]["box"]), n=N).summary()
    assert row["certified"] == summary["passed"] > 0
    for name in ("nfe_raw", "nfe", "steps"):
        assert row[name] == pytest.approx(summary[name], rel=1e-3, abs=1e-6)
    assert row["tiers"] == summary["tiers"]
    assert row["region"]["chi2_per_n_scan"] == pytest.approx(summary["chi2_per_n_scan"], rel=1e-4)
    if row["certified"] == N:
        assert row["corrected"]["spread_hu"] == pytest.approx(summary["spread_hu"], rel=1e-3)


def test_foreign_anatomy_is_seen_as_such_and_does_not_survive(cases: dict) -> None:
    far, near = cases["far", "T2"], cases["renoise", "T2"]
    assert far["nfe_raw"] > 2 * near["nfe_raw"]
    assert far["raw"]["energy_hu"] > 1.2 * near["raw"]["energy_hu"]
    assert far["raw"]["rank_distance"] > near["raw"]["rank_distance"]
    assert far["raw"]["chi2_per_n"] > near["raw"]["chi2_per_n"]
    assert far["certified"] < N or far["low_hu"]["certified"] < 0.2 * far["low_hu"]["raw"]
    assert far["certified"] == 0 or far["nfe"] < 0.1


def test_narrow_noise_is_measured_band_by_band(cases: dict) -> None:
    narrow, right = cases["narrow", "T2"]["raw"], cases["renoise", "T2"]["raw"]
    for band, value in narrow["noise_ratio"].items():
        assert value == pytest.approx(0.64 * right["noise_ratio"][band], rel=1e-3)
        assert right["noise_ratio"][band] == pytest.approx(1.0, abs=0.4)
    assert narrow["spread_hu"] == pytest.approx(0.8 * right["spread_hu"], rel=1e-3)


def test_reconstruction_is_measured_where_there_is_an_autoencoder(cases: dict) -> None:
    assert cases["narrow", "T2"]["reconstruction_hu"] == pytest.approx(3.0, rel=1e-4)
    assert cases["renoise", "T2"]["reconstruction_hu"] is None


def test_a_target_domain_is_scored_against_the_full_dose_and_never_fed_back(cases: dict) -> None:
    row = cases["in_target", "-"]
    assert ("in_target", "T2") not in cases
    assert row["case"]["weights"]
    assert not cases["renoise", "T2"]["case"]["weights"]
    assert not {"nfe_raw", "certified", "corrected"} & row.keys()
    assert row["raw"]["spread_hu"] == pytest.approx(2 * np.sqrt(N / (N - 1)), rel=0.01)
    assert row["raw"]["energy_hu"] > 0


def test_what_is_there_is_not_measured_again(
    denoiser: Denoiser, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(board, "InvarianceSampler", _never)
    monkeypatch.setattr(board, "find_generator", _find)
    again = Request(generators=("renoise", "in_target"), kinds=("soft tissue",), n=N, size=SIZE, device="cpu")
    assert len(run(denoiser, PATIENTS, again, Results(path))["asked"]) == 4
    assert path.read_bytes() == before
    other = Request(generators=("renoise",), kinds=("soft tissue",), n=N, seed=1, size=SIZE, device="cpu")
    with pytest.raises(AssertionError, match="measured"):
        run(denoiser, PATIENTS, other, Results(path))


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("measured again")


def test_an_interruption_keeps_what_is_finished(
    denoiser: Denoiser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stops(Narrow):
        def candidates(self, rows: Any, seeds: Any) -> Any:
            raise KeyboardInterrupt

    monkeypatch.setitem(GENERATORS, "stops", Stops)
    request = Request(
        generators=("renoise", "stops"), kinds=("soft tissue",), tiers=("T3",), n=20, size=SIZE, device="cpu"
    )
    with pytest.raises(KeyboardInterrupt):
        run(denoiser, PATIENTS, request, Results(tmp_path / "board.json"))
    kept = Results(tmp_path / "board.json").cases
    assert [(row["case"]["generator"], row["case"]["tier"]) for row in kept.values()] == [("renoise", "T3")]
    assert [file.name for file in tmp_path.iterdir()] == ["board.json"]


def test_requests_that_cannot_be_met_are_refused(denoiser: Denoiser, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="kind of region"):
        Request(kinds=("liver",))
    with pytest.raises(InputError, match="number of samples from 1"):
        Request(n=0)
    with pytest.raises(InputError, match="no tier"):
        Request(tiers=("T2", "T9"))
    with pytest.raises(InputError, match="two generators are called renoise"):
        run(denoiser, PATIENTS, Request(generators=("renoise", "renoise")), Results(tmp_path / "a.json"))
    (tmp_path / "b.json").write_text('{"cases": []}')
    with pytest.raises(InputError, match="no scoreboard"):
        Results(tmp_path / "b.json")
