"""Maps over all samples, built sample by sample: mean and spread of x̃, largest feed-back error.

Sums run in float64 over the deviation from a reference image close to the samples (the scan on the quantum
grid). Stored samples are multiples of a power of two, so these sums are exact below 2⁵³ quanta: the maps do
not depend on the order of the samples, on batches or on an interruption, bit for bit. The shift also keeps
the variance of unquantised samples free of cancellation, as Welford's update would.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RunningMaps:
    """Per-pixel statistics of a growing set of samples.

    Args:
        scan: (h, w) HU, the reference of the deviations.
        output_shape: (H', W') of the feed-back error maps.
        quantum: Step of the samples in HU, 0 if they are not rounded.
    """

    def __init__(self, scan: NDArray[np.float32], output_shape: tuple[int, int], *, quantum: float) -> None:
        reference = scan.astype(np.float64)
        self._reference = np.rint(reference / quantum) * quantum if quantum else reference
        self._sum = np.zeros(scan.shape)
        self._squares = np.zeros(scan.shape)
        self._worst = np.zeros(output_shape, dtype=np.float32)
        self.count = 0

    def add(self, x_tilde: NDArray[np.float32], feedback_error: NDArray[np.float32]) -> None:
        """Take in samples (B, h, w) HU and their feed-back errors (B, H', W') HU."""
        for sample, error in zip(x_tilde, feedback_error, strict=True):  # one by one, to spare memory
            deviation = sample.astype(np.float64) - self._reference
            self._sum += deviation
            deviation *= deviation
            self._squares += deviation
            np.maximum(self._worst, np.abs(error), out=self._worst)
            self.count += 1

    def mean(self) -> NDArray[np.float32]:
        """(h, w) mean of x̃ in HU; NaN without samples."""
        if self.count == 0:
            return np.full(self._sum.shape, np.nan, dtype=np.float32)
        return (self._reference + self._sum / self.count).astype(np.float32)

    def spread(self) -> NDArray[np.float32]:
        """(h, w) standard deviation of x̃ in HU, with n − 1; NaN for fewer than two samples."""
        if self.count < 2:
            return np.full(self._sum.shape, np.nan, dtype=np.float32)
        variance = (self._squares - self._sum**2 / self.count) / (self.count - 1)
        return np.sqrt(np.maximum(variance, 0.0)).astype(np.float32)

    def worst(self) -> NDArray[np.float32]:
        """(H', W') largest absolute feed-back error in HU; NaN without samples."""
        return self._worst.copy() if self.count else np.full_like(self._worst, np.nan)


def rms(values: NDArray[np.float32]) -> float:
    """Root mean square over all pixels, in the unit of `values`."""
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))
