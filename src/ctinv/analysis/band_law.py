"""The law of a region's power per radial band under noise of C given the surroundings (method §7, I1).

With D the orthonormal Fourier transform of a difference d, S_k = E|D_k|² and T = Σ_k |D_k|²/S_k over a band of N
frequencies, stationary noise on a torus would give T ~ χ²_N. A region is small, its noise varies in strength and is
known at its edge, so its frequencies are correlated: T is a quadratic form with the eigenvalues λ of the band's
coherence matrix as weights, and its cumulants are Σλ = N, 2Σλ² and 8Σλ³. A χ² that is shifted and scaled to these
three stands for it.

References:
    J. P. Imhof, Computing the distribution of quadratic forms in normal variables, Biometrika 48, 1961 (Pearson's
    three-moment approximation), https://doi.org/10.1093/biomet/48.3-4.419.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor

from ctinv.errors import InputError
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.dimension import BANDS
from ctinv.progress import Progress, each, part, tell

LOW = "low"
"""The band of `ctinv.fibre.dimension.BANDS` in which anatomy lies."""

_EXACT = 1024  # frequencies of a band up to which its coherence matrix is formed
_PROBES = 256
_COLUMNS = 512  # columns of L that are transformed at once
_PROBES_AT_ONCE = 64
_COHERENCE = "computing the coherence of a band"


def frequencies(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> NDArray[np.float64]:
    """(h, w) radial frequency in 1/mm, in the order of the fast Fourier transform."""
    rows, columns = (np.fft.fftfreq(size, step) for size, step in zip(shape, spacing_mm, strict=True))
    return np.hypot(rows[:, None], columns[None, :])


def pitch_mm(spacing_mm: tuple[float, float]) -> float:
    """Edge in mm of the square pixel of the same area: what a cycle per pixel means where pixels are not square."""
    return float(np.sqrt(spacing_mm[0] * spacing_mm[1]))


def band_masks(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> dict[str, NDArray[np.bool_]]:
    """The frequencies of each of `ctinv.fibre.dimension.BANDS`, (h, w) each; the last band is open above."""
    radius = frequencies(shape, spacing_mm) * pitch_mm(spacing_mm)
    last = list(BANDS)[-1]
    return {name: (radius >= low) & ((radius < high) | (name == last)) for name, (low, high) in BANDS.items()}


@dataclass(frozen=True, eq=False)
class BandLaw:
    """S_k and the cumulants of T for each band.

    Attributes:
        masks: Name to the (h, w) frequencies of the band; bands without any are left out.
        power: (h, w) float64 HU², S_k.
        cumulants: Name to the first three cumulants of T.
    """

    masks: Mapping[str, NDArray[np.bool_]]
    power: NDArray[np.float64]
    cumulants: Mapping[str, tuple[float, float, float]]

    @classmethod
    def of(
        cls,
        noise: DenseNoise,
        shape: tuple[int, int],
        spacing_mm: tuple[float, float],
        *,
        progress: Progress | None = None,
    ) -> BandLaw:
        """The law of a region.

        Args:
            noise: C given the surroundings.
            shape: (h, w).
            spacing_mm: Distance of rows and of columns.
            progress: Called with a phrase and a finished share.

        Raises:
            InputError: The noise has no power at some frequency.
        """
        root = noise.small_root
        power = _power(root, shape, part(progress, 0.0, 0.2))
        if not bool((power > 0).all()):
            raise InputError("the noise has no power at some frequency; a scan with noise was expected.")
        masks = {name: mask for name, mask in band_masks(shape, spacing_mm).items() if mask.any()}
        cumulants = {
            name: _cumulants(root, power, mask, inner)
            for inner, (name, mask) in each(
                part(progress, 0.2, 1.0), "computing the law of noise", list(masks.items())
            )
        }
        return cls(masks, power.cpu().numpy(), cumulants)

    @property
    def degrees(self) -> dict[str, float]:
        """Degrees of freedom of the fitted χ² for each band."""
        return {name: 8.0 * second**3 / third**2 for name, (_, second, third) in self.cumulants.items()}

    def relative_power(self, differences: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, bands) T/N of (n, h, w) differences in HU: 1 on average where they are noise."""
        square = np.abs(np.fft.fft2(differences, norm="ortho")) ** 2 / self.power
        return np.stack([square[:, mask].mean(1) for mask in self.masks.values()], axis=1)

    def p_values(self, relative: NDArray[np.float64], *, upper: bool = True) -> NDArray[np.float64]:
        """(n, bands) probability that noise has so much power, or so little."""
        tail = chi2.sf if upper else chi2.cdf
        found = np.empty_like(relative)
        for index, (name, mask) in enumerate(self.masks.items()):
            first, second, _ = self.cumulants[name]
            degrees = self.degrees[name]
            scale = np.sqrt(2.0 * degrees / second)
            found[:, index] = tail(degrees + (relative[:, index] * mask.sum() - first) * scale, degrees)
        return found.clip(0.0, 1.0)

    def limits(self, level: float) -> dict[str, float]:
        """The T/N of each band that noise exceeds with this probability."""
        found = {}
        for name, (first, second, _) in self.cumulants.items():
            degrees = self.degrees[name]
            excess = (chi2.isf(level, degrees) - degrees) * np.sqrt(second / (2.0 * degrees))
            found[name] = float((first + excess) / self.masks[name].sum())
        return found


