"""The convention a network was trained in: which number it sees for which HU, checked or guessed on flat images.

A denoiser must give a flat image back: nothing in it is noise. So flat images of five tissues and of air are shown in the
convention that is declared, and 0 HU must come back near 0 HU.

Where nothing is declared, each convention of `CANDIDATES` is tried. Flat levels alone do not tell them apart, as a network
that is nearly linear keeps flat images in all of them. So a noisy object of known HU is denoised as well: a network
removes noise best in the convention it was trained in. A convention is taken if it keeps every flat level within `KEPT_HU`
and leaves a smaller error of that object, by the factor `CLEARLY`, than any other that does so, or gives the same picture.
Otherwise nothing is taken and a card is asked for. A convention that is not among the candidates may be mistaken for one
of them. Values are read in the middle, as networks that pad with zeros darken the border.

In another unit than HU nothing is guessed, and the levels lie between the declared mean and one std above it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctinv.errors import ModelError
from ctinv.models.card import Convention

HU = "HU"
LEVELS = (
    -1000.0,
    -500.0,
    -100.0,
    0.0,
    60.0,
    300.0,
    1000.0,
)  # HU: air, lung, fat, water, soft tissue, contrast, bone
NEAR_HU = 50.0  # of 0 HU, for a convention that is declared
NEAR = 0.1  # of std, for another unit, at half a std above the mean
KEPT_HU = 20.0  # of every level, for a convention that is guessed
CLEARLY = 1.03  # the error of a noisy object in every other convention, relative to the best one
SAME_HU = 1.0  # RMS between the pictures of two conventions that make no difference
NOISE_HU, DRAWS = 30.0, 4
SIZE, MIDDLE, _INSIDE = 64, slice(24, 40), slice(8, 56)
_DISCS = (  # row, column, radius in pixels and HU: water with soft tissue, fat, contrast, a lung with a vessel, bone
    (31.5, 31.5, 30.0, 0.0),
    (22.0, 22.0, 6.0, 60.0),
    (22.0, 42.0, 5.0, -100.0),
    (42.0, 42.0, 4.0, 300.0),
    (42.0, 22.0, 6.0, -850.0),
    (42.0, 22.0, 1.5, 0.0),
    (33.0, 12.0, 3.0, 1000.0),
)

LDCT_BENCHMARK = Convention(
    -542.5458, 502.1851, "stored values HU + 1024, then ldct-benchmark's mean and std"
)
CANDIDATES = (
    Convention(0.0, 1.0, "HU"),
    Convention(-1024.0, 1.0, "HU + 1024"),
    Convention(-1024.0, 4095.0, "−1024 to 3071 HU as 0 to 1"),
    Convention(-1000.0, 2000.0, "−1000 to 1000 HU as 0 to 1"),
    Convention(0.0, 1000.0, "−1000 to 1000 HU as −1 to 1"),
    Convention(-1000.0, 1000.0, "multiples of the attenuation of water"),
    LDCT_BENCHMARK,
    Convention(-350.0, 500.0, "this package's mean −350 and std 500 HU"),
)


def denoise(network: nn.Module, convention: Convention, hu: Tensor) -> Tensor:
    """f in a convention, (B, S, H, W) HU to (B, 1, H, W) HU, without gradients."""
    with torch.inference_mode():
        answer: Tensor = network((hu - convention.mean) / convention.std)
    return answer * convention.std + convention.mean


def levels_of(convention: Convention, unit: str) -> tuple[float, ...]:
    """Flat levels worth looking at; the middle one is that which must be kept."""
    if unit == HU:
        return LEVELS
    return tuple(convention.mean + share * convention.std for share in (0.0, 0.25, 0.5, 0.75, 1.0))


def flat_levels(
    network: nn.Module, convention: Convention, *, slices: int = 1, unit: str = HU
) -> dict[float, float]:
    """Each flat level to the value that comes back in the middle of the image, the worst one there."""
    found = {}
    for level in levels_of(convention, unit):
        back = denoise(network, convention, torch.full((1, slices, SIZE, SIZE), level))
        off = back[..., MIDDLE, MIDDLE] - level
        found[level] = level + float(off.flatten()[off.abs().argmax()])
    return found


def check_flat(network: nn.Module, convention: Convention, *, slices: int, unit: str, name: str) -> str:
    """Sentence on how a declared convention keeps flat images.

    Raises:
        ModelError: A flat 0 HU image does not come back near 0 HU.
    """
    levels = flat_levels(network, convention, slices=slices, unit=unit)
    level = list(levels)[len(levels) // 2]
    if not abs(levels[level] - level) <= (NEAR_HU if unit == HU else NEAR * convention.std):
        raise ModelError(
            f"{name} turns a flat image of {level:.4g} {unit} into {levels[level]:.4g} {unit} in its declared convention; "
            "correct the card, or say flat_check = false in it."
        )
    return f"flat images: {_words(levels, unit)}"


def guess(network: nn.Module, *, slices: int, name: str) -> tuple[Convention, str]:
    """The convention that keeps flat levels, and the sentence that says so.

    Raises:
        ModelError: None does, or several do and it matters which.
    """
    flat = {one: _flat_error(network, one, slices) for one in CANDIDATES}
    keeping = [one for one in CANDIDATES if flat[one] <= KEPT_HU]
    if not keeping:
        raise ModelError(
            f"{name} keeps flat images in none of {len(CANDIDATES)} known HU conventions (best: {min(flat.values()):.3g} HU "
            "off); declare it in a card, docs/networks.md."
        )
    clean, noisy = noisy_object(slices)
    pictures = {one: denoise(network, one, noisy)[..., _INSIDE, _INSIDE] for one in keeping}
    errors = {one: _rms(picture - clean[..., _INSIDE, _INSIDE]) for one, picture in pictures.items()}
    best = min(keeping, key=lambda one: errors[one])
    for rival in keeping:
        near = errors[rival] < CLEARLY * errors[best]
        if rival is not best and near and _rms(pictures[rival] - pictures[best]) > SAME_HU:
            raise ModelError(
                f"{name} works equally well in two HU conventions, {best.text!r} and {rival.text!r}; say which in a card, "
                "docs/networks.md."
            )
    levels = flat_levels(network, best, slices=slices)
    return (
        best,
        f"convention GUESSED, as nothing was declared: {best.text}; flat images: {_words(levels, HU)}",
    )


def _flat_error(network: nn.Module, convention: Convention, slices: int) -> float:
    """Largest deviation of a flat level in HU, infinity for NaN; given up at the first level that is far off."""
    worst = 0.0
    for level in sorted(LEVELS, key=abs):
        back = denoise(network, convention, torch.full((1, slices, SIZE, SIZE), level))
        off = float((back[..., MIDDLE, MIDDLE] - level).abs().max())
        worst = max(worst, off) if off == off else float("inf")
        if worst > 10 * KEPT_HU:
            break
    return worst


def noisy_object(slices: int) -> tuple[Tensor, Tensor]:
    """An object of known HU, (1, 1, 64, 64), and the same with noise like that of a CT, (4, S, 64, 64)."""
    y, x = torch.meshgrid(torch.arange(float(SIZE)), torch.arange(float(SIZE)), indexing="ij")
    clean = torch.full((SIZE, SIZE), -1000.0)
    for row, column, radius, level in _DISCS:
        clean = torch.where((y - row) ** 2 + (x - column) ** 2 < radius**2, level, clean)
    white = torch.randn(DRAWS, slices, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    frequency = (torch.fft.fftfreq(SIZE)[:, None] ** 2 + torch.fft.rfftfreq(SIZE) ** 2).sqrt()
    ramp = frequency.clamp(min=0.01).sqrt() * torch.exp(
        -((frequency / 0.3) ** 2)
    )  # amplitude of filtered back-projection
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * ramp)
    return clean[None, None], clean + NOISE_HU * noise / noise.std()


def _rms(difference: Tensor) -> float:
    return float(difference.square().mean().sqrt())


def _words(levels: dict[float, float], unit: str) -> str:
    return ", ".join(f"{level:.4g} → {back:.4g}" for level, back in levels.items()) + f" {unit}"
