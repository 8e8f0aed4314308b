"""A lesion put into the scan, made an invariance where it can be, and certified by feeding it back.

The disc itself is tried first: x + c·s, rounded as samples are. Where f shows it beyond the tier, the image is corrected
onto the fibre as any candidate is, but without η: what is wanted is not a sample of the law but the image on the fibre that
is nearest, in the metric of C, to the one with the lesion. A disc of contrast c *fits* at the tier if the image is
certified, plausible by χ²/n, and still holds at least half of c. Where linear theory says that a correction would leave less
than a quarter of the disc, none is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctinv.analysis.subject import Subject
from ctinv.fibre.measure import measure
from ctinv.fibre.tiers import chi2_in_band
from ctinv.progress import Progress, each, tell

HALF = 0.5
_HOPELESS = 0.25  # of a disc left by linear theory; curvature does not make a half of it
_STEPS, _ROUNDS = 9, 3
_INSERTING = "inserting a change"
_LOWEST = 0.01  # of the largest contrast


@dataclass(frozen=True, eq=False)
class Inserted:
    """One image with a lesion.

    Attributes:
        contrast_hu: What was inserted, c.
        x_tilde: (h, w) HU.
        feedback_error: (h, w) HU, f(x̃) - f(x) on the region.
        raw_rmse_hu: RMSE of f(x + c·s) - f(x).
        rmse_hu: RMSE of f(x̃) - f(x).
        passed: Whether the asked tier is met.
        tier: Strictest tier that is met.
        chi2_per_n: χ²/n of x̃.
        in_band: Whether that is what the law expects.
        corrected: Whether x̃ is another image than x + c·s.
        kept: Share of c that is in x̃, ⟨s, x̃ - x⟩/(c·⟨s, s⟩).
        cosine: Of x̃ - x and s.
    """

    contrast_hu: float
    x_tilde: NDArray[np.float32]
    feedback_error: NDArray[np.float32]
    raw_rmse_hu: float
    rmse_hu: float
    passed: bool
    tier: str
    chi2_per_n: float
    in_band: bool | None
    corrected: bool
    kept: float
    cosine: float

    @property
    def fits(self) -> bool:
        """Whether it is certified, plausible, and the lesion still there."""
        return self.passed and self.in_band is not False and self.kept >= HALF

    @property
    def contrast_kept_hu(self) -> float:
        """Contrast of the lesion that x̃ holds, HU."""
        return self.kept * self.contrast_hu

    def to_json(self) -> dict[str, Any]:
        """As figures."""
        names = ("contrast_hu", "contrast_kept_hu", "raw_rmse_hu", "rmse_hu", "passed", "tier", "chi2_per_n")
        more = ("in_band", "corrected", "kept", "cosine")
        return {name: getattr(self, name) for name in (*names, *more)}


def insert(
    subject: Subject,
    pattern: NDArray[np.float32],
    contrasts: Sequence[float],
    *,
    progress: Progress | None = None,
) -> list[Inserted]:
    """Put a pattern into the scan at several contrasts, corrected where it needs to be.

    Args:
        subject: The region.
        pattern: (h, w), s, the change for a contrast of 1 HU.
        contrasts: c in HU, of either sign.
        progress: Called with a phrase and a finished share.
    """
    corrector = subject.corrector
    scan = corrector.region.scan
    lesion = torch.from_numpy(np.ascontiguousarray(pattern)).to(scan)[None, None]
    amounts = torch.tensor(list(contrasts), dtype=scan.dtype, device=scan.device)[:, None, None, None]
    wanted = scan + amounts * lesion
    bare = _looked_at(subject, corrector.rounded(wanted), lesion, contrasts)
    late = [index for index, one in enumerate(bare) if not one.passed]
    if late and _left(subject, lesion, progress) >= _HOPELESS:
        nearest = replace(corrector, perturb=False)
        images, _, _ = nearest.correct(wanted[late], late, subject.seeds(0), progress=progress)
        moved = _looked_at(subject, images, lesion, [contrasts[index] for index in late])
        for index, one in zip(late, moved, strict=True):
            bare[index] = replace(one, raw_rmse_hu=bare[index].raw_rmse_hu, corrected=True)
    return bare


def _left(subject: Subject, lesion: Tensor, progress: Progress | None) -> float:
    """Share of a lesion that linear theory leaves in the corrected image, ⟨s, s - KJs⟩/⟨s, s⟩."""
    factor, columns = subject.corrector.factor, lesion.reshape(-1, 1)
    heard = partial(tell, progress, _INSERTING)
    left = columns - factor.gain(factor.jacobian.apply(columns), heard=heard)
    return float((columns * left).sum() / columns.square().sum())


def largest_that_fits(
    subject: Subject, pattern: NDArray[np.float32], *, most_hu: float, progress: Progress | None = None
) -> tuple[Inserted | None, bool]:
    """The largest contrast that fits, brighter or darker, up to a bound.

    Contrasts are tried in steps, and between the last that fits and the first that does not again in steps.

    Args:
        subject: The region.
        pattern: (h, w), the lesion of 1 HU.
        most_hu: The bound.
        progress: Called with a phrase and a finished share.

    Returns:
        The image, None where no contrast from a hundredth of the bound on fits, and whether the bound itself fits.
    """
    signs = each(progress, _INSERTING, (1.0, -1.0))
    found = [_largest(subject, pattern, sign * most_hu, inner) for inner, sign in signs]
    image, bounded = max(found, key=lambda one: 0.0 if one[0] is None else abs(one[0].contrast_hu))
    return image, bounded


def _largest(
    subject: Subject, pattern: NDArray[np.float32], most_hu: float, progress: Progress | None
) -> tuple[Inserted | None, bool]:
    contrasts = np.geomspace(_LOWEST, 1.0, _STEPS) * most_hu
    best: Inserted | None = None
    for inner, _ in each(progress, _INSERTING, range(_ROUNDS)):
        tried = insert(subject, pattern, [float(value) for value in contrasts], progress=inner)
        fits = np.array([one.fits for one in tried])
        if best is None and not fits.any():
            return None, False
        # Rounding takes the weakest away, so the run of those that fit may begin above the first.
        begin = int(fits.argmax()) if best is None else 0
        end = begin + (int((~fits[begin:]).argmax()) if not fits[begin:].all() else len(fits) - begin)
        if end > begin:
            best = tried[end - 1]
        if end == len(tried):
            return best, best is not None and abs(best.contrast_hu) >= abs(most_hu) * (1.0 - 1e-9)
        contrasts = np.linspace(0.0 if best is None else best.contrast_hu, contrasts[end], _STEPS + 1)[1:-1]
    return best, False


def _looked_at(
    subject: Subject, images: Tensor, lesion: Tensor, contrasts: Sequence[float]
) -> list[Inserted]:
    """Feed images back and say what they hold."""
    corrector = subject.corrector
    region, rule = corrector.region, corrector.rule
    output, inner = region.errors(images)
    chi2 = corrector.chi2_per_n(images).tolist()
    found = []
    for index, contrast in enumerate(contrasts):
        figures = measure(region, output[index], inner[index], corrector.noise_rms)
        change = (images[index] - region.scan[0]).double()
        product = float((change * lesion[0]).sum())
        energy, length = float(lesion.double().square().sum()), float(change.square().sum())
        found.append(
            Inserted(
                contrast_hu=float(contrast),
                x_tilde=images[index, 0].cpu().numpy(),
                feedback_error=output[index, 0][region.halo].cpu().numpy(),
                raw_rmse_hu=figures["rmse_hu"],
                rmse_hu=figures["rmse_hu"],
                passed=rule.met(rule.asked, **figures),
                tier=rule.best(**figures),
                chi2_per_n=chi2[index],
                in_band=chi2_in_band(chi2[index], corrector.chi2_expected),
                corrected=False,
                kept=product / (contrast * energy),
                cosine=abs(product) / max((energy * length) ** 0.5, 1e-30),
            )
        )
    return found
