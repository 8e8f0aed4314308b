"""Laws of autoencoders: gradients, files, rows, and what is known exactly: KL, PCA and sub-pixel upsampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from monai.networks.blocks import SubpixelUpsample
from network_laws import check_gradients, check_rows, check_saved, normal, seeded, stirred
from torch import Tensor

from ctinv.errors import InputError
from ctinv.networks.autoencoder import Autoencoder, Posterior
from ctinv.networks.autoencoders import AUTOENCODERS, LinearAutoencoder, SpatialAutoencoder
from ctinv.networks.vector_autoencoder import VectorAutoencoder, beside, upsampled_convolution

TINY = {"patch": 32, "channels": 4, "encoder": "resnet18", "encoder_width": 0.125, "classes": 6}
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {  # name: (registry, edge of an image, arguments)
    "spatial": ("SpatialAutoencoder", 24, {"latent": 3, "channels": 6, "depth": 1}),
    "spatial, no condition": ("SpatialAutoencoder", 24, {"latent": 3, "channels": 6, "conditional": False}),
    "vector": ("VectorAutoencoder", 32, {"latent": 24, **TINY}),
    "vector, no condition": ("VectorAutoencoder", 32, {"latent": 24, **TINY, "conditional": False}),
    "vector, plain": ("VectorAutoencoder", 32, {"latent": 24, **TINY, "classes": 0, "attention": False}),
    "linear": ("LinearAutoencoder", 24, {"latent": 5, "factor": 4}),
    "linear, with condition": ("LinearAutoencoder", 24, {"latent": 5, "factor": 4, "conditional": True}),
}


def make(case: str) -> Autoencoder:
    name, _, arguments = CASES[case]
    return AUTOENCODERS[name](**arguments)


def started(case: str) -> tuple[Autoencoder, Tensor, Tensor | None]:
    """An autoencoder in eval mode that has seen data, its weights moved; four images and their conditions."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(
            0
        )  # rounding in single precision depends on the weights, which must not on the tests' order
        autoencoder = stirred(make(case))
    x = normal(4, 1, CASES[case][1], CASES[case][1])
    c = 0.5 * x + 0.1 if autoencoder.conditional else None
    autoencoder.initialise(x, c)
    return autoencoder, x, c


def test_every_autoencoder_is_under_the_laws():
    assert {name for name, *_ in CASES.values()} == set(AUTOENCODERS)


@pytest.mark.parametrize("case", CASES)
def test_shapes_are_those_that_are_promised(case: str):
    autoencoder, x, c = started(case)
    z = autoencoder.encode(x, c).draw(seeded())
    grid = x.shape[-1] // autoencoder.factor
    assert z.shape == (4, autoencoder.latent, *(() if autoencoder.patch else (grid, grid)))
    assert autoencoder.decode(z, c, autoencoder.trunk(c)).shape == x.shape
    assert autoencoder.patch in (None, x.shape[-1])


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("linear")])
def test_reconstruction_and_kl_train_every_weight(case: str):
    autoencoder, x, c = started(case)
    autoencoder.train()
    posterior = autoencoder.encode(x, c)
    made = autoencoder.decode(posterior.draw(seeded()), c, autoencoder.trunk(c))
    check_gradients(autoencoder, (made - x).square().mean() + posterior.kl().mean())


@pytest.mark.parametrize("case", CASES)
def test_weights_travel_through_a_file(case: str):
    x = normal(3, 1, CASES[case][1], CASES[case][1])

    def use(autoencoder: Autoencoder) -> Tensor:
        c = 0.5 * x if autoencoder.conditional else None
        z = autoencoder.encode(x, c).mean
        return autoencoder.decode(z + 1.0, c, autoencoder.trunk(c)).detach()

    def build() -> Autoencoder:
        autoencoder = make(case).double()
        if case.startswith("linear"):  # it has no weights of its own before it has seen data
            images = torch.randn_like(x)
            autoencoder.initialise(images, None)
        return autoencoder

    check_saved(build, use)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
