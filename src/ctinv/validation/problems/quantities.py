"""What simulation-based calibration looks at: scalars of an image, and two that look at the data as well.

Ranks of pixels alone miss errors that sit in combinations; a quantity that holds the data, like the misfit, is needed to
catch a sampler that ignores it (Modrák, Moon, Kim, Bürkner, Huurre, Faltejsková, Gelman and Vehtari, Bayesian Analysis,
2023).
"""

from __future__ import annotations

import numpy as np

from ctinv.validation.problems.contract import Array

IMAGE = (
    "mean",
    "centre pixel",
    "corner pixel",
    "left less right",
    "top less bottom",
    "contrast of a disc",
    "standard deviation",
    "largest value",
    "power below 0.15 cycles/px",
    "power above 0.35 cycles/px",
)
DATA = ("distance from the mean", "misfit")
QUANTITIES = (*IMAGE, *DATA)


def of_images(x: Array, shape: tuple[int, int]) -> Array:
    """The scalars `IMAGE` of (n, d) images: (n, q)."""
    images = x.reshape(len(x), *shape)
    height, width = shape
    y, x_ = np.mgrid[:height, :width]
    disc = np.hypot(y - (height - 1) / 2, x_ - (width - 1) / 2) <= min(shape) / 4
    power = np.abs(np.fft.fft2(images - images.mean((1, 2), keepdims=True))) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    columns = [
        x.mean(1),
        images[:, height // 2, width // 2],
        images[:, 0, 0],
        images[:, :, : width // 2].mean((1, 2)) - images[:, :, width // 2 :].mean((1, 2)),
        images[:, : height // 2].mean((1, 2)) - images[:, height // 2 :].mean((1, 2)),
        images[:, disc].mean(1) - images[:, ~disc].mean(1),
        x.std(1),
        x.max(1),
        power[:, radius < 0.15].mean(1),
        power[:, radius > 0.35].mean(1),
    ]
    return np.stack(columns, axis=1)


def of_data(x: Array, mean: Array, root: Array, matrix: Array, target: Array) -> Array:
    """The scalars `DATA` of (n, d) images: distance from the prior's mean in its metric, and ‖A x - z0‖: (n, 2).

    Args:
        x: Images.
        mean: (d,) of the prior.
        root: (d, d) lower triangular, of the prior's covariance.
        matrix: (m, d) A.
        target: (m,) z0 with Φ's offset taken off.
    """
    distance = np.square(np.linalg.solve(root, (x - mean).T)).sum(0)
    misfit = np.linalg.norm(x @ matrix.T - target, axis=1)
    return np.stack([distance, misfit], axis=1)
