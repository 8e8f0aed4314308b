"""Reports of other studies: another modality, images of the target domain, an inner tap, and with a layer study."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from report_studies import BOX, Made

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene, TrainingFree
from ctinv.layer_study import study_layers
from ctinv.report.build import build
from ctinv.resources import validation_file
from ctinv.sampler import InvarianceSampler, Samples
from ctinv.simulate import add_rician_noise
from ctinv.volume import Box, Volume

QUICK = ("noise-consistency", "representatives")


class Brighter:
    """f(x) a little brighter or darker as a whole: an image as f should make it."""

    def __init__(self, scene: Scene) -> None:
        self.patch = scene.patch

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> torch.Tensor:
        return self.patch + torch.from_numpy(seeds.normal(rows, 1, CANDIDATE))[:, :, None, None]


def test_images_of_the_target_domain_have_no_certificates(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer = TrainingFree("brighter", Brighter, domain="target")
    monkeypatch.setattr("ctinv.sampler.sampler.find_generator", lambda *_: proposer)
    samples = InvarianceSampler(made.denoiser, generator="brighter", device="cpu").sample(
        made.volume, BOX, n=7
    )
    report = build(samples, denoiser=made.denoiser)
    page = re.sub('data:image/png;base64,[^"]*', "", report.html.decode())
    assert '<body class="target">' in page
    assert "NO CERTIFICATES" in page
    assert "7 images of the target domain, not fed back" in page
    assert re.findall(r"\b(CERTIFIED|FAILED|samples hold|nan|NFE before)\b", page) == []
    assert {"F1/spread", "F2/nps", "F8/sample-0"} <= set(report.pictures)
    assert not {"F1/worst", "F5/nfe"} & set(report.pictures)
    assert all("fed" in one["absent"] for one in report.record.content["findings"].values())


@pytest.fixture(scope="module")
def magnetic() -> tuple[Samples, Denoiser]:
    """A head in arbitrary units with Rician noise, and a blur that knows its unit."""
    y, x = np.mgrid[:96, :96] - 47.5
    head = np.where(np.hypot(y / 1.15, x) < 40, 500.0, 0.0) + np.where(np.hypot(y - 9, x - 6) < 5, 260.0, 0.0)
    affine = np.array([[0, 0, 1.2, 0], [0, 0.9, 0, 0], [4.0, 0, 0, 0], [0, 0, 0, 1]])
    clean = Volume(np.stack([head] * 2).astype(np.float32), affine, "head", modality="MR", unit="a.u.")
    line = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    network = torch.nn.Conv2d(1, 1, 7, padding=3, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor(np.outer(line, line) / line.sum() ** 2)[None, None])
    blur = Denoiser(network, name="blur", std=100.0, unit="a.u.")
    sampler = InvarianceSampler(blur, tier="T3", device="cpu")
    return sampler.sample(add_rician_noise(clean, sigma=20.0, seed=0), Box(1, 40, 60, 38, 60), n=10), blur


def test_units_and_pixels_of_another_modality_are_those_of_the_scan(
    magnetic: tuple[Samples, Denoiser],
) -> None:
    samples, blur = magnetic
    report = build(samples, denoiser=blur, analyses=QUICK)
    page = report.html.decode()
    body = page.split("</style>")[1].split("<details>")[0].replace("sentence", "")
    assert "a.u." in body
    assert " HU" not in body
    assert "MR, 2 × 96 × 96 voxels (slices, rows, columns) of 4 × 0.9 × 1.2 mm" in body
    assert "cycles/pixel" in body
    assert "1/mm)" not in body  # bands per pixel have no frequency in mm where pixels are not square
    assert "sentence" in report.record.content["findings"]["representatives"]


def test_an_inner_tap_is_judged_by_its_own_noise(made: Made) -> None:
    sampler = InvarianceSampler(made.denoiser, tap="conv1", device="cpu")
    samples = sampler.sample(made.volume, Box(1, 180, 192, 156, 168), n=6)
    page = build(samples, denoiser=made.denoiser, analyses=["noise-consistency"]).html.decode()
    assert "the same representation at conv1" in page
    assert "of the RMS with which this tap answers to the noise of the scan" in page
    assert "error at the tap" in page
    assert "share of the noise response" in page


def test_a_layer_study_of_the_same_region_adds_every_tap(
    made: Made, samples: Samples, tmp_path: Path
) -> None:
    page = study_layers(made.denoiser, made.volume, BOX, taps=["output"], n=2, device="cpu").to_json()
    path = tmp_path / "layers.json"
    path.write_text(json.dumps(page))
    report = build(samples, absent="it is elsewhere.", analyses=[], layers=path)
    tap = report.record.content["layers"]["taps"][0]
    tiers = page["taps"][0]["tiers"]
    assert {name: row["d_eff"] for name, row in tap["tiers"].items()} == {
        row["name"]: row["d_eff"] for row in tiers
    }
    assert "F7/taps" in report.pictures
    other = replace(samples, provenance=replace(samples.provenance, box="1,0:24,0:24"))
    with pytest.raises(InputError, match="another scan, region or network"):
        build(other, absent="it is elsewhere.", analyses=[], layers=path)
    path.write_text("{}")
    with pytest.raises(InputError, match="the JSON that ctinv layers writes"):
        build(samples, absent="it is elsewhere.", analyses=[], layers=path)


def test_the_last_validation_stands_in_the_report(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped result of this version; and one in which a rule is broken says so."""
    report = build(samples, absent="it is elsewhere.", analyses=[])
    parts = {part["name"]: part for part in report.record.content["validation"]["parts"]}
    assert {"G1", "G1b", "G2", "G4", "G3-circle", "G3-sphere"} <= set(parts)
    assert parts["G1"]["laws"][1] >= 15  # rules times seeds
    assert all(caught == count >= 3 for caught, count in (parts[name]["controls"] for name in ("G1", "G2")))
    assert b"No validation result" not in report.html
    shipped = json.loads(validation_file().read_text(encoding="utf-8"))
    shipped["parts"]["G1"]["failures"] = ["seed 0: std ratio 1.2"]
    broken = tmp_path / "validation.json"
    broken.write_text(json.dumps(shipped), encoding="utf-8")
    monkeypatch.setattr("ctinv.report.collect.outside.validation_file", lambda: broken)
    page = build(samples, absent="it is elsewhere.", analyses=[]).html.decode()
    assert "std ratio 1.2" in page
    assert "FAILED" in page
    monkeypatch.setattr("ctinv.report.collect.outside.validation_file", lambda: tmp_path / "none.json")
    assert b"No validation result" in build(samples, absent="it is elsewhere.", analyses=[]).html
