"""Training generators: three stages with one loop, each of which stops and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from generator_runs import SMALL, small_config
from safetensors.torch import load_file

from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.fibre.rows import RowSeeds
from ctinv.generators.contract import Scene
from ctinv.generators.find import find_generator
from ctinv.generators.kinds import KINDS
from ctinv.representation import Representation
from ctinv.training.generator import GeneratorConfig, GeneratorEvent, train_generator
from ctinv.volume import Box


class Cancelled(Exception):
    pass


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums of one thread are the same every time
    yield
    torch.set_num_threads(threads)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(pairs: Path, tmp_path: Path) -> None:
    config = small_config("cvae_cinn", fibre={"steps": 3})
    whole = train_generator(config, data_folder=pairs, out=tmp_path / "whole")
    assert list(whole["stages"]) == ["autoencoder", "flow", "fibre"]

    for stage in ("autoencoder", "flow", "fibre"):

        def cancel(event: GeneratorEvent, stage: str = stage) -> None:
            if (event.stage, event.step) == (stage, 3):
                raise Cancelled

        with pytest.raises(Cancelled):
            train_generator(config, data_folder=pairs, out=tmp_path / "parts", callback=cancel)
    parts = train_generator(config, data_folder=pairs, out=tmp_path / "parts")
    for file in ("autoencoder.safetensors", "flow.safetensors", "fibre.safetensors"):
        one, two = load_file(tmp_path / "whole" / file), load_file(tmp_path / "parts" / file)
        assert all(torch.equal(one[key], two[key]) for key in one), file
    assert parts["stages"] == whole["stages"]


def test_a_finished_run_does_nothing_again(pairs: Path, tmp_path: Path) -> None:
    config = small_config("cvae")
    train_generator(config, data_folder=pairs, out=tmp_path)
    events: list[GeneratorEvent] = []
    train_generator(config, data_folder=pairs, out=tmp_path, callback=events.append)
    assert events == []


def test_a_callback_that_is_true_ends_the_run_with_a_checkpoint(pairs: Path, tmp_path: Path) -> None:
    config = small_config("cvae")
    report = train_generator(config, data_folder=pairs, out=tmp_path, callback=lambda event: event.step == 2)
    assert "bundle" not in report
    assert (tmp_path / "autoencoder.checkpoint.safetensors").is_file()
    assert "bundle" in train_generator(config, data_folder=pairs, out=tmp_path)


def test_other_settings_are_refused(pairs: Path, tmp_path: Path) -> None:
    train_generator(small_config("cvae"), data_folder=pairs, out=tmp_path)
    with pytest.raises(ModelError, match="another seed"):
        train_generator(small_config("cvae", seed=1), data_folder=pairs, out=tmp_path)


def test_a_finished_autoencoder_serves_another_tap(pairs: Path, tmp_path: Path) -> None:
    train_generator(small_config("vae_cinn"), data_folder=pairs, out=tmp_path / "first")
    settings = small_config("vae_cinn")
    table = {**settings.autoencoder, "start": str(tmp_path / "first")}
    config = small_config("vae_cinn", tap="conv1", autoencoder=table)
    report = train_generator(config, data_folder=pairs, out=tmp_path / "second")
    first, second = (load_file(tmp_path / run / "autoencoder.safetensors") for run in ("first", "second"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert str(tmp_path) not in json.dumps(report["config"])  # folders by their bare names


def test_the_flow_learns_with_the_autoencoder_held_in_eval_mode(pairs: Path, tmp_path: Path) -> None:
    train_generator(small_config("cvae_cinn"), data_folder=pairs, out=tmp_path)
    kept = load_file(tmp_path / "cvae_cinn_cnn10_output" / "models" / "autoencoder.safetensors")
    stage_one = load_file(tmp_path / "autoencoder.safetensors")
    assert all(torch.equal(kept[key], stage_one[f"autoencoder.{key}"]) for key in kept)


def test_the_fibre_loss_lowers_nfe_of_the_same_network(pairs: Path, tmp_path: Path) -> None:
    """Against the control that trains as long with λ = 0."""
    found = {}
    for weight in (0.0, 10.0):
        fibre = {"steps": 25, "weight": weight, "learning_rate": 3e-3}
        report = train_generator(
            small_config("cvae_cinn", fibre=fibre), data_folder=pairs, out=tmp_path / f"{weight}"
        )
        found[weight] = report["stages"]["fibre"]["figures"]["nfe_raw"]
    assert found[10.0] < 0.8 * found[0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_with_its_defaults_named(kind: str) -> None:
    config = GeneratorConfig(kind=kind, **SMALL)
    assert config.name == f"{kind}_cnn10_output"
    assert set(config.to_json()["autoencoder"]) >= {"network", "steps", "kl", "perceptual", "adversarial"}


def test_settings_that_do_not_fit_are_said(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained generator 'gan'"):
        GeneratorConfig(kind="gan")
    with pytest.raises(InputError, match="no network 'UNet'"):
        GeneratorConfig(kind="cvae", autoencoder={"network": "UNet"})
    with pytest.raises(InputError, match="unknown key 'stepz'"):
        GeneratorConfig(kind="cvae", flow={"stepz": 3})
    wrong = small_config("vae_cinn", autoencoder={"steps": 1, "arguments": {"conditional": True}})
    with pytest.raises(InputError, match="other parts were given"):
        train_generator(wrong, data_folder=pairs, out=tmp_path)
    with pytest.raises(InputError, match="made for images in a"):
        train_generator(small_config("cvae", denoiser="mri_cnn10"), data_folder=pairs, out=tmp_path)


def test_the_vector_form_of_the_papers_trains_and_makes_patches_only(
    pairs: Path, tmp_path: Path, scene: Callable[..., Scene]
) -> None:
    small = {"patch": 32, "latent": 16, "channels": 4, "encoder": "resnet18", "encoder_width": 0.125}
    config = small_config(
        "cvae_cinn",
        autoencoder={
            "network": "VectorAutoencoder",
            "steps": 2,
            "arguments": {**small, "classes": 0, "attention": False},
        },
        flow={
            "network": "VectorFlow",
            "steps": 2,
            "arguments": {"blocks": 2, "hidden": 8, "width": 4, "features": 8},
        },
    )
    bundle = train_generator(config, data_folder=pairs, out=tmp_path)["bundle"]
    proposer = find_generator(bundle, Representation(load_denoiser("cnn10")))
    rows, seeds = range(2), RowSeeds(0, "series", "place")
    assert proposer.on(scene(Box(0, 44, 48, 0, 4))).candidates(rows, seeds).shape == (2, 1, 4, 4)
    with pytest.raises(InputError, match="patches of 32 x 32 pixels"):
        proposer.on(scene(Box(0, 33, 57, 30, 50)))


def test_an_adversary_and_the_target_domain_take_part(pairs: Path, tmp_path: Path) -> None:
    table = {**small_config("vae_y").autoencoder, "adversarial": 0.1, "critic_channels": 4}
    config = small_config("vae_y", autoencoder=table)
    losses: list[GeneratorEvent] = []
    report = train_generator(config, data_folder=pairs, out=tmp_path, callback=losses.append)
    assert set(losses[0].losses) == {"critic", "autoencoder"}
    assert (
        "nfe_raw" not in report["stages"]["autoencoder"]["figures"]
    )  # images of the target domain are not fed back
