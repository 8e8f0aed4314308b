"""Representation Φ: a denoiser seen at one tap."""

from __future__ import annotations

import torch
from torch import Tensor

from ctinv.denoiser import INPUT, OUTPUT, Denoiser

_PROBE = 64  # edge of the images that are tried


class Representation:
    """Φ = f up to a named tap.

    Args:
        denoiser: The network under study.
        tap: One of ``denoiser.taps``; ``"output"`` is f itself, ``"input"`` the identity, a control.

    Raises:
        InputError: The tap does not exist; the message lists those that do.
    """

    def __init__(self, denoiser: Denoiser, tap: str = OUTPUT) -> None:
        denoiser.check_tap(tap)
        self.denoiser = denoiser
        self.tap = tap

    @property
    def unit(self) -> str:
        """``"HU"`` (the unit of the image) at the input and the output, ``"relative"`` inside, where none exists (method
        §3)."""
        return "HU" if self.tap in (INPUT, OUTPUT) else "relative"

    def determines_output(self) -> bool:
        """Whether f(x) is a function of Φ(x): nothing passes the tap by.

        Tried out: f of one random image, with the tapped layer made to say what it said of another one, must be f of the
        other.
        """
        denoiser = self.denoiser
        if self.tap == OUTPUT:
            return True
        if self.tap == INPUT:
            return denoiser.slices == 1
        weight = next(denoiser.parameters())
        generator = torch.Generator().manual_seed(0)
        shape = (2, denoiser.slices, _PROBE, _PROBE)
        images = (300.0 * torch.randn(shape, generator=generator) - 100.0).to(weight)
        with torch.inference_mode():
            wanted, other = denoiser(images[:1]), denoiser(images[1:])
            got = denoiser.with_tap_of(images[1:], images[:1], self.tap)
        return bool((got - wanted).abs().max() <= 1e-4 * (other - wanted).abs().max())

    def __call__(self, x: Tensor) -> Tensor:
        """Φ(x), (B, S, H, W) HU to (B, C, H', W'); S is the denoiser's number of slices."""
        return self.denoiser.activation(x, self.tap)
