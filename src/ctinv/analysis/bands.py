"""I1: whether samples differ from f(x) by more than noise in some band of frequencies (method §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.band_law import LOW, BandLaw, frequencies, pitch_mm
from ctinv.analysis.finding import Finding
from ctinv.analysis.null import check_level, dense_noise, need_samples, null_noise, unexplained
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.dimension import BANDS
from ctinv.progress import Progress, blocks, each, part, tell
from ctinv.statistics.multiple import benjamini_hochberg

Q = 0.05
DRAWS = 1000
REFERENCES = {"clean": 1, "scan": 2, "pairs": 2}
"""What samples are compared with, to the number g of independent noises in the difference."""

_COMPARED = {
    "clean": "{n} differences of samples from f(x)",
    "scan": "{n} differences of samples from the scan",
    "pairs": "{n} differences of two samples",
}
_SPECTRUM_BINS = 16
_AT_ONCE = 250  # re-scans that are transformed together

Values = NDArray[np.float64]


def noise_consistency(
    subject: Subject,
    *,
    seed: int = 0,
    q: float = Q,
    reference: str = "clean",
    draws: int = DRAWS,
    progress: Progress | None = None,
) -> Finding:
    """Test the power of the samples' differences, band by band, for more than noise can have.

    T = Σ|D_k|²/(g·S_k) over the frequencies of a band, with S_k the power that noise of C has there given the
    surroundings. Its law under noise is computed from C (`ctinv.analysis.band_law.BandLaw`) and checked against
    re-scans; ``null`` holds both. The test is one-sided: only more power than noise can be structure. Less power is
    reported as ``below``, and is what certified samples have: f(x) keeps part of the scan's noise, so x̃ - f(x) is
    the part that f removed. Benjamini and Hochberg's q-values over samples times bands control false discoveries. The
    finding is interesting where the band below 0.1 cycles per pixel, in which anatomy lies, is rejected.

    Three references answer three questions:

    - ``"clean"``: f(x), g = 1: is there more than noise in a sample? The null is a re-scan f(x) + noise. -
    ``"scan"``: x, g = 2: would a reader who compares a sample with the scan see more than noise? The null is the
    difference of
      two scans of the same patient, which is what a reader would take them for. A certified sample shares with x what
      f sees, so its power is a small share of that; this share is the answer, and p-values near 1 are right.
    - ``"pairs"``: two samples, g = 2, neighbouring rows, none used twice: do samples differ by more than two scans
    would?

    Args:
        subject: The region with its samples.
        seed: Seed of the re-scans.
        q: Level of false discoveries.
        reference: One of `REFERENCES`.
        draws: Re-scans that check the law.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: Too few samples, no such reference, or a region too large for a dense C.
    """
    check_level(q)
    if reference not in REFERENCES:
        raise InputError(f"there is no reference {reference!r}; choose one of {', '.join(REFERENCES)}.")
    need_samples(subject, 2 if reference == "pairs" else 1, "noise consistency")
    if draws < 1:
        raise InputError(f"expected at least one re-scan to check the law with, got {draws}.")
    tell(progress, "measuring the power of noise", 0.0)
    law = BandLaw.of(
        dense_noise(subject), subject.shape, subject.spacing_mm, progress=part(progress, 0.0, 0.7)
    )
    tell(progress, "testing the samples", 0.7)
    tested = _Tested.of(law, _differences(subject, reference), REFERENCES[reference])
    null = _null(subject, law, draws, q, seed, part(progress, 0.7, 1.0))
    bands = _bands(subject, law, tested, q, null)
    figures: dict[str, Any] = {
        "reference": reference,
        "tested": len(tested.differences),
        "q": q,
        "control": "Benjamini-Hochberg over samples times bands, one-sided for more power",
        "null": "χ² with the first three cumulants of the power of noise of C given the surroundings; checked on re-scans",
        "draws": draws,
        "rejected": int((tested.q <= q).sum()),
        "bands": bands,
    }
    return Finding(
        "noise-consistency",
        _sentence(figures),
        bool(bands.get(LOW, {}).get("rejected", 0)),
        figures,
        curves={
            "spectrum": _spectrum(subject, law, tested.differences),
            "samples": _table(subject, reference, list(law.masks), tested),
        },
    )


@dataclass(frozen=True, eq=False)
class _Tested:
    """Differences, scaled to one noise each, with T/N and its p- and q-values, (n, bands); `below` are q-values
    downwards."""

    differences: NDArray[np.float32]
    relative: Values
    p: Values
    q: Values
    below: Values

    @classmethod
    def of(cls, law: BandLaw, differences: NDArray[np.float32], noises: int) -> _Tested:
        scaled = np.asarray(differences / np.sqrt(noises), dtype=np.float32)
        relative = law.relative_power(scaled)
        p, lower = law.p_values(relative), law.p_values(relative, upper=False)
        q, below = (benjamini_hochberg(part.ravel()).reshape(p.shape) for part in (p, lower))
        return cls(scaled, relative, p, q, below)


def _differences(subject: Subject, reference: str) -> NDArray[np.float32]:
    if reference == "clean":
        return unexplained(subject, subject.x_tilde)
    if reference == "scan":
        return subject.x_tilde - subject.scan
    pairs = len(subject.x_tilde) // 2
    return subject.x_tilde[0 : 2 * pairs : 2] - subject.x_tilde[1 : 2 * pairs : 2]


def _null(
    subject: Subject, law: BandLaw, draws: int, q: float, seed: int, progress: Progress | None
) -> dict[str, dict[str, float]]:
    """The law of each band, and how often re-scans exceed its limit."""
    noise = null_noise(subject, draws, seed=seed, progress=part(progress, 0.0, 0.8))
    runs = each(part(progress, 0.8, 1.0), "testing re-scans", blocks(draws, _AT_ONCE))
    relative = np.concatenate([law.relative_power(noise[run.start : run.stop]) for _, run in runs])
    exceeded = (law.p_values(relative) <= q).mean(0)
    return {
        name: {
            "frequencies": float(mask.sum()),
            "degrees": law.degrees[name],
            "std": float(np.sqrt(law.cumulants[name][1]) / mask.sum()),
            "rescans_mean": float(relative[:, i].mean()),
            "rescans_std": float(relative[:, i].std(ddof=1)) if draws > 1 else float("nan"),
            "rescans_limit": float(np.quantile(relative[:, i], 1.0 - q)),
            "rescans_beyond_limit": float(exceeded[i]),
        }
        for i, (name, mask) in enumerate(law.masks.items())
    }


def _bands(
    subject: Subject, law: BandLaw, tested: _Tested, q: float, null: dict[str, dict[str, float]]
) -> dict[str, dict[str, Any]]:
    """What each band shows; powers are shares of the noise's."""
    changes = law.relative_power(subject.x_tilde - subject.scan).mean(0) / 2.0
    scan = law.relative_power(unexplained(subject, subject.scan[None]))
    scan_p, limits = law.p_values(scan), law.limits(q)
    return {
        name: {
            **_edges(subject, name),
            "samples_mean": float(tested.relative[:, i].mean()),
            "samples_largest": float(tested.relative[:, i].max()),
            "limit": limits[name],
            "rejected": int((tested.q[:, i] <= q).sum()),
            "below": int((tested.below[:, i] <= q).sum()),
            "smallest_p": float(tested.p[:, i].min()),
            "smallest_q": float(tested.q[:, i].min()),
            "scan": float(scan[0, i]),
            "scan_p": float(scan_p[0, i]),
            "change_from_scan": float(changes[i]),
            "null": null[name],
        }
        for i, name in enumerate(law.masks)
    }


