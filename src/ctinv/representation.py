"""Representation Φ: a denoiser seen at one tap."""

from __future__ import annotations

from torch import Tensor

from ctinv.denoiser import INPUT, OUTPUT, Denoiser


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

    def __call__(self, x: Tensor) -> Tensor:
        """Φ(x), (B, S, H, W) HU to (B, C, H', W'); S is the denoiser's number of slices."""
        return self.denoiser.activation(x, self.tap)
