"""What the channels make of a disc by C and linear theory: in the scans, and in members of their fibres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctinv.analysis.channels import laguerre_gauss
from ctinv.analysis.null import dense_noise
from ctinv.analysis.subject import Subject
from ctinv.denoiser import OUTPUT
from ctinv.fibre.discs import Disc
from ctinv.fibre.factor import Factor

WIDTH = 1.5
"""Width a of the channels in diameters of the lesion; between 1 and 2.5 it hardly matters."""

Images = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ChannelTheory:
    """A disc on a region, and the channels that look for it.

    Attributes:
        subject: The region.
        lesion: (h, w) HU, the disc.
        bank: (n, p) channels.
        width_mm: Their width a.
    """

    subject: Subject
    lesion: Images
    bank: Array
    width_mm: float

    @classmethod
    def of(cls, subject: Subject, disc: Disc, contrast_hu: float, channels: int) -> ChannelTheory:
        """Laguerre-Gauss channels centred on the disc.

        Raises:
            InputError: The region is too large for a dense C.
        """
        dense_noise(subject)
        lesion = np.float32(contrast_hu) * disc.image(subject.shape, subject.spacing_mm)
        width = WIDTH * disc.diameter_mm
        bank = laguerre_gauss(subject.shape, subject.spacing_mm, (disc.y, disc.x), width, channels)
        return cls(subject, lesion, bank, width)

    @property
    def ideal_in_scan(self) -> float:
        """d'_in = √(sᵀC⁻¹s), what an observer without channels has in the scans."""
        noise = dense_noise(self.subject)
        column = torch.from_numpy(self.lesion.reshape(-1, 1)).to(noise.root.device)
        return float(noise.whiten(column).square().sum().sqrt())

    @property
    def in_scan(self) -> float:
        """d' of the channels in the scans."""
        return self._d_prime(self.bank, self._through_noise(self.bank))

    def in_members(self, *, held: bool) -> float | None:
        """d' of the channels in fibre members for a linear f; None where J is not that of the output, or not a matrix.

        With R f's part on the region, a member of the fibre of a scan s + e is B(s + e) + (I - KJ)n - Kεη with
        B = (I - KJ)R + KJ: the candidate carries f of the scan, the swap its range part.

        Args:
            held: Whether all scans of a class are one, so that there is no e.
        """
        corrector = self.subject.corrector
        factor, region = corrector.factor, corrector.region
        if not isinstance(factor, Factor) or region.representation.tap != OUTPUT:
            return None
        channels = torch.from_numpy(self.bank).float().to(factor.half_gain.device)
        # The adjoints of K, KJ, I - KJ and B, applied to the channels.
        gain = factor.jacobian.apply(factor.posterior(channels)) / factor.tolerance**2
        swapped = factor.jacobian.adjoint(gain)
        rest = channels - swapped
        inside = gain.new_zeros(*region.output_box.shape, gain.shape[1])
        inside[region.halo] = rest.reshape(*region.shape, -1)
        passed = _array(factor.jacobian.adjoint(inside.reshape(gain.shape)) + swapped)
        roots = [self._through_noise(_array(rest)), factor.tolerance * _array(gain)]
        return self._d_prime(passed, *roots, *([] if held else [self._through_noise(passed)]))

    def _through_noise(self, columns: Array) -> Array:
        """Lᵀ u for (n, p) columns."""
        root = dense_noise(self.subject).root
        return _array(root.T @ torch.from_numpy(columns).to(root))

    def _d_prime(self, seen_through: Array, *roots: Array) -> float:
        """d' where the disc reaches the channels through (n, p) columns, with roots of the parts of their covariance."""
        mean = self.lesion.reshape(-1).astype(np.float64) @ seen_through
        covariance = sum(root.T @ root for root in roots)
        return float(np.sqrt(mean @ np.linalg.solve(covariance, mean)))


def _array(values: torch.Tensor) -> Array:
    return values.double().cpu().numpy()