def _power(root: Tensor, shape: tuple[int, int], progress: Progress | None) -> Tensor:
    """(h, w) float64 S_k = Σ_j |F L_j|²."""
    total = root.new_zeros(shape, dtype=torch.float64)
    for _, columns in each(progress, "measuring the power of noise", root.split(_COLUMNS, dim=1)):
        images = columns.T.reshape(-1, *shape)
        total += torch.fft.fft2(images, norm="ortho").abs().square().sum(0).double()
    return total


def _cumulants(
    root: Tensor, power: Tensor, mask: NDArray[np.bool_], progress: Progress | None
) -> tuple[float, float, float]:
    chosen = torch.from_numpy(mask).to(root.device)
    count = int(mask.sum())
    whiten = torch.where(chosen, power.rsqrt(), 0.0).float()
    if count <= _EXACT:
        coherence = _coherence(root, whiten, chosen, progress)
        squared = coherence @ coherence
        return float(count), 2.0 * _trace(coherence, coherence), 8.0 * _trace(squared, coherence)
    # Hutchinson's estimator: a thousand weights or more leave it exact to about 0.2 %.
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (len(root), _PROBES), generator=generator).to(root) * 2 - 1
    once = _apply(root, whiten, signs, part(progress, 0.0, 0.5))
    second = once.double().square().sum() / _PROBES
    twice = _apply(root, whiten, once, part(progress, 0.5, 1.0))
    third = (once.double() * twice.double()).sum() / _PROBES
    return float(count), 2.0 * float(second), 8.0 * float(third)


def _coherence(root: Tensor, whiten: Tensor, chosen: Tensor, progress: Progress | None) -> Tensor:
    """(N, N) complex E[D_k D_l*]/√(S_k S_l) of the chosen frequencies."""
    parts = []
    for _, columns in each(progress, _COHERENCE, root.split(_COLUMNS, dim=1)):
        images = torch.fft.fft2(columns.T.reshape(-1, *whiten.shape), norm="ortho") * whiten
        parts.append(images[:, chosen])
    tell(progress, _COHERENCE, 1.0)
    factor = torch.cat(parts).T
    return factor @ factor.conj().T


def _trace(left: Tensor, right: Tensor) -> float:
    """tr(left·right) of Hermitian matrices."""
    return float((left * right.conj()).real.double().sum())


def _apply(root: Tensor, whiten: Tensor, columns: Tensor, progress: Progress | None) -> Tensor:
    """W C W v for (n, B) columns, W the whitening of the band's frequencies."""
    parts = columns.split(_PROBES_AT_ONCE, dim=1)
    answers = [  # one image per row, so that sums over all run in the same order however many are applied at once
        _filtered(whiten, root @ (root.T @ _filtered(whiten, some))).T
        for _, some in each(progress, "probing the coherence of a band", parts)
    ]
    return torch.cat(answers).T


def _filtered(whiten: Tensor, columns: Tensor) -> Tensor:
    images = columns.T.reshape(-1, *whiten.shape)
    answer = torch.fft.ifft2(torch.fft.fft2(images) * whiten).real
    return answer.reshape(len(images), -1).T
