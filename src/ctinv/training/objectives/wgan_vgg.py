"""WGAN-VGG: Wasserstein distance with gradient penalty, and a perceptual distance.

Critic:    E[D(f(x))] − E[D(y)] + λ_gp E[(‖∇D(x̂)‖ − 1)²], x̂ between y and f(x).
Denoiser:  −E[D(f(x))] + λ_p E[‖V(f(x)) − V(y)‖²], V the last convolution of a VGG.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctinv.networks.critics import Critic
from ctinv.training.fit import Batch, Turn
from ctinv.training.objectives.features import read_features
from ctinv.training.objectives.setting import Setting


@dataclass(frozen=True)
class WganVgg:
    """Settings; the defaults are the publication's where it gives them.

    Attributes:
        perceptual: λ_p; the publication's 0.1 belongs to another scale of features.
        penalty: λ_gp.
        critic_steps: Turns of the critic before each of the denoiser.
        critic_channels: Filters of the critic's first layers; 64 as published.
        critic_rate: Learning rate of the critic in units of the denoiser's.
        critic_scale: HU that the critic sees as 1; 0 for the network's own unit.
        critic_detail: σ in pixels of the blur that is taken from what it sees; 0 for the whole image.
        critic_lead: Steps in which the critic learns alone.
        feature_weights: File of the VGG; empty for the default one, see `features.read_features`.

    References:
        Yang et al., Low-dose CT image denoising using a generative adversarial network with Wasserstein distance and
        perceptual loss, IEEE TMI 37(6), 2018, doi 10.1109/TMI.2018.2827462.
        Gulrajani et al., Improved training of Wasserstein GANs, NeurIPS 2017.
    """

    perceptual: float = 0.1
    penalty: float = 10.0
    critic_steps: int = 4
    critic_channels: int = 64
    critic_rate: float = 1.0
    critic_scale: float = 0.0
    critic_detail: float = 0.0
    critic_lead: int = 0
    feature_weights: str = ""

    @property
    def title(self) -> str:
        """What was minimised."""
        return f"WGAN-GP with a perceptual loss, {read_features(self.feature_weights).title}"

    def turns(self, network: nn.Module, setting: Setting) -> list[Turn]:
        """The critic's turns, then the denoiser's."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            critic = Critic(setting.inner_patch, self.critic_channels).to(setting.device)
        features = read_features(self.feature_weights).features.to(setting.device)

        def judge(batch: Batch, generator: torch.Generator) -> Tensor:
            with torch.no_grad():
                fake = setting.judged(network(batch[0]), self.critic_scale, self.critic_detail)
            real = setting.judged(batch[1], self.critic_scale, self.critic_detail)
            distance = critic(fake).mean() - critic(real).mean()
            return distance + self.penalty * gradient_penalty(critic, real, fake, generator)

        def denoise(batch: Batch, _generator: torch.Generator) -> Tensor:
            denoised = network(batch[0])
            fake, real = setting.inner(denoised), setting.inner(batch[1])
            with torch.no_grad():
                wanted = features(real * setting.std + setting.mean)
            perceptual = nn.functional.mse_loss(features(fake * setting.std + setting.mean), wanted)
            return (
                self.perceptual * perceptual
                - critic(setting.judged(denoised, self.critic_scale, self.critic_detail)).mean()
            )

        betas = (0.5, 0.9)
        return [
            Turn(
                "critic",
                critic,
                setting.adam(critic, factor=self.critic_rate, betas=betas),
                judge,
                self.critic_steps,
            ),
            Turn("denoiser", network, setting.adam(network, betas=betas), denoise, begins=self.critic_lead),
        ]


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """E[(‖∇D(x̂)‖ − 1)²] at images x̂ = a·real + (1 − a)·fake, a uniform for each, (B, 1, P, P)."""
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
