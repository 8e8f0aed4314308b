"""DU-GAN: two U-Net discriminators, one for images and one for their gradients, with CutMix regularisation.

A discriminator D gives a verdict on the whole image and one on every pixel; ls(v, t) = E[(v − t)²], summed over both.
Discriminator: ls(D(y), 1) + ls(D(f(x)), 0) + ls(D(x), 0), and on a mixture m of y and f(x) by a mask M,
               ls(D(m), M) + λ_cut E[(D(m) − mixture of D(y) and D(f(x)))²] in half of the steps.
Denoiser:      λ_adv Σ_D ls(D(f(x)), 1) + λ_px E[(f(x) − y)²] + λ_grad E|∇f(x) − ∇y|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctinv.networks.critics import UNetDiscriminator
from ctinv.training.fit import Batch, Loss, Turn
from ctinv.training.objectives.setting import Setting

_EDGE_FLOOR = 1e-4  # keeps the gradient of the square root finite where the image is flat


@dataclass(frozen=True)
class DuGan:
    """Settings; the defaults are the publication's.

    Attributes:
        adversarial: λ_adv.
        pixel: λ_px.
        gradient: λ_grad.
        cutmix: λ_cut.
        cutmix_probability: Probability of a mixture in a step.
        channels: Filters of the discriminators' first level; 64 as published.
        depth: Halvings in the discriminators; 6 as published.
        critic_scale: HU that the discriminators see as 1; 0 for the network's own unit.
        critic_detail: σ in pixels of the blur that is taken from what they see; 0 for the whole image.
        critic_lead: Steps in which the discriminators learn alone.
        discriminator_rate: Learning rate of the discriminators in units of the denoiser's.

    References:
        Huang et al., DU-GAN: generative adversarial networks with dual-domain U-Net-based discriminators for low-dose CT
        denoising, IEEE TIM 71, 2022, doi 10.1109/TIM.2021.3128703.
        Yun et al., CutMix, ICCV 2019.
    """

    adversarial: float = 0.1
    pixel: float = 1.0
    gradient: float = 20.0
    cutmix: float = 1.0
    cutmix_probability: float = 0.5
    channels: int = 64
    depth: int = 6
    discriminator_rate: float = 1.0
    critic_scale: float = 0.0
    critic_detail: float = 0.0
    critic_lead: int = 0

    @property
    def title(self) -> str:
        """What was minimised."""
        narrow = (
            ""
            if (self.channels, self.depth) == (64, 6)
            else (f" of {self.channels} channels and depth {self.depth} (published: 64 and 6)")
        )
        return f"DU-GAN, dual-domain U-Net discriminators{narrow}"

    def turns(self, network: nn.Module, setting: Setting) -> list[Turn]:
        """The two discriminators' turns, then the denoiser's."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            judges = [UNetDiscriminator(self.channels, self.depth).to(setting.device) for _ in range(2)]
        domains = (_same, edges)

        def denoise(batch: Batch, _generator: torch.Generator) -> Tensor:
            denoised = network(batch[0])
            fake, real = setting.inner(denoised), setting.inner(batch[1])
            shown = setting.judged(denoised, self.critic_scale, self.critic_detail)
            fooled = sum(
                (
                    least_squares(judge(domain(shown)), 1.0)
                    for judge, domain in zip(judges, domains, strict=True)
                ),
                start=fake.new_zeros(()),
            )
            pixel = nn.functional.mse_loss(fake, real)
            gradient = nn.functional.l1_loss(edges(fake), edges(real))
            return self.adversarial * fooled + self.pixel * pixel + self.gradient * gradient

        turns = [
            Turn(
                name,
                judge,
                setting.adam(judge, factor=self.discriminator_rate),
                self._judging(network, judge, domain, setting),
            )
            for name, judge, domain in zip(("image critic", "edge critic"), judges, domains, strict=True)
        ]
        return [*turns, Turn("denoiser", network, setting.adam(network), denoise, begins=self.critic_lead)]

    def _judging(
        self, network: nn.Module, judge: nn.Module, domain: Callable[[Tensor], Tensor], setting: Setting
    ) -> Loss:
        """The loss of one discriminator."""

        def loss(batch: Batch, generator: torch.Generator) -> Tensor:
            with torch.no_grad():
                fake = domain(setting.judged(network(batch[0]), self.critic_scale, self.critic_detail))
            real, noisy = (
                domain(setting.judged(batch[side], self.critic_scale, self.critic_detail)) for side in (1, 0)
            )
            of_real, of_fake = judge(real), judge(fake)
            total = (
                least_squares(of_real, 1.0) + least_squares(of_fake, 0.0) + least_squares(judge(noisy), 0.0)
            )
            if float(torch.rand((), generator=generator, device=real.device)) >= self.cutmix_probability:
                return total
            mask = cutmix_mask(real.shape[-1], generator).to(real)
            whole, pixel = judge(mask * real + (1 - mask) * fake)
            mixed = mask * of_real[1] + (1 - mask) * of_fake[1]
            consistent = nn.functional.mse_loss(pixel, mixed)
            return total + (whole**2).mean() + ((pixel - mask) ** 2).mean() + self.cutmix * consistent

        return loss


def least_squares(verdict: tuple[Tensor, Tensor], target: float) -> Tensor:
    """ls of a verdict on whole images and on pixels."""
    whole, pixel = verdict
    return ((whole - target) ** 2).mean() + ((pixel - target) ** 2).mean()


def edges(image: Tensor) -> Tensor:
    """Magnitude of the Sobel gradient, (B, 1, P, P) to the same, in the image's unit per pixel."""
    rise = image.new_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 4
    kernels = torch.stack([rise, rise.T])[:, None]
    padded = nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    slope = nn.functional.conv2d(padded, kernels)
    return (slope.square().sum(dim=1, keepdim=True) + _EDGE_FLOOR).sqrt()


def cutmix_mask(edge: int, generator: torch.Generator) -> Tensor:
    """(edge, edge) of ones with a rectangle of zeros whose area is uniform in [0, 1], clipped at the border."""
    area, y, x = torch.rand(3, generator=generator, device=generator.device).tolist()
    half = edge * area**0.5 / 2
    mask = torch.ones(edge, edge)
    top, bottom = (round(min(max(edge * y + sign * half, 0), edge)) for sign in (-1, 1))
    left, right = (round(min(max(edge * x + sign * half, 0), edge)) for sign in (-1, 1))
    mask[top:bottom, left:right] = 0.0
    return mask


def _same(image: Tensor) -> Tensor:
    return image
