"""A trained generator as one module: from v ~ N(0, I), Φ(x) and f(x) to candidates x_c in HU.

| parts | candidate |
|---|---|
| autoencoder and flow | x_c = D(t⁻¹(v given Φ(x)), c) |
| autoencoder alone | x_c = D(v, c) |
| flow alone | x_c = f(x) + s·t⁻¹(v given Φ(x)) |

with c = f(x), or nothing. Training and sampling use this one module; only it knows the scale of the networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctinv.errors import InputError
from ctinv.generators.kinds import KINDS
from ctinv.networks.autoencoders import Autoencoder
from ctinv.networks.flows import Embedded, Flow, ImageFlow


@dataclass(frozen=True, eq=False)
class Frame:
    """What all candidates of one image share; computed once.

    Attributes:
        size: (H, W) of the image.
        c: (B or 1, 1, H, W) f(x) in network units, or None.
        trunk: What D needs of c, or None.
        embedded: H(Φ(x)), or None without a flow.
    """

    size: tuple[int, int]
    c: Tensor | None
    trunk: Tensor | None
    embedded: Embedded | None


class GeneratorModel(nn.Module):
    """Autoencoder and flow of one kind at one tap.

    Args:
        kind: A key of `KINDS`.
        autoencoder: E and D, or None.
        flow: t, or None.
        mean, std: HU that the autoencoder sees as 0, and HU it sees as 1.
        scale: s, HU that a flow on image space sees as 1.

    Raises:
        InputError: The parts are not those of the kind.
    """

    def __init__(
        self,
        kind: str,
        *,
        autoencoder: Autoencoder | None,
        flow: Flow | None,
        mean: float,
        std: float,
        scale: float = 30.0,
    ) -> None:
        super().__init__()
        rule = KINDS[kind]
        conditional = autoencoder.conditional if autoencoder is not None else isinstance(flow, ImageFlow)
        wrong = (
            (autoencoder is not None) != rule.autoencoder
            or rule.conditional not in (None, conditional)
            or rule.flow not in (None, flow is not None)
            or (flow is None and not conditional)
        )
        if wrong:
            raise InputError(f"a generator {kind} is {rule.title}; other parts were given.")
        self.kind, self.conditional = kind, conditional
        self.autoencoder, self.flow = autoencoder, flow
        self.mean, self.std, self.scale = mean, std, scale

    @property
    def multiple(self) -> int:
        """Sides of an image must be multiples of this."""
        if self.autoencoder is not None:
            return self.autoencoder.factor
        assert isinstance(self.flow, ImageFlow)
        return int(2**self.flow.levels)

    @property
    def patch(self) -> int | None:
        """Edge of the only images it can make; None where any size will do."""
        return None if self.autoencoder is None else self.autoencoder.patch

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Shape of v for an image of this (H, W)."""
        grid = (size[0] // self.multiple, size[1] // self.multiple)
        if self.flow is not None:
            return self.flow.shape_of(grid)
        assert self.autoencoder is not None
        return (self.autoencoder.latent,) if self.patch else (self.autoencoder.latent, *grid)

    def normalised(self, hu: Tensor) -> Tensor:
        """HU to the autoencoder's unit."""
        return (hu - self.mean) / self.std

    def frame(self, clean: Tensor, phi: Tensor) -> Frame:
        """What all candidates of an image share.

        Args:
            clean: (B or 1, 1, H, W) f(x) in HU.
            phi: (B or 1, C, H', W') Φ(x).
        """
        size = (int(clean.shape[-2]), int(clean.shape[-1]))
        c = self.normalised(clean) if self.conditional else None
        trunk = self.autoencoder.trunk(c) if self.autoencoder is not None else None
        return Frame(size, c, trunk, self.flow.embed(phi) if self.flow is not None else None)

    def propose(self, v: Tensor, frame: Frame) -> Tensor:
        """Candidates: (B, *latent_shape) standard normal numbers to (B, 1, H, W) HU."""
        z = v
        if self.flow is not None:
            assert frame.embedded is not None
            z = self.flow.inverse(v, frame.embedded)
        if self.autoencoder is None:
            assert frame.c is not None
            return frame.c * self.std + self.mean + self.scale * z
        return self.autoencoder.decode(z, frame.c, frame.trunk) * self.std + self.mean

    def draw(self, count: int, frame: Frame, generator: torch.Generator) -> Tensor:
        """(count, 1, H, W) HU: candidates of fresh v ~ N(0, I), as in use."""
        v = torch.empty(count, *self.latent_shape(frame.size), device=generator.device)
        return self.propose(v.normal_(generator=generator), frame)

    def latents(self, x: Tensor, c: Tensor | None, generator: torch.Generator | None = None) -> Tensor:
        """What the flow learns to draw: z̄ ~ q(z̄ given x, c), or (x - f(x))/s.

        Args:
            x: (B, 1, H, W) HU.
            c: f(x) in network units, or None.
            generator: Of the draw from q.
        """
        if self.autoencoder is None:
            assert c is not None
            return (x - c * self.std - self.mean) / self.scale
        return self.autoencoder.encode(self.normalised(x), c).draw(generator)

    def reconstruct(self, x: Tensor, frame: Frame) -> Tensor:
        """D(E(x)), (B, 1, H, W) HU to HU; x itself for a flow on image space."""
        if self.autoencoder is None:
            return x
        z = self.autoencoder.encode(self.normalised(x), frame.c).mean
        return self.autoencoder.decode(z, frame.c, frame.trunk) * self.std + self.mean
