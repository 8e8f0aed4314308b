"""Objectives: what their formulas promise, and that each of them trains, stops and goes on exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ctinv.errors import InputError
from ctinv.networks.critics import Critic, UNetDiscriminator
from ctinv.training.fit import fit
from ctinv.training.objectives import OBJECTIVES, Setting, objective_from, objective_table
from ctinv.training.objectives.du_gan import cutmix_mask, edges
from ctinv.training.objectives.features import VggFeatures, read_features
from ctinv.training.objectives.l2 import L2
from ctinv.training.objectives.wgan_vgg import gradient_penalty
from ctinv.training.start import build


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def setting(*, patch: int = 36, margin: int = 2) -> Setting:
    return Setting(
        mean=0.0,
        std=500.0,
        patch=patch,
        margin=margin,
        learning_rate=1e-4,
        seed=0,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG16's shapes with random weights."""
    with torch.device("meta"):
        model = VggFeatures(13)
    state = {}
    for number, layer in enumerate(layer for layer in model.layers if isinstance(layer, nn.Conv2d)):
        state[f"features.{2 * number}.weight"] = 0.01 * torch.randn(
            layer.weight.shape, generator=seeded(number)
        )
        state[f"features.{2 * number}.bias"] = torch.zeros(layer.bias.shape)
    path = tmp_path_factory.mktemp("features") / "vgg16.safetensors"
    save_file({**state, "order_bgr": torch.ones(1)}, path)
    return path


def test_the_loss_ignores_the_margin():
    (turn,) = L2().turns(nn.Conv2d(1, 1, 1), setting(patch=10, margin=3))
    with torch.no_grad():
        turn.module.weight.fill_(1.0)
        turn.module.bias.zero_()
    image = torch.zeros(1, 1, 10, 10)
    image[..., :3, :] = 5.0
    assert turn.loss((image, torch.zeros_like(image)), seeded()) == 0
    image[..., 5, 5] = 4.0
    assert turn.loss((image, torch.zeros_like(image)), seeded()).item() == pytest.approx(4.0**2 / 16)


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_the_gradient_penalty_of_a_linear_critic_is_known(norm: float):
    weight = torch.randn(1, 64, generator=seeded())
    weight *= norm / weight.norm()
    critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    with torch.no_grad():
        critic[1].weight.copy_(weight)
    real, fake = (torch.randn(3, 1, 8, 8, generator=seeded(seed)) for seed in (1, 2))
    assert float(gradient_penalty(critic, real, fake, seeded()).detach()) == pytest.approx(
        (norm - 1) ** 2, abs=1e-6
    )


def test_the_gradient_penalty_looks_between_the_images():
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(image.detach())
            return image.sum(dim=(1, 2, 3))

    real, fake = torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2)
    gradient_penalty(Spy(), real, fake, seeded())
    share = seen[0][:, 0, 0, 0]
    assert (seen[0] == share[:, None, None, None]).all()
    assert 0 <= share.min() < 0.1
    assert 0.9 < share.max() <= 1


def test_cutmix_cuts_a_uniform_share_and_edges_of_a_ramp_are_its_slope():
    generator = seeded()
    shares = [float(1 - cutmix_mask(64, generator).mean()) for _ in range(2000)]
    assert set(cutmix_mask(16, generator).unique().tolist()) <= {0.0, 1.0}
    assert 0.25 < sum(shares) / len(shares) < 0.45  # 1/2, less what the border clips
    ramp = torch.arange(12.0)[None, None, :, None].expand(1, 1, 12, 12)
    assert (
        edges(3.0 * ramp)[..., 1:-1, 1:-1].sub(2 * 3.0).abs().max() < 1e-3
    )  # Sobel, divided by 4, sees two pixels


def test_features_are_recognised_by_their_layers_and_named_loudly(vgg16: Path, tmp_path: Path):
    found = read_features(str(vgg16))
    assert found.title == "VGG16 conv5_3 variant"
    assert len(found.sha256) == 64
    assert found.features(torch.zeros(1, 1, 32, 32)).shape == (1, 512, 2, 2)
    assert not any(parameter.requires_grad for parameter in found.features.parameters())
    save_file(
        {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)},
        tmp_path / "x.safetensors",
    )
    with pytest.raises(InputError, match="13 convolutions of VGG16 or the 16 of VGG19"):
        read_features(str(tmp_path / "x.safetensors"))
    with pytest.raises(InputError, match="fetch_feature_weights"):
        read_features(str(tmp_path / "nothing.safetensors"))