@pytest.mark.parametrize("case", CASES)
def test_a_row_does_not_depend_on_the_others(case: str, dtype: torch.dtype, tolerance: float):
    autoencoder, x, c = started(case)
    autoencoder, x, c = autoencoder.to(dtype), x.to(dtype), None if c is None else c[:1].to(dtype)
    with torch.no_grad():
        trunk = autoencoder.trunk(c)
        z = autoencoder.encode(x, c).mean
        check_rows(lambda rows: autoencoder.encode(rows, c).mean, x, tolerance)
        check_rows(lambda rows: autoencoder.decode(rows, c, trunk), z, tolerance)


@pytest.mark.parametrize("case", CASES)
def test_the_condition_of_one_slice_serves_all_its_samples(case: str):
    autoencoder, x, c = started(case)
    z = autoencoder.encode(x, c).mean
    one, repeated = (None, None) if c is None else (c[:1], c[:1].expand_as(x))
    torch.testing.assert_close(
        autoencoder.decode(z, one, autoencoder.trunk(one)),
        autoencoder.decode(z, repeated, autoencoder.trunk(repeated)),
        rtol=0, atol=1e-11,
    )  # fmt: skip


def test_kl_and_draws_are_those_of_gaussians():
    posterior = Posterior(normal(3, 4, 2, 2), normal(3, 4, 2, 2, seed=1) - 1.0)
    scale = (0.5 * posterior.log_variance).exp()
    q = torch.distributions.Normal(posterior.mean, scale)
    p = torch.distributions.Normal(torch.zeros_like(scale), torch.ones_like(scale))
    expected = torch.distributions.kl_divergence(q, p).flatten(1).sum(1)
    torch.testing.assert_close(posterior.kl(), expected)
    before = torch.get_rng_state()
    assert torch.equal(posterior.draw(seeded(3)), posterior.draw(seeded(3)))
    assert torch.equal(torch.get_rng_state(), before)
    many = Posterior(torch.full((20_000, 1), 2.0), torch.full((20_000, 1), -2.0)).draw(seeded())
    assert abs(float(many.mean()) - 2.0) < 0.01
    assert abs(float(many.std()) / 0.3679 - 1.0) < 0.02


@pytest.mark.parametrize("conditional", [False, True])
def test_pca_leaves_the_discarded_eigenvalues(conditional: bool):
    x = F.avg_pool2d(normal(6, 1, 26, 26), 3, stride=1) + 0.4  # smooth, so the components differ
    c = F.avg_pool2d(x, 3, stride=1, padding=1) if conditional else None
    autoencoder = LinearAutoencoder(5, factor=4, conditional=conditional).double()
    autoencoder.initialise(x, c)
    made = autoencoder.decode(autoencoder.encode(x, c).mean, c, autoencoder.trunk(c))
    images = x if c is None else x - c
    blocks = F.unfold(images - images.mean(), 4, stride=4).transpose(1, 2).reshape(-1, 16)
    values = torch.linalg.eigvalsh(blocks.T @ blocks / len(blocks))
    torch.testing.assert_close((made - x).square().sum() / len(blocks), values[:11].sum())
    z = autoencoder.encode(x, c).mean.movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(5, dtype=torch.float64))


def test_the_spatial_autoencoder_starts_as_the_pca_of_what_f_took_away():
    autoencoder = SpatialAutoencoder(latent=3, channels=6).double()
    x = F.avg_pool2d(normal(4, 1, 26, 26), 3, stride=1)
    c = 0.5 * x
    autoencoder.initialise(x, c)
    linear = (autoencoder.linear_out(autoencoder.linear_in(x - c)) + c).detach()
    made = autoencoder.decode(autoencoder.encode(x, c).mean, c, autoencoder.trunk(c))
    error = (linear - x).square().mean()
    blocks = F.unfold(x - c, 4, stride=4).transpose(1, 2).reshape(-1, 16)
    values = torch.linalg.eigvalsh(blocks.T @ blocks / len(blocks))
    torch.testing.assert_close(error * 16, values[:13].sum())
    assert abs(float((made.detach() - x).square().mean() / error) - 1.0) < 0.1


