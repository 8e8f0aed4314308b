"""Laws of the denoiser: HU in and out, taps that agree with the whole, no trace left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError, ModelError
from ctinv.io.dicom import read_series
from ctinv.models.ladder import find_network
from ctinv.models.shipped import find_by_hash, shipped
from ctinv.networks import NETWORKS, taps_of
from ctinv.quality.fidelity import body_rmse
from ctinv.representation import Representation
from ctinv.resources import bundles_folder, ct_folder
from ctinv.training.start import build


@pytest.fixture(params=list(NETWORKS))
def denoiser(request: pytest.FixtureRequest) -> Denoiser:
    narrow = request.param in ("REDCNN", "DUGAN", "NoiseSubtractionResNet")
    network = build(request.param, seed=1, arguments={"channels": 8} if narrow else {})
    taps = taps_of(NETWORKS[request.param], network)
    return Denoiser(network, name="d", mean=-350.0, std=500.0, taps=taps)


@pytest.fixture
def x() -> torch.Tensor:
    return 200 * torch.randn(2, 1, 44, 42, generator=torch.Generator().manual_seed(0)) - 100


def hooks(module: nn.Module) -> int:
    return sum(len(part._forward_hooks) for part in module.modules())


def test_every_tap_works_and_leaves_no_hook(denoiser: Denoiser, x: torch.Tensor):
    assert denoiser.taps[0] == "input"
    assert denoiser.taps[-1] == "output"
    for tap in denoiser.taps:
        found = denoiser.activation(x, tap)
        assert found.shape[0] == 2
        assert found.shape[2:] == x.shape[2:]  # also behind unpadded convolutions
    assert hooks(denoiser) == 0


def test_input_is_the_identity_and_output_is_f(denoiser: Denoiser, x: torch.Tensor):
    assert denoiser.activation(x, "input") is x
    assert torch.equal(denoiser.activation(x, "output"), denoiser(x))


def test_the_tap_is_what_the_rest_of_the_network_sees(x: torch.Tensor):
    denoiser = Denoiser(build("CNN10", seed=1), name="d", mean=-350.0, std=500.0, taps=NETWORKS["CNN10"].taps)
    network = denoiser.network
    rest = network.conv3(denoiser.activation(x, "conv2")) * 500 - 350
    assert torch.equal(rest, denoiser(x))
    assert torch.equal(denoiser.activation(x, "conv1"), network.relu1(network.conv1((x + 350) / 500)))


def test_the_hook_is_gone_after_an_error_inside_the_network(x: torch.Tensor):
    denoiser = Denoiser(build("CNN10", seed=1), name="d", taps={"late": "relu2"})
    with pytest.raises(RuntimeError, match="channels"):
        denoiser.activation(torch.zeros(1, 3, 16, 16), "late")
    assert hooks(denoiser) == 0


def test_a_tap_that_does_not_exist_lists_those_that_do(denoiser: Denoiser):
    with pytest.raises(InputError, match=r"no tap 'conv99'; choose one of input, .*, output"):
        Representation(denoiser, "conv99")
    with pytest.raises(InputError, match="reserved"):
        Denoiser(build("CNN10", seed=1), name="d", taps={"output": "relu1"})


def test_normalisation_is_an_affine_change_of_unit(denoiser: Denoiser, x: torch.Tensor):
    """f with (mean + c, std) at x + c equals f at x plus c; with std scaled too, everything scales."""
    moved = Denoiser(denoiser.network, name="m", mean=denoiser.mean + 100, std=denoiser.std)
    assert torch.allclose(moved(x + 100), denoiser(x) + 100, atol=1e-3)
    scaled = Denoiser(denoiser.network, name="s", mean=0.0, std=2 * denoiser.std)
    assert torch.allclose(scaled(2 * (x - denoiser.mean)), 2 * (denoiser(x) - denoiser.mean), atol=1e-3)


def test_it_stays_frozen_and_in_eval_mode(denoiser: Denoiser, x: torch.Tensor):
    assert not denoiser.train().training
    assert not any(parameter.requires_grad for parameter in denoiser.parameters())
    differentiable = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(denoiser(differentiable).sum(), differentiable)
    assert gradient.abs().max() > 0  # with respect to the image it is differentiable


CT_DENOISERS = (
    "cnn10",
    "cnn10_independent",
    "wganvgg",
    "wganvgg_l2",
    "redcnn32",
    "dugan32",
    "resnet32",
    "t_net",
    "a_net",
)


def test_all_six_networks_are_shipped_and_small():
    assert set(shipped()) == {*CT_DENOISERS, "mri_cnn10"}
    used = {type(load_denoiser(name).network).__name__ for name in CT_DENOISERS}
    assert used == set(NETWORKS)
    files = [path for name in shipped() for path in (bundles_folder() / name).rglob("*")]
    size = sum(path.stat().st_size for path in files if path.is_file())
    assert size < 30e6


@pytest.mark.parametrize("name", CT_DENOISERS)
def test_the_shipped_denoisers_load_by_name_and_are_found_by_hash(name: str):
    denoiser = load_denoiser(name)
    assert denoiser.name == name
    (digest,) = denoiser.weights_sha256.values()
    assert find_by_hash(digest) == name
    with torch.no_grad():
        water = denoiser(torch.zeros(1, 1, 72, 72))[..., 26:-26, 26:-26]
    assert water.abs().max() < 10  # HU: a homogeneous region keeps its level


def test_the_shipped_denoisers_keep_the_level_of_every_tissue():
    for name in CT_DENOISERS:
        denoiser = load_denoiser(name)
        for level in (-1000.0, -850.0, -100.0, 50.0, 300.0, 1000.0):
            with torch.no_grad():
                flat = denoiser(torch.full((1, 1, 72, 72), level))[..., 26:-26, 26:-26]
            assert (flat - level).abs().max() < 20, (name, level)


def test_an_unknown_name_or_hash_gets_one_sentence():
    with pytest.raises(ModelError, match="the shipped ones are a_net, cnn10, "):
        find_network("redcnn")
    with pytest.raises(ModelError, match="no shipped denoiser has weights with sha256 0000"):
        find_by_hash("0" * 64)


def test_loading_imports_no_monai():
    code = (
        "import sys; from ctinv import load_denoiser; load_denoiser('cnn10'); print('monai' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.home()
    )
    assert answer.stdout.strip() == "False"


def test_the_shipped_denoisers_beat_the_low_dose_scan_on_the_shipped_ct():
    """By a fifth in RMSE over the body; they were trained on this patient, so this checks them, not their worth."""
    low, full = (read_series(ct_folder() / dose).hu[8] for dose in ("quarter_dose", "full_dose"))
    for name in CT_DENOISERS:
        with torch.no_grad():
            denoised = load_denoiser(name)(torch.from_numpy(low.copy())[None, None])[0, 0].numpy()
        assert body_rmse(denoised, full) < 0.8 * body_rmse(low, full), name
