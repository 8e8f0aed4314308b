"""``ctinv layers`` from the shell: one JSON object, one page, one picture; and wrong names before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_shell import BOX, Ran

Run = Callable[..., Ran]


def test_one_command_writes_the_page_and_the_picture(
    ctinv: Run, scan: Path, bundle: Path, tmp_path: Path
) -> None:
    out, figure = tmp_path / "layers.json", tmp_path / "layers.png"
    words = (
        "layers",
        scan,
        "--box",
        BOX,
        "--denoiser",
        bundle,
        "--n",
        4,
        "--photons",
        2000,
        "--device",
        "cpu",
    )
    ran = ctinv(*words, "--taps", "output, conv1", "--eps", 0.05, "--out", out, "--figure", figure, "--json")
    assert ran.code == 0
    page = json.loads(out.read_text())
    assert {"use": page["use"], **ran.json} == page
    assert [tap["tap"] for tap in page["taps"]] == ["conv1", "output"]  # in the order of the data flow
    assert [row["name"] for row in page["taps"][0]["dimension"]] == ["5 %"]
    assert all(tap["fibre"]["share_certified"] == 1.0 for tap in page["taps"])
    assert page["nested"]["taps"] == ["conv1", "output"]
    assert str(tmp_path) not in out.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_people_get_a_table(ctinv: Run, scan: Path, bundle: Path, tmp_path: Path) -> None:
    words = (
        "layers",
        scan,
        "--box",
        BOX,
        "--denoiser",
        bundle,
        "--n",
        2,
        "--photons",
        2000,
        "--taps",
        "output",
    )
    ran = ctinv(*words, "--generator", "renoise", "--out", tmp_path / "layers.json")
    assert ran.code == 0
    assert "output: re-scans, the fibre's own candidates" in ran.out
    assert "output: sampling" in ran.err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--out", "layers.txt"), "layers.txt"),
        (("--out", "layers.json", "--figure", "layers.jpg"), "layers.jpg"),
        (("--out", "layers.json", "--n", 1), "n = 1"),
        (("--out", "layers.json", "--taps", "conv9"), "input, conv1, output"),
        (("--out", "layers.json", "--generator", "magic"), "magic"),
        (("--out", "layers.json", "--eps", 5), "0.05 is 5 %"),
        (("--out", "layers.json", "--tier", "T9"), "T0, T1, T2, T3"),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    ctinv: Run, scan: Path, bundle: Path, more: tuple[object, ...], said: str
) -> None:
    ran = ctinv("layers", scan, "--box", BOX, "--denoiser", bundle, *more, "--json")
    assert ran.code == 1
    assert said in ran.sentence
    assert ran.json["error"] == ran.sentence
