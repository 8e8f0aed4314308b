"""A network of the user's own: looked at in the computing process, asked about before code runs, and its card in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from napari.components import ViewerModel
from plugin_networks import torchscript, weights

from ctinv.models.trust import read_trust
from ctinv.resources import bundles_folder
from napari_ctinv.card_rows import card_rows
from napari_ctinv.session import Session, session_of
from napari_ctinv.session.network import ALWAYS, NEVER, ONCE, NetworkModel
from napari_ctinv.work.network import NetworkFacts


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("CTINV_CONFIG", str(tmp_path / "config"))
    viewer = ViewerModel()  # a session does not keep its viewer
    session = session_of(viewer)
    yield session
    session.close()


def asked(network: NetworkModel, path: Path) -> None:
    """Choose a program, and be asked about it."""
    network.own = path
    assert network.inspect().wait(120).state == "done"
    assert network.facts is None
    assert network.question is not None
    assert network.question.kind == "TorchScript"
    assert any("forward" in line for line in network.question.lines), "the code is shown"


def test_the_card_of_a_shipped_network(session: Session) -> None:
    network = session.network
    assert network.inspect().wait(120).state == "done"
    assert network.facts is not None
    rows = dict(card_rows(network.facts))
    assert rows["name"] == "cnn10"
    assert rows["parameters"] == "24,513"
    assert rows["convention"] == "sees (x + 350 HU) / 500 HU"
    assert rows["tap output"] == "1 × 512 × 512; sees 15 × 15 pixels"
    assert rows["model.safetensors"].startswith("sha256 02e0ffc9433c0656")
    assert "chest_lidc1" in rows["trained on"]
    network.name = "redcnn32"
    assert network.facts is None, "another network has another card"


def test_a_program_is_not_run_unless_it_is_trusted(session: Session, tmp_path: Path) -> None:
    network, path = session.network, torchscript(tmp_path)
    asked(network, path)
    assert network.answer(NEVER) is None
    assert (network.own, network.trust, network.facts) == (None, "", None)
    assert read_trust() == {}

    asked(network, path)
    assert network.question is not None
    sha256 = network.question.sha256
    run = network.answer(ONCE)
    assert run is not None
    assert run.wait(120).state == "done", network.activity.message
    assert network.facts is not None
    assert network.trust == sha256
    assert read_trust() == {}, "once is not for ever"
    assert network.taps[0] == "output"
    assert len(network.taps) > 2, "its layers can be tapped"

    network.own = None
    assert network.trust == "", "the next network is another one"
    asked(network, path)
    run = network.answer(ALWAYS)
    assert run is not None
    assert run.wait(120).state == "done"
    assert set(read_trust()) == {sha256}
    network.own = None
    network.own = path
    assert network.inspect().wait(120).state == "done"
    assert network.question is None, "it is remembered"
    assert network.facts is not None


def test_weights_need_their_class_and_convention_only_where_the_file_does_not_say(
    session: Session, tmp_path: Path
) -> None:
    network = session.network
    network.own = weights(tmp_path)
    card = tmp_path / "card.toml"
    card.write_text("mean_hu = -350\nstd_hu = 500\nflat_check = false\n")
    network.card, network.network_class = card, "REDCNN"
    assert network.inspect().wait(120).state == "failed"
    assert "mine.pt" in network.activity.message
    network.network_class = "CNN10"
    assert network.inspect().wait(120).state == "done", network.activity.message
    assert network.facts is not None
    assert network.facts.facts["network"] == "CNN10"
    assert network.taps == ["output", "conv1", "conv2", "input"]
    assert "as the card says" in dict(card_rows(network.facts))["known how"]


def test_generators_follow_the_weights_of_an_own_network(session: Session) -> None:
    network = session.network
    network.own = bundles_folder() / "cnn10"
    before = network.generators("output")
    assert network.inspect().wait(120).state == "done"
    assert network.generators("output") == before
    assert "pca" in before


def test_a_file_that_is_none_is_one_sentence(session: Session, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    session.network.own = tmp_path / "notes.txt"
    outcome = session.network.inspect().wait(120)
    assert outcome.state == "failed"
    assert "is no network" in outcome.message
    session.network.own = Path("no_such_module:make")
    assert "cannot be imported" in session.network.inspect().wait(120).message


def test_what_a_stranger_writes_into_a_bundle_is_shown_plainly() -> None:
    facts = {
        "name": "a\x1b[31m\u202eb",
        "network": "N",
        "parameters": 1,
        "unit": "HU",
        "mean_hu": 0.0,
        "std_hu": 1.0,
        "slices": 3,
        "how": (),
        "flat": {},
        "flops_per_megapixel": None,
        "taps": {"x": {"shape": None, "receptive_radius": "other grid"}},
        "weights_sha256": {},
    }
    rows = dict(card_rows(NetworkFacts(facts, {"description": "y" * 10_000})))
    assert rows["name"] == "a [31m b"
    assert len(rows["description"]) == 600
    assert rows["tap x"] == "shape unknown; other grid"
    assert "middle" in rows["slices"]
