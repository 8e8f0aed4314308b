"""``ctinv find-blind`` from the shell: one JSON object, one page, one picture, what Ctrl-C keeps, and wrong names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_shell import BOX, Ran

Run = Callable[..., Ran]
OTHER = "0,40:56,36:52"
COMMON = ("--photons", 2000, "--device", "cpu", "--diameters", "4,6")


def test_one_command_writes_the_page_and_the_picture(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    out, figure = tmp_path / "blind.json", tmp_path / "blind.png"
    words = ("find-blind", scan, "--denoiser", bundle, "--box", BOX, "--box", OTHER, *COMMON, "--rescans", 1)
    ran = ctinv(*words, "--out", out, "--figure", figure, "--json")
    assert ran.code == 0, ran.err
    page = json.loads(out.read_text())
    assert {"use": page["use"], **ran.json} == page
    assert [region["box"] for region in page["regions"].values()] == [BOX, OTHER]
    for region in page["regions"].values():
        assert (
            region["verdict"] in region["sentence"]
            or "hides no lesion" in region["sentence"]
            or region["sentence"]
        )
        assert 4.0 <= region["lesion"]["diameter_mm"] <= 6.0
        assert region["rescans"]["n"] == 1
        assert region["noise"]["source"]
    assert page["unit"] == "HU"
    assert str(tmp_path) not in out.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_people_get_a_table_and_a_sentence(ctinv: Run, scan: Path, bundle: Path, tmp_path: Path) -> None:
    words = ("find-blind", scan, "--denoiser", bundle, "--box", BOX, *COMMON)
    ran = ctinv(*words, "--out", tmp_path / "blind.json")
    assert ran.code == 0
    assert "verdict" in ran.out
    assert "d′" in ran.out
    assert "region: searching the least visible lesion" in ran.err


def test_regions_are_found_by_hu_without_a_box(ctinv: Run, scan: Path, bundle: Path, tmp_path: Path) -> None:
    words = ("find-blind", scan, "--denoiser", bundle, *COMMON, "--size", 16)
    ran = ctinv(*words, "--out", tmp_path / "blind.json", "--json")
    assert ran.code == 0
    assert list(ran.json["regions"]) == ["soft tissue"]  # water has neither lung nor bone


def test_an_interruption_keeps_what_is_finished(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctinv.analysis import search

    whole, calls = search.find_blind, []

    def stopped(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(search, "find_blind", stopped)
    out = tmp_path / "blind.json"
    words = ("find-blind", scan, "--denoiser", bundle, "--box", BOX, "--box", OTHER, *COMMON)
    ran = ctinv(*words, "--out", out, "--json")
    assert ran.code == 130
    assert ran.json["regions_done"] == 1
    assert "1 of 2 regions" in ran.sentence
    assert [region["box"] for region in json.loads(out.read_text())["regions"].values()] == [BOX]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--out", "blind.txt"), "blind.txt"),
        (("--out", "blind.json", "--figure", "blind.jpg"), "blind.jpg"),
        (("--out", "blind.json", "--diameters", "3,x"), "3,5,7,9"),
        (("--out", "blind.json", "--diameters", "-1"), "above 0"),
        (("--out", "blind.json", "--rescans", -1), "re-scans"),
        (("--out", "blind.json", "--tier", "T9"), "T0, T1, T2, T3"),
        (("--out", "blind.json", "--box", "9,0:8,0:8"), "outside"),
        (("--out", "blind.json", "--diameters", "90"), "larger box"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path, more: tuple[object, ...], said: str
) -> None:
    place = () if "--box" in more else ("--box", BOX)
    words = [tmp_path / str(word) if str(word).startswith("blind.") else word for word in more]
    ran = ctinv("find-blind", scan, "--denoiser", bundle, *place, "--photons", 2000, *words, "--json")
    assert ran.code == 1
    assert said in ran.sentence
    assert ran.json["error"] == ran.sentence
    assert not list(tmp_path.glob("blind.*"))


def test_another_modality_needs_a_box(ctinv: Run, bundle: Path, tmp_path: Path) -> None:
    scan = tmp_path / "scan.npy"
    np.save(scan, np.random.default_rng(0).normal(100, 5, (2, 32, 32)).astype(np.float32))
    ran = ctinv("find-blind", scan, "--modality", "MR", "--denoiser", bundle, "--out", tmp_path / "b.json")
    assert ran.code == 1
    assert "--box" in ran.sentence