def test_the_fetched_weights_are_checked_whenever_they_are_read(
    vgg16: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from safetensors.torch import load_file

    from ctinv.training.objectives import features

    good = vgg16.read_bytes()
    monkeypatch.setattr(features, "feature_weights_folder", lambda: tmp_path)
    monkeypatch.setattr(features, "DEFAULT_SHA256", features.sha256_of(load_file(vgg16)))
    path = tmp_path / features.DEFAULT_WEIGHTS
    path.write_bytes(good)
    assert read_features().title == "VGG16 conv5_3 variant"
    for place in (len(good) // 3, len(good) // 2, len(good) - 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        with pytest.raises(InputError, match=r"are damaged; run scripts/fetch_feature_weights\.py"):
            read_features()


def test_torchvisions_weights_see_the_same_image_as_ours(vgg16: Path, tmp_path: Path):
    """The same network in torchvision's convention: RGB in units of the photographs' standard deviation."""
    from safetensors.torch import load_file

    state = load_file(vgg16)
    state.pop("order_bgr")
    scale = 255.0 * torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    state["features.0.weight"] = state["features.0.weight"].flip(1) * scale
    torch.save(state, tmp_path / "vgg.pth")
    image = 200 * torch.randn(1, 1, 32, 32, generator=seeded())
    ours, theirs = (read_features(str(path)).features for path in (vgg16, tmp_path / "vgg.pth"))
    torch.testing.assert_close(theirs(image), ours(image), rtol=1e-4, atol=1e-7)


SMALL: dict[str, dict[str, object]] = {
    "L2": {},
    "WGAN-VGG": {"critic_steps": 2, "critic_channels": 4, "perceptual": 10.0},
    "DU-GAN": {"channels": 4, "depth": 3},
}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_trains_the_denoiser_and_repeats_exactly(name: str, vgg16: Path):
    table = {"name": name, **SMALL[name], **({"feature_weights": str(vgg16)} if name == "WGAN-VGG" else {})}
    objective = objective_from(table, where="test")

    def batches(step: int) -> tuple[Tensor, Tensor]:
        clean = torch.randn(2, 1, 1, 1, generator=seeded(step)).expand(2, 1, 36, 36)
        return clean + 0.1 * torch.randn(2, 1, 36, 36, generator=seeded(step + 100)), clean

    def run() -> tuple[nn.Module, dict[str, float]]:
        network = build("CNN10", seed=0)
        turns = objective.turns(network, setting())
        assert turns[-1].name == "denoiser"
        assert turns[-1].module is network
        return network, fit(turns, batches, steps=2).losses

    state = torch.get_rng_state()
    first, losses = run()
    assert torch.equal(state, torch.get_rng_state())
    second, _ = run()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    before = build("CNN10", seed=0)
    assert all(not torch.equal(a, b) for a, b in zip(first.parameters(), before.parameters(), strict=True))
    assert all(abs(value) < 1e4 for value in losses.values())
    assert objective_from(objective_table(objective), where="test") == objective


@pytest.mark.parametrize(
    ("build_critic", "edge"),
    [(lambda: Critic(40, channels=4, hidden=8), 40), (lambda: UNetDiscriminator(4, 3), 32)],
)
def test_critics_judge_each_image_by_itself_and_reach_every_parameter(
    build_critic: Callable[[], nn.Module], edge: int
):
    torch.manual_seed(0)
    critic = build_critic().eval()
    images = torch.randn(3, 1, edge, edge, generator=seeded())
    answers, alone = critic(images), critic(images[1:2])
    whole, one = (found[0] if isinstance(found, tuple) else found for found in (answers, alone))
    assert whole.shape == (3, 1)
    torch.testing.assert_close(whole[1:2], one)
    parts = answers if isinstance(answers, tuple) else (answers,)
    sum(part.square().sum() for part in parts).backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in critic.parameters()
    )


def test_patches_that_do_not_fit_a_critic_get_one_sentence():
    with pytest.raises(InputError, match="29 pixels"):
        Critic(28)
    with pytest.raises(InputError, match="multiple of 8 pixels"):
        UNetDiscriminator(4, 3)(torch.zeros(1, 1, 36, 36))
    with pytest.raises(InputError, match=r"no objective 'GAN'; choose one of L2, WGAN-VGG, DU-GAN\."):
        objective_from({"name": "GAN"}, where="test")
