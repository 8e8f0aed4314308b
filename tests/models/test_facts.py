"""What is said of a network without a scan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctinv.denoiser import load_denoiser
from ctinv.models.facts import network_facts, origin
from ctinv.models.shipped import METADATA, shipped
from ctinv.resources import bundles_folder


def quiet(_text: str, _share: float) -> None:
    """No progress."""


def test_facts_of_a_shipped_network_are_those_of_its_bundle() -> None:
    denoiser = load_denoiser("cnn10")
    facts = network_facts(denoiser, quiet)
    about = json.loads((bundles_folder() / "cnn10" / METADATA).read_text())["ctinv"]
    assert (facts["mean_hu"], facts["std_hu"], facts["unit"]) == (
        about["mean_hu"],
        about["std_hu"],
        about["unit"],
    )
    assert set(about["taps"]) < set(facts["taps"]) == set(denoiser.taps)
    assert facts["parameters"] == sum(one.numel() for one in denoiser.parameters())
    assert set(facts["weights_sha256"].values()) <= set(about["weights_sha256"].values())
    radii = [about["receptive_radius"] for about in facts["taps"].values()]
    assert radii == sorted(radii), "a later layer sees no less"


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_bundle_says_how_it_was_trained(name: str) -> None:
    found = origin(name)
    assert found["description"]
    assert found["training"]
    assert "figures" not in found["training"]
    assert found == origin(bundles_folder() / name)


def test_a_file_and_a_bundle_of_anything_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "weights.pt").write_bytes(b"x")
    assert origin(tmp_path) == origin(tmp_path / "weights.pt") == origin("module:function") == {}
    (tmp_path / METADATA).write_text(
        json.dumps({"description": 7, "ctinv": [], "authors": "", "references": []})
    )
    assert origin(tmp_path) == {}
