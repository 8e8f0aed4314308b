"""``ctinv compare`` from the shell: one JSON object, one page, one picture; and wrong names before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_shell import BOX, Ran

import ctinv.cli.compare  # noqa: F401  registers the command

Run = Callable[..., Ran]


def test_one_command_writes_figures_picture_and_page(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    out, figure, page = tmp_path / "compare.json", tmp_path / "compare.png", tmp_path / "page.md"
    words = ("compare", scan, "--box", BOX, "--denoiser", bundle, "--denoiser", "cnn10", "--n", 4)
    options = ("--photons", 2000, "--device", "cpu", "--figure", figure)
    page.write_text(f"Before.\n<!-- comparison {BOX} -->\nold\n<!-- /comparison {BOX} -->\nAfter.\n")
    ran = ctinv(*words, *options, "--table", page, "--out", out, "--json")
    assert ran.code == 0, ran.err
    stored = json.loads(out.read_text())
    assert {"use": stored["use"], **ran.json} == stored
    assert list(stored["networks"]) == ["small", "cnn10"]
    matrix = {(one["samples_of"], one["seen_by"]): one for one in stored["matrix"]}
    assert len(matrix) == 4
    assert matrix["small", "small"]["met"] == matrix["small", "small"]["n"]
    assert str(tmp_path) not in out.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert "old" not in text
    assert f"{matrix['cnn10', 'cnn10']['rmse_hu']['mean']:.3g}" in text


def test_the_same_network_twice_is_told_apart_and_people_get_sentences(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    words = ("compare", scan, "--box", BOX, "--denoiser", bundle, "--denoiser", bundle, "--n", 2)
    ran = ctinv(*words, "--photons", 2000, "--out", tmp_path / "twice.json")
    assert ran.code == 0, ran.err
    assert "0 % of what small ignores is seen by small #2 (linear theory)" in ran.out
    assert "2 of 2 certified samples of small meet T2 at small #2" in ran.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--out", "compare.txt"), "compare.txt"),
        (("--out", "compare.json", "--figure", "compare.jpg"), "compare.jpg"),
        (("--out", "compare.json", "--n", 0), "n = 0"),
        (("--out", "compare.json", "--tier", "T9"), "T0, T1, T2, T3"),
        (("--out", "compare.json"), "at least two"),
        (("--out", "compare.json", "--denoiser", "mri_cnn10"), "images in a.u."),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path, more: tuple[object, ...], said: str
) -> None:
    options = [tmp_path / word if str(word).startswith("compare.") else word for word in more]
    more_networks = () if said == "at least two" else ("--denoiser", "cnn10")
    ran = ctinv("compare", scan, "--box", BOX, "--denoiser", bundle, *more_networks, *options, "--json")
    assert ran.code == 1
    assert said in ran.sentence
    assert ran.json["error"] == ran.sentence
    assert list(tmp_path.iterdir()) == []
