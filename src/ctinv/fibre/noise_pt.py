"""C of a PET image: noise that grows with the local activity, as wide as the resolution.

Iterative reconstruction gives noise whose standard deviation follows the activity, σ = k·Aᵖ: p = 1/2 as for counts, or
p = 1 as for OSEM far from convergence (Barrett, Wilson and Tsui, Phys Med Biol 39, 1994). k, p and the width of the noise
are fitted on homogeneous patches of this very slice:

- a patch of 16 x 16 pixels loses its best plane; the variance and the correlation of neighbours that are left have known
  expectations for Gaussian-filtered white noise of width s, which are inverted. Nothing is lost at low frequencies by the
  plane that is taken off, because the same is taken off in the expectation;
- a patch is homogeneous where f(x) departs least from a plane, relative to its activity: the best quarter of those with
  more than a fifth of the slice's high activity counts.

It is a rough model, fitted on one noisy slice: correlations between organs, the rise of OSEM noise towards the body's
centre and attenuation are not in it. The source says so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ctinv.errors import InputError
from ctinv.fibre.covariance import Covariance, Known
from ctinv.fibre.tiers import step_of
from ctinv.volume import Box, Volume

PATCH = 16
POWERS = (0.5, 1.0)
_STEP = 4
_FEWEST = 8
_FLOOR = 0.05  # of the high activity: where there is none, reconstruction still leaves some noise
_WIDTHS = np.geomspace(0.3, 2.5, 60)  # standard deviation of the filter in pixels
_WIDEST = 2.0  # wider ones all look alike in a patch
WARNING = (
    "fitted on homogeneous patches of one slice; noise of iterative reconstruction is known roughly this way"
)


def covariance_pt(
    scan: Volume, clean: NDArray[np.float32], area: Box, known: Known
) -> tuple[Covariance, dict[str, Any]]:
    """C on a rectangle of one slice of activities; see `ctinv.fibre.noise.noise_covariance`."""
    if known.photons is not None or known.sigma is not None:
        raise InputError(
            "the noise of a PET image is fitted to its activity; photons and sigma do not apply."
        )
    patches = homogeneous_patches(scan.hu[0].astype(np.float64), clean.astype(np.float64))
    activity, variance, neighbours = np.array(patches).T
    power, scatter = _power(activity, variance)
    share = variance / activity ** (2 * power)
    left, ratios = _expected()
    width = float(np.interp((neighbours / activity ** (2 * power)).mean() / share.mean(), ratios, _WIDTHS))
    if width >= _WIDEST:
        raise InputError(
            f"the noise is wider than {_WIDEST:g} pixels, more than patches of {PATCH} can tell; resample the image to "
            "larger voxels."
        )
    factor = float(np.sqrt(share.mean() / np.interp(width, _WIDTHS, left)))
    high = float(np.percentile(clean, 99.0))
    local = np.clip(clean[area.slices].astype(np.float64), _FLOOR * high, None)
    white = step_of(scan) ** 2 / 12.0
    source = {
        "source": f"PET noise proportional to activity to the power {power:g}",
        "warning": WARNING,
        "factor": factor,
        "power": power,
        "scatter": scatter,
        "patches": len(patches),
        "filter_std_px": width,
        "white_variance_hu2": white,
    }
    return Covariance(area, factor * local**power, gaussian_spectrum(width, max(area.shape)), white), source


def homogeneous_patches(
    scan: NDArray[np.float64], clean: NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Of each homogeneous patch the mean activity, and without its plane its variance and its neighbours' covariance.

    Raises:
        InputError: There are too few.
    """
    high = float(np.percentile(clean, 99.0))
    found = []
    for y in range(0, scan.shape[0] - PATCH + 1, _STEP):
        for x in range(0, scan.shape[1] - PATCH + 1, _STEP):
            part = slice(y, y + PATCH), slice(x, x + PATCH)
            mean = float(clean[part].mean())
            if mean < 0.2 * high or clean[part].min() <= 0:
                continue
            bent = float(np.std(_without_plane(clean[part]))) / mean
            detail = _without_plane(scan[part])
            down, along = np.mean(detail[1:] * detail[:-1]), np.mean(detail[:, 1:] * detail[:, :-1])
            found.append((bent, mean, float(np.mean(detail**2)), float(down + along) / 2))
    found = sorted(found)[: max(_FEWEST, len(found) // 4)]
    if len(found) < _FEWEST:
        raise InputError(
            f"expected at least {_FEWEST} homogeneous patches of {PATCH} x {PATCH} pixels to measure PET noise, found "
            f"{len(found)}; choose a slice with more activity."
        )
    return [(mean, variance, neighbours) for _, mean, variance, neighbours in found]


def _power(activity: NDArray[np.float64], variance: NDArray[np.float64]) -> tuple[float, float]:
    """The power p of σ = k·Aᵖ about which the patches scatter least, and that scatter (std of the logarithm of σ)."""
    scatters = [float(np.std(np.log(variance) / 2 - power * np.log(activity))) for power in POWERS]
    best = int(np.argmin(scatters))
    return POWERS[best], scatters[best]


def gaussian_spectrum(width: float, extent: int) -> NDArray[np.float64]:
    """Spectrum of mean 1 of white noise behind a Gaussian filter of this standard deviation in pixels."""
    size = fft.next_fast_len(extent + 32)
    size += size % 2
    frequency = fft.fftfreq(size)
    one = np.exp(-((2 * np.pi * width * frequency) ** 2))
    power = one[:, None] * one[None, :]
    # Beyond the resolution a little noise is left by interpolation and storage; none at all would forbid it.
    return np.asarray((power + 1e-4 * power.max()) / (power + 1e-4 * power.max()).mean())


def _without_plane(patch: NDArray[np.float64]) -> NDArray[np.float64]:
    basis = _plane()
    flat = patch.reshape(-1)
    return (flat - basis @ (basis.T @ flat)).reshape(patch.shape)


@lru_cache(maxsize=1)
def _plane() -> NDArray[np.float64]:
    """(P², 3) orthonormal basis of the planes on a patch."""
    y, x = np.mgrid[:PATCH, :PATCH].reshape(2, -1)
    return np.asarray(np.linalg.qr(np.stack([np.ones_like(y), y, x], axis=1).astype(np.float64))[0])


@lru_cache(maxsize=1)
def _expected() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each width: what is left of a variance of 1 without the plane, and the correlation of neighbours in it."""
    y, x = np.mgrid[:PATCH, :PATCH].reshape(2, -1)
    distance2 = (y[:, None] - y[None, :]) ** 2 + (x[:, None] - x[None, :]) ** 2
    basis = _plane()
    keep = np.eye(PATCH * PATCH) - basis @ basis.T
    left, ratio = [], []
    for width in _WIDTHS:
        matrix = keep @ np.exp(-distance2 / (4 * width**2)) @ keep
        image = matrix.reshape(PATCH, PATCH, PATCH, PATCH)
        down = np.einsum("yxyx->yx", image[1:, :, :-1, :]).mean()
        along = np.einsum("yxyx->yx", image[:, 1:, :, :-1]).mean()
        left.append(np.trace(matrix) / PATCH**2)
        ratio.append((down + along) / 2 / left[-1])
    return np.array(left), np.array(ratio)