def _edges(subject: Subject, name: str) -> dict[str, float | None]:
    """Edges of a band in 1/mm and cycles per pixel; the last band has no upper edge."""
    low, high = BANDS[name]
    pitch, last = pitch_mm(subject.spacing_mm), name == list(BANDS)[-1]
    return {
        "low_per_mm": low / pitch,
        "high_per_mm": None if last else high / pitch,
        "low_per_px": low,
        "high_per_px": None if last else high,
    }


def _spectrum(subject: Subject, law: BandLaw, differences: NDArray[np.float32]) -> dict[str, list[float]]:
    """Mean power over rings of equal width: the noise's, the scan's and the samples', HU² mm²."""
    radius = frequencies(subject.shape, subject.spacing_mm)
    ring = np.minimum((radius / radius.max() * _SPECTRUM_BINS).astype(int), _SPECTRUM_BINS - 1).ravel()
    counts = np.bincount(ring, minlength=_SPECTRUM_BINS)
    filled = counts > 0
    area = subject.spacing_mm[0] * subject.spacing_mm[1]

    def rings(power: NDArray[np.float64]) -> list[float]:
        return list((np.bincount(ring, power.ravel(), _SPECTRUM_BINS)[filled] / counts[filled]).tolist())

    def power(images: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray((np.abs(np.fft.fft2(images, norm="ortho")) ** 2).mean(0)) * area

    return {
        "frequency_per_mm": rings(radius),
        "noise_hu2_mm2": rings(law.power * area),
        "scan_hu2_mm2": rings(power(unexplained(subject, subject.scan[None]))),
        "samples_hu2_mm2": rings(power(differences)),
    }


def _table(subject: Subject, reference: str, names: list[str], tested: _Tested) -> dict[str, list[float]]:
    rows = subject.rows[: 2 * len(tested.p) : 2] if reference == "pairs" else subject.rows
    table = {"row": [float(row) for row in rows]}
    for i, name in enumerate(names):
        for column in ("relative", "p", "q"):
            table[f"{name}_{column}"] = getattr(tested, column)[:, i].tolist()
    return table


def _sentence(figures: dict[str, Any]) -> str:
    bands, compared = figures["bands"], _COMPARED[figures["reference"]].format(n=figures["tested"])
    rejected = {name: band["rejected"] for name, band in bands.items() if band["rejected"]}
    found = ", ".join(f"{count} in the {name} band" for name, count in rejected.items())
    verdict = (
        f"more power than noise has: {found}" if rejected else "no more power than noise has in any band"
    )
    low = bands.get(LOW) or next(iter(bands.values()))
    change = max(band["change_from_scan"] for band in bands.values())
    edge = "" if low["high_per_mm"] is None else f" below {low['high_per_mm']:.2f}/mm"
    return (
        f"At a false discovery rate of {figures['q']:.0%}, {compared} show {verdict}; the largest power{edge} is "
        f"{low['samples_largest']:.2g} of the noise's (one re-scan in {1 / figures['q']:.0f} exceeds {low['limit']:.2f}), "
        f"and the change from the scan has {_share(change)} of the power by which two scans differ."
    )


def _share(value: float) -> str:
    return f"at most {value:.1%}" if value >= 0.001 else "less than 0.1%"
