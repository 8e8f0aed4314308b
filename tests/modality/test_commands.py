"""The command line and the layers speak of an MR image in its own unit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from modality_scans import SIGMA, mr_scan, save

from ctinv.cli import main
from ctinv.report import table_rows
from ctinv.sampler import Store
from napari_ctinv.layers import study_layers, volume_layer

BOX = ["--box", "1,60:80,30:50"]
MR = ["--modality", "MR"]


def run(arguments: list[str]) -> int:
    """The exit code of a command in this process."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(mr_scan(), tmp_path_factory.mktemp("mr") / "head.npy")


def test_sample_in_the_images_own_unit(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "mr.zarr"
    arguments = [
        "sample",
        str(scan),
        *BOX,
        *MR,
        "--out",
        str(study),
        "--denoiser",
        "modality_scans:mr_denoiser",
    ]
    assert run([*arguments, "--n", "3", "--device", "cpu", "--noise-sigma", str(SIGMA)]) == 0
    text = capsys.readouterr().out
    assert "a.u. (linear theory" in text
    assert "HU" not in text
    store = Store.open(study)
    assert store.provenance.noise["sigma_from"] == "given"
    rows = "\n".join(value for _, value in table_rows(store))
    assert "a.u." in rows
    assert "HU" not in rows
    layers = study_layers(store)
    assert not any("HU" in layer[1]["name"] for layer in layers)
    assert {layer[1]["metadata"]["ctinv"]["unit"] for layer in layers} == {"a.u.", "1"}
    assert any(layer[1]["name"] == "spread [a.u.]" for layer in layers)


def test_info_names_modality_and_unit(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(scan), *MR, "--unit", "counts", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["modality"], facts["unit"]) == ("MR", "counts")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sample", *BOX, "--out", "s.zarr", *MR], "made for images in HU"),
        (["denoise", "--out", "series", *MR], "for CT only"),
        (["denoise", "--out", "f.npy", *MR], "made for images in HU"),
        (["info", "--modality", "XR"], "no modality 'XR'"),
        (["info", "--unit", "a.u."], "only CT is in HU"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(
    scan: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([arguments[0], str(scan), *arguments[1:]]) == 1
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_window_of_a_layer_is_the_images_own() -> None:
    volume = mr_scan()
    _, arguments, _ = volume_layer(volume)
    assert arguments["name"] == "MR"
    assert arguments["contrast_limits"] == pytest.approx(tuple(np.percentile(volume.hu, [1, 99])))
