"""The shipped generators: small, whole, readable by MONAI, and of the denoisers and taps that are promised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from ctinv.denoiser import load_denoiser
from ctinv.generators.find import available, find_generator
from ctinv.generators.kinds import KINDS
from ctinv.generators.library import INFERENCE, METADATA, Entry, generators_folder, shipped_generators
from ctinv.generators.trained import Trained
from ctinv.representation import Representation

ENTRIES = shipped_generators()
LIMIT_BYTES = 60e6


def name_of(entry: Entry) -> str:
    return entry.folder.name


def test_the_promised_generators_are_there() -> None:
    for denoiser in ("cnn10", "wganvgg"):
        loaded = load_denoiser(denoiser)
        at_output = set(available(Representation(loaded)))
        assert at_output == {"renoise", "metamer", *KINDS}
        for tap in loaded.taps:
            assert "vae_cinn" in available(Representation(loaded, tap)), (denoiser, tap)


def test_together_they_are_small() -> None:
    total = sum(path.stat().st_size for path in generators_folder().rglob("*") if path.is_file())
    assert total <= LIMIT_BYTES


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_every_tap_loads_and_the_card_says_what_was_measured(entry: Entry) -> None:
    card = (entry.folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "ctinv train generator" in card
    assert "/tmp" not in (entry.folder / METADATA).read_text(encoding="utf-8")
    for tap in entry.taps:
        model = Trained(entry, tap).load(torch.device("cpu"))
        assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
        figures = list(entry.about["taps"][tap]["figures"].values())[-1]
        assert f"{figures['spread_hu']:.3g}" in card
        if "bits" in figures:
            assert figures["bits"] < figures["bits_diagonal"]


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_monai_builds_the_same_networks_from_the_definitions(entry: Entry) -> None:
    from monai.bundle import ConfigParser

    parser = ConfigParser(json.loads((entry.folder / INFERENCE).read_text(encoding="utf-8")))
    tap = entry.taps[-1]
    model = Trained(entry, tap).load(torch.device("cpu"))
    for role in ("autoencoder", "flow"):
        part = entry.about["taps"][tap][role]
        if part:
            with torch.random.fork_rng(devices=[]):
                built = parser.get_parsed_content(part["definition"])
            wanted = getattr(model, role).state_dict()
            assert {key: value.shape for key, value in built.state_dict().items()} == {
                key: value.shape for key, value in wanted.items()
            }


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_the_metadata_follow_the_schema_of_monai(entry: Entry) -> None:
    schema = os.environ.get("CTINV_MONAI_SCHEMA")
    if not schema:
        pytest.skip("set CTINV_MONAI_SCHEMA to MONAI's meta_schema_20240725.json")
    import jsonschema

    content = json.loads((entry.folder / METADATA).read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads(Path(schema).read_text(encoding="utf-8")))


def test_a_generator_of_the_target_domain_says_so_in_its_card() -> None:
    entry = next(entry for entry in ENTRIES if entry.kind == "vae_y")
    assert "target domain" in (entry.folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert find_generator("vae_y", Representation(load_denoiser("cnn10"))).domain == "target"
