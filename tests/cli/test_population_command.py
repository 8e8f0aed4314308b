"""``ctinv population`` from the shell: a folder in, one page out, and nothing measured twice."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_shell import Ran, command_line, environment

import ctinv.cli.population  # noqa: F401  registers the command

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def patients(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients: two slices of one scan as scans of their own."""
    folder = tmp_path_factory.mktemp("patients")
    for name, z in (("Fink_Anna", 0), ("Fink_Berta", 1)):
        np.save(folder / f"{name}.npy", np.load(scan)[z : z + 1])
        (folder / f"{name}.json").write_text(json.dumps({"spacing_mm": [1.0, 1.0, 1.0]}))
    return folder


def test_one_command_writes_figures_page_and_picture_and_the_second_measures_nothing(
    ctinv: Run, patients: Path, bundle: Path, tmp_path: Path
) -> None:
    out, page, figure = tmp_path / "population.json", tmp_path / "page.md", tmp_path / "population.png"
    words = ("population", patients, "--denoiser", bundle, "--regions", "soft tissue", "--size", 16, "--n", 2)
    words += ("--photons", 2000, "--device", "cpu", "--out", out, "--table", page)
    ran = ctinv(*words, "--figure", figure, "--json")
    assert ran.code == 0, ran.err
    stored = json.loads(out.read_text())
    assert {"out": out.name, **stored["page"]} == ran.json
    assert ran.json["patients"] == ["patient1", "patient2"]
    assert len(stored["cases"]) == 2
    assert "measuring patient2" in ran.err
    assert "Fink" not in ran.out + ran.err + out.read_text() + page.read_text()
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "No interval is given: 2 patients are fewer than 3." in page.read_text()
    before = out.read_bytes()
    again = ctinv(*words)
    assert again.code == 0
    assert "measuring" not in again.err
    assert "2 patients, 2 scans" in again.out
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--out", "p.txt"), "p.txt"),
        (("--out", "p.json", "--regions", "liver"), "liver"),
        (("--out", "p.json", "--tier", "T9"), "T0, T1, T2, T3"),
        (("--out", "p.json", "--n", 0), "n = 0"),
        (("--out", "p.json", "--size", 3), "at least 8"),
        (("--out", "p.json", "--denoiser", "mri_cnn10"), "images in a.u."),
    ],
)
def test_wrong_words_are_refused_in_one_sentence(
    ctinv: Run, patients: Path, tmp_path: Path, more: tuple[object, ...], said: str
) -> None:
    options = [tmp_path / word if str(word).startswith("p.") else word for word in more]
    network = () if "mri_cnn10" in more else ("--denoiser", "cnn10")
    ran = ctinv("population", patients, *network, *options, "--json")
    assert ran.code == 1
    assert said in ran.sentence
    assert ran.json["error"] == ran.sentence


def test_ctrl_c_keeps_finished_regions(patients: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "population.json"
    words = (
        "population",
        patients,
        "--denoiser",
        bundle,
        "--denoiser",
        "cnn10",
        "--regions",
        "soft tissue",
        "--size",
        16,
    )
    words += ("--n", 2, "--photons", 2000, "--device", "cpu", "--out", out, "--json")
    process = subprocess.Popen(
        command_line(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    deadline = time.monotonic() + 100
    while not out.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    kept = len(json.loads(out.read_text())["cases"])
    assert process.returncode == 130
    assert 1 <= kept < 4
    assert json.loads(said)["regions"] == kept
