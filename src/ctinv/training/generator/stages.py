"""The three stages as turns of the loop.

The batch of the loop is a `Material`, as a tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctinv.denoiser import Denoiser
from ctinv.generators.kinds import KINDS
from ctinv.generators.model import Frame, GeneratorModel
from ctinv.networks.critics import Critic
from ctinv.networks.flows import bits_per_dimension
from ctinv.training.fit import Batch, Turn
from ctinv.training.generator.config import AutoencoderStage, GeneratorConfig
from ctinv.training.generator.losses import nfe_squared, perceptual
from ctinv.training.generator.material import Material
from ctinv.training.objectives.features import read_features
from ctinv.training.objectives.wgan_vgg import gradient_penalty


@dataclass(frozen=True, eq=False)
class Workshop:
    """What every stage works with.

    Attributes:
        config: The training.
        model: The generator.
        denoiser: f.
        radius: Its receptive-field radius in pixels.
        sigma_out: σ_out in HU, the unit of NFE.
    """

    config: GeneratorConfig
    model: GeneratorModel
    denoiser: Denoiser
    radius: int
    sigma_out: float

    def nfe_squared(self, x_tilde: Tensor, clean: Tensor) -> Tensor:
        """NFE² of a batch."""
        return nfe_squared(self.denoiser, x_tilde, clean, radius=self.radius, sigma_out=self.sigma_out)

    @property
    def fed_back(self) -> bool:
        """Whether what the generator makes can be fed back."""
        return KINDS[self.config.kind].domain == "input"


def material_of(batch: Batch) -> Material:
    """The loop's batch as what it is."""
    return Material(*batch)


def autoencoder_turns(shop: Workshop) -> list[Turn]:
    """Stage one: E and D, and a critic where one is asked for."""
    stage = shop.config.autoencoder_stage
    autoencoder = shop.model.autoencoder
    assert autoencoder is not None
    judge = _critic(shop, stage) if stage.adversarial else None
    features = read_features().features if stage.perceptual else None
    if features is not None:
        features.to(next(autoencoder.parameters()).device)

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        material = material_of(batch)
        frame = shop.model.frame(material.clean, material.phi)
        posterior = autoencoder.encode(shop.model.normalised(material.x), frame.c)
        made = decoded(shop.model, posterior.draw(generator), frame)
        pixels = material.x[0].numel()
        total = reconstruction(stage, made, material.x) + stage.kl * posterior.kl().mean() / pixels
        if features is not None:
            total = total + stage.perceptual * perceptual(features, made, material.x)
        if judge is not None:
            total = total - stage.adversarial * judge(seen(shop.model, made, frame)).mean()
        if stage.fibre and shop.fed_back:
            total = total + stage.fibre * shop.nfe_squared(made, material.clean)
        return total

    turns = [Turn("autoencoder", autoencoder, _adam(autoencoder, stage.learning_rate), loss)]
    return turns if judge is None else [_critic_turn(shop, stage, judge), *turns]


def decoded(model: GeneratorModel, z: Tensor, frame: Frame) -> Tensor:
    """D(z̄, c) in HU."""
    assert model.autoencoder is not None
    return model.autoencoder.decode(z, frame.c, frame.trunk) * model.std + model.mean


def reconstruction(stage: AutoencoderStage, made: Tensor, x: Tensor) -> Tensor:
    """|x̂ − x|/b or (x̂ − x)²/2b², mean over pixels."""
    error = (made - x) / stage.scale_hu
    return error.abs().mean() if stage.reconstruction == "l1" else 0.5 * error.square().mean()


def flow_turns(shop: Workshop) -> list[Turn]:
    """Stage two: the likelihood of latents, E held."""
    flow = shop.model.flow
    assert flow is not None

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        return likelihood_bits(shop, material_of(batch), generator)

    return [Turn("flow", flow, _adam(flow, shop.config.flow_stage.learning_rate), loss)]


def likelihood_bits(shop: Workshop, material: Material, generator: torch.Generator | None) -> Tensor:
    """-log2 p(z̄ given Φ(x)) per dimension, mean over the batch; E is held and in eval mode."""
    flow = shop.model.flow
    assert flow is not None
    if shop.model.autoencoder is not None:
        shop.model.autoencoder.eval()
    with torch.no_grad():
        frame = shop.model.frame(material.clean, material.phi)
        z = shop.model.latents(material.x, frame.c, generator)
    log_likelihood = flow.log_likelihood(z, flow.embed(material.phi))
    return bits_per_dimension(log_likelihood, z[0].numel()).mean()


def fibre_turns(shop: Workshop) -> list[Turn]:
    """Stage three: candidates drawn as in use are fed back; E is held, as the flow's targets hang on it."""
    stage, first = shop.config.fibre_stage, shop.config.autoencoder_stage
    model = shop.model
    moved = nn.ModuleList([part for part in (model.autoencoder, model.flow) if part is not None])

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        material = material_of(batch)
        frame = model.frame(material.clean, material.phi)
        total = material.x.new_zeros(())
        if model.flow is not None:
            total = total + likelihood_bits(shop, material, generator)
        if model.autoencoder is not None:
            with torch.no_grad():
                z = model.latents(material.x, frame.c, generator)
            total = total + reconstruction(first, decoded(model, z, frame), material.x)
        if stage.weight:
            made = model.draw(len(material.x), frame, generator)
            total = total + stage.weight * shop.nfe_squared(made, material.clean)
        return total

    return [Turn("fibre", moved, _adam(moved, stage.learning_rate), loss)]


Judge = Callable[[Tensor], Tensor]


def seen(model: GeneratorModel, image: Tensor, frame: Frame) -> Tensor:
    """What a critic sees of HU images: in network units, with f(x) beside where the generator sees it."""
    normal = model.normalised(image)
    return normal if frame.c is None else torch.cat([normal, frame.c.expand_as(normal)], dim=1)


def _critic(shop: Workshop, stage: AutoencoderStage) -> Critic:
    device = next(shop.denoiser.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(shop.config.seed + 1)
        inputs = 2 if shop.model.conditional else 1
        return Critic(shop.config.patch, stage.critic_channels, inputs=inputs).to(device)


def _critic_turn(shop: Workshop, stage: AutoencoderStage, critic: Critic) -> Turn:
    model = shop.model

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        material = material_of(batch)
        with torch.no_grad():
            frame = model.frame(material.clean, material.phi)
            made = decoded(model, model.latents(material.x, frame.c, generator), frame)
        fake, real = seen(model, made, frame), seen(model, material.x, frame)
        distance = critic(fake).mean() - critic(real).mean()
        return distance + stage.penalty * gradient_penalty(critic, real, fake, generator)

    rate = stage.learning_rate * stage.critic_rate
    return Turn("critic", critic, torch.optim.Adam(critic.parameters(), lr=rate, betas=(0.5, 0.999)), loss)


def _adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=rate)