def test_subpixel_upsampling_is_a_convolution_and_an_interleaving():
    layer = SubpixelUpsample(2, 3, 2, 4, apply_pad_pool=False).double()
    image = normal(2, 3, 5, 6)
    flat = F.conv2d(image, layer.conv_block.weight, layer.conv_block.bias, padding=1)
    expected = torch.empty(2, 2, 20, 24, dtype=torch.float64)
    for channel in range(2):
        for row in range(4):
            for column in range(4):
                expected[:, channel, row::4, column::4] = flat[:, 16 * channel + 4 * row + column]
    torch.testing.assert_close(layer(image), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (3, 7), (1, 1)])
def test_upsampling_and_convolution_are_one_convolution_and_an_interleaving(size: tuple[int, int]):
    image, weight = normal(2, 3, *size), normal(5, 3, 3, 3, seed=1)
    doubled = F.interpolate(image, scale_factor=2, mode="nearest")
    expected = F.conv2d(doubled, weight, padding=1)
    torch.testing.assert_close(upsampled_convolution(image, weight), expected, rtol=0, atol=1e-12)
    transposed = upsampled_convolution(image, weight.mT)  # the check sees a kernel that lies the wrong way
    assert float((transposed - expected).abs().max()) > 0.1


def test_the_vector_decoder_sees_area_means_of_the_condition():
    c = normal(1, 1, 16, 16)
    seen = beside(torch.zeros(3, 2, 4, 4, dtype=torch.float64), c)[:, 2:]
    expected = c.reshape(4, 4, 4, 4).mean(dim=(1, 3)).expand(3, 1, 4, 4)
    torch.testing.assert_close(seen, expected)


@pytest.mark.parametrize("conditional", [True, False])
def test_the_vector_autoencoder_has_the_published_size(conditional: bool):
    with torch.device("meta"):
        autoencoder = VectorAutoencoder(conditional=conditional)
    count = sum(parameter.numel() for parameter in autoencoder.parameters())
    assert f"{count:,}" in (VectorAutoencoder.__doc__ or "")
    assert abs(count / (108_976_095 if conditional else 108_941_690) - 1) < 2e-3
    if conditional:
        assert sum(parameter.numel() for parameter in autoencoder.encoder.parameters()) == 24_553_984


def test_a_small_vector_autoencoder_learns_on_a_cpu():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        autoencoder = VectorAutoencoder(64, **(TINY | {"channels": 16, "encoder_width": 0.25}))
    x = F.avg_pool2d(normal(8, 1, 36, 36, dtype=torch.float32), 5, stride=1) * 3
    c, generator = F.avg_pool2d(x, 3, stride=1, padding=1), seeded(4)
    optimiser = torch.optim.Adam(autoencoder.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        posterior = autoencoder.encode(x, c)
        made = autoencoder.decode(posterior.draw(generator), c, autoencoder.trunk(c))
        loss = (made - x).abs().mean() / 0.1 + posterior.kl().mean() / x[0].numel()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda: VectorAutoencoder(encoder="vgg"), "resnet50"),
        (lambda: VectorAutoencoder(64, patch=48), "power of 2"),
        (lambda: VectorAutoencoder(4, patch=32), "latents"),
        (lambda: LinearAutoencoder(17, factor=4), "16 channels"),
        (lambda: SpatialAutoencoder(17, factor=4), "16 channels"),
        (lambda: make("vector").encode(torch.zeros(1, 1, 40, 40), torch.zeros(1, 1, 40, 40)), "32x32"),
    ],
)
def test_what_makes_no_network_gets_one_sentence(wrong, word: str):
    with pytest.raises(InputError, match=word):
        wrong()
