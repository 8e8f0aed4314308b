"""I2: where the samples show a disc that f(x) and noise do not explain (method §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ctinv.analysis.disc import DIAMETERS_MM
from ctinv.analysis.filters import FilterBank
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.null import check_level, need_samples, null_noise, unexplained
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.progress import Progress, each, part, tell
from ctinv.statistics.multiple import benjamini_hochberg

Q = 0.05
DRAWS = 1000
FEWEST_DRAWS = 100
_AT_ONCE = 500  # re-scans that are held together

Values = NDArray[np.float64]


def matched_filter(
    subject: Subject,
    *,
    seed: int = 0,
    q: float = Q,
    diameters_mm: Sequence[float] = DIAMETERS_MM,
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Finding:
    """Scan the samples for discs of several sizes.

    The difference d = x̃ - f(x) - E[noise] of each sample goes through the filter bank; its peak is the largest |t|
    over all places and sizes. The null is the peak of a re-scan, so a sample's p-value holds for its whole picture.
    Benjamini and Hochberg's q-values over the samples control false discoveries: samples share noise, which is
    positive dependence.

    Two maps are made. ``largest``, the one to overlay, is at each pixel the t of largest magnitude over samples and
    sizes: an invariance is what differs from sample to sample, and a mean would hide it. Its threshold is that of as
    many independent re-scans, the worst case for any dependence between the samples (Šidák's inequality). ``mean`` is
    t of the mean difference, what all samples have in common. The mean of n independent re-scans has a threshold √n
    times smaller, but certified samples share the noise that f saw: whatever they share, the mean's covariance is at
    most C, so the threshold of one re-scan holds for it (Anderson's inequality).

    Args:
        subject: The region with its samples.
        seed: Seed of the null.
        q: Level of false discoveries.
        diameters_mm: Diameters of the discs.
        draws: Re-scans in the null.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: No sample, no disc that fits, too few draws, or a region too large for a dense C.

    References:
        A. E. Burgess, Prewhitening revisited, Proc SPIE 3663, 1999. Z. Šidák, Rectangular confidence regions for the
        means of multivariate normal distributions, J Am Stat Assoc 62, 1967.
    """
    need_samples(subject, 1, "the scanning matched filter")
    check_level(q)
    if draws < FEWEST_DRAWS:
        raise InputError(f"expected at least {FEWEST_DRAWS} re-scans for the null, got {draws}.")
    bank = FilterBank.of(subject, diameters_mm, progress=part(progress, 0.0, 0.4))
    null = null_peaks(subject, bank, draws, seed=seed, progress=part(progress, 0.4, 0.9))
    tell(progress, "filtering the samples", 0.9)
    differences = unexplained(subject, subject.x_tilde)
    peaks = _Peaks.of(bank, differences, null, part(progress, 0.9, 0.93))
    mean = bank.scores(differences.mean(0, keepdims=True))[0]
    figures: dict[str, Any] = {
        "samples": len(differences),
        "found": int((peaks.q <= q).sum()),
        "q": q,
        "control": "Benjamini-Hochberg over the samples; each p-value holds for all places and sizes of a picture",
        "null": f"largest |t| over {bank.places} places and sizes in {draws} re-scans f(x) + noise",
        "draws": draws,
        "places": bank.places,
        "diameters_mm": [grid.diameter_mm for grid in bank.grids],
        **_thresholds(null, q, len(differences), bank.places),
        "strongest": _strongest(subject, bank, peaks),
        "mean": _spot(subject, bank, *_largest_of(mean)),
        "change_from_scan": _change(subject, bank, part(progress, 0.93, 0.96)),
    }
    largest = _largest(bank, differences, part(progress, 0.96, 1.0))
    return Finding(
        "matched-filter",
        _sentence(figures),
        figures["found"] > 0,
        figures,
        {
            "largest": Map(bank.image(largest), "σ", "strongest disc over all samples"),
            "mean": Map(bank.image(mean), "σ", "disc in the mean of the samples"),
        },
        {"samples": _table(subject, bank, peaks)},
    )


@dataclass(frozen=True, eq=False)
class _Peaks:
    """The peak of each sample: (n,) t and place, and the p- and q-value of its size."""

    values: NDArray[np.float32]
    places: NDArray[np.int64]
    p: Values
    q: Values

    @classmethod
    def of(
        cls,
        bank: FilterBank,
        differences: NDArray[np.float32],
        null: NDArray[np.floating],
        progress: Progress | None,
    ) -> _Peaks:
        values, places = bank.strongest(differences, progress=progress)
        p = peak_p_values(np.abs(values), null, bank.places)
        return cls(values, places, p, benjamini_hochberg(p))


def null_peaks(
    subject: Subject, bank: FilterBank, draws: int, *, seed: int, progress: Progress | None = None
) -> NDArray[np.float32]:
    """(draws,) the largest |t| over places and sizes in re-scans."""
    parts = []
    for inner, first in each(progress, "drawing re-scans", range(0, draws, _AT_ONCE)):
        count = min(_AT_ONCE, draws - first)
        noise = null_noise(subject, count, seed=seed, first=first, progress=part(inner, 0.0, 0.5))
        parts.append(np.abs(bank.strongest(noise, progress=part(inner, 0.5, 1.0))[0]))
    return np.concatenate(parts)


def peak_p_values(peaks: NDArray[np.floating], null: NDArray[np.floating], places: int) -> Values:
    """(n,) p-values of peaks: the share of re-scans with one as large.

    Beyond the largest peak of the null, where counting ends at 1/(draws + 1), the bound of Bonferroni over the places takes
    over: it holds whatever the dependence, and is close where peaks are that rare.
    """
    above = len(null) - np.searchsorted(np.sort(null), peaks, side="left")
    counted = (1.0 + above) / (len(null) + 1.0)
    return np.asarray(np.minimum(counted, 2.0 * places * norm.sf(peaks)), dtype=np.float64)


def peak_threshold(null: NDArray[np.floating], level: float, places: int) -> float:
    """The peak that a re-scan exceeds with this probability."""
    bound = float(norm.isf(level / (2.0 * places)))
    rank = int(level * (len(null) + 1))
    return min(bound, float(np.sort(null)[-rank])) if rank else bound


def _thresholds(null: NDArray[np.floating], q: float, count: int, places: int) -> dict[str, float]:
    one = peak_threshold(null, q, places)
    return {
        "threshold_sigma": one,
        "threshold_all_samples_sigma": peak_threshold(null, 1.0 - (1.0 - q) ** (1.0 / count), places),
        "threshold_mean_sigma": one,
        "threshold_mean_if_independent_sigma": one / float(np.sqrt(count)),
    }


def _largest(
    bank: FilterBank, differences: NDArray[np.float32], progress: Progress | None
) -> NDArray[np.float32]:
    """(places,) the t of largest magnitude over the samples."""
    found = np.zeros(bank.places, dtype=np.float32)
    for _, start in each(progress, "filtering the samples", range(0, len(differences), 128)):
        scores = np.vstack([found, bank.scores(differences[start : start + 128])])
        found = np.take_along_axis(scores, np.abs(scores).argmax(0)[None], 0)[0]
    return found


def _largest_of(scores: NDArray[np.float32]) -> tuple[float, int]:
    """The t of largest magnitude and its place."""
    place = int(np.abs(scores).argmax())
    return float(scores[place]), place


def _spot(subject: Subject, bank: FilterBank, value: float, place: int) -> dict[str, Any]:
    """A peak with its disc, in voxels of the scan, and the contrast that the filter reads there."""
    disc = bank.disc(place)
    return {
        "sigma": value,
        "y": round(disc.y) + subject.box.y0,
        "x": round(disc.x) + subject.box.x0,
        "diameter_mm": disc.diameter_mm,
        "contrast_hu": value / float(bank.norms[place]),
    }


def _strongest(subject: Subject, bank: FilterBank, peaks: _Peaks) -> dict[str, Any]:
    best = int(np.abs(peaks.values).argmax())
    spot = _spot(subject, bank, float(peaks.values[best]), int(peaks.places[best]))
    return {**spot, "row": subject.rows[best], "p": float(peaks.p[best]), "q": float(peaks.q[best])}


def _change(subject: Subject, bank: FilterBank, progress: Progress | None) -> dict[str, Any]:
    """The disc by which a sample differs most from the scan; its σ is an observer's d' for that change."""
    values, places = bank.strongest(subject.x_tilde - subject.scan, progress=progress)
    most = int(np.abs(values).argmax())
    return {**_spot(subject, bank, float(values[most]), int(places[most])), "row": subject.rows[most]}


def _sentence(figures: dict[str, Any]) -> str:
    best, change, found = figures["strongest"], figures["change_from_scan"], figures["found"] or "none"
    show = "show" if figures["found"] > 1 else "shows"
    return (
        f"At a false discovery rate of {figures['q']:.0%}, {found} of {figures['samples']} samples {show} a disc that f(x) "
        f"and noise do not explain: the strongest, {best['diameter_mm']:g} mm at row {best['y']}, column {best['x']}, "
        f"has {best['sigma']:.1f} σ (one re-scan in {1 / figures['q']:.0f} exceeds {figures['threshold_sigma']:.1f} σ); "
        f"from the scan itself no sample differs by a disc of more than {abs(change['sigma']):.2f} σ."
    )


def _table(subject: Subject, bank: FilterBank, peaks: _Peaks) -> dict[str, list[float]]:
    pairs = zip(peaks.values, peaks.places, strict=True)
    spots = [_spot(subject, bank, float(value), int(place)) for value, place in pairs]
    return {
        "row": [float(row) for row in subject.rows],
        **{name: [float(spot[name]) for spot in spots] for name in ("sigma", "y", "x", "diameter_mm")},
        "p": peaks.p.tolist(),
        "q": peaks.q.tolist(),
    }
