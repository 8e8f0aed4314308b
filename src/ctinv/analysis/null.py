"""The null of every test: a re-scan of the same anatomy, noise of C given the surroundings and nothing else.

The rows of a null are negative: no sample has such a row, so a null never shares its noise with what is tested.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.covariance import DenseNoise
from ctinv.progress import Progress, blocks, each, tell

_DRAWING = "drawing re-scans"
_AT_ONCE = 125  # re-scans drawn together

Images = NDArray[np.float32]


def dense_noise(subject: Subject) -> DenseNoise:
    """The noise with its root L.

    Raises:
        InputError: The region is too large to know it.
    """
    noise = subject.corrector.noise
    if not isinstance(noise, DenseNoise):
        raise InputError(
            "the law of the noise is computed on regions up to about 96 x 96 voxels; choose a smaller box."
        )
    return noise


def need_samples(subject: Subject, fewest: int, what: str) -> None:
    """Raise InputError unless so many samples hold."""
    if len(subject.x_tilde) < fewest:
        raise InputError(
            f"{what} needs at least {fewest} certified samples, this study has {len(subject.x_tilde)}; sample more."
        )


def known_mean(subject: Subject) -> Images:
    """(h, w) HU, what the surroundings say of the noise in the region."""
    mean = subject.corrector.noise.mean.detach().cpu().numpy()
    return np.asarray(mean.reshape(subject.shape), dtype=np.float32)


def unexplained(subject: Subject, images: Images) -> Images:
    """(n, h, w) HU, what f(x) and the surroundings do not explain of (n, h, w) images: x̃ - f(x) - E[noise]."""
    return np.asarray(images - subject.clean - known_mean(subject), dtype=np.float32)


def null_noise(
    subject: Subject, draws: int, *, seed: int, first: int = 0, progress: Progress | None = None
) -> Images:
    """(draws, h, w) HU, noise of C given the surroundings, its mean taken off.

    Args:
        subject: The region.
        draws: How many.
        seed: The user's seed.
        first: Number of the first draw.
        progress: Called with a phrase and a finished share.
    """
    rows = range(-first - 1, -first - draws - 1, -1)
    together = _AT_ONCE if isinstance(subject.corrector.noise, DenseNoise) else draws
    drawn = [
        subject.noise(rows[block.start : block.stop], seed=seed, heard=partial(tell, inner, _DRAWING))
        for inner, block in each(progress, _DRAWING, blocks(draws, together))
    ]
    return np.concatenate(drawn) - known_mean(subject)


def check_level(q: float) -> None:
    """Raise InputError unless q is a level of a test."""
    if not 0.0 < q < 1.0:
        raise InputError(f"expected a level q between 0 and 1, got {q}.")
