"""I6: a few samples that stand for all, and the share each stands for (method §7)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.analysis.band_law import LOW, band_masks, pitch_mm
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.null import check_level, need_samples, null_noise
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.covariance import DenseNoise
from ctinv.fibre.dimension import BANDS
from ctinv.progress import Progress, blocks, each, part, tell

COUNT = 6
Q = 0.05
SETS = 200
_AT_ONCE = 500  # images that are transformed together
_DRAWS = 1024  # re-scans that stand for C where its root is not known
_SETS_STREAM = "sets of re-scans"

Features = NDArray[np.float64]


def representatives(
    subject: Subject,
    *,
    seed: int = 0,
    count: int = COUNT,
    q: float = Q,
    sets: int = SETS,
    progress: Progress | None = None,
) -> Finding:
    """Choose samples whose low-frequency changes cover those of all samples.

    The distance of two samples is the RMS over the region, in HU, of the part of their difference below 0.1 cycles
    per pixel, where anatomy lies. The first centre is the sample nearest to the mean, each next one the sample
    furthest from all centres so far (greedy k-centre: its radius is at most twice the best possible one). Equal
    distances go to the smaller row, so the choice depends neither on the order of the samples nor on chance. Each
    sample counts for its nearest centre.

    The null says how far re-scans lie apart: sets of as many re-scans of the same anatomy go through the same choice,
    and the finding is interesting where the samples' radius exceeds that of all but a share q of the sets. One number
    is tested, so nothing needs correction. Which samples are shown is a choice, not a test.

    Args:
        subject: The region with its samples.
        seed: Seed of the null.
        count: How many to show at most; fewer where fewer differ.
        q: Level of the test.
        sets: Sets of re-scans in the null.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: No sample, or a count, level or number of sets that makes no sense.

    References:
        T. F. Gonzalez, Clustering to minimize the maximum intercluster distance, Theor Comput Sci 38, 1985,
        https://doi.org/10.1016/0304-3975(85)90224-5.
    """
    need_samples(subject, 1, "choosing representatives")
    check_level(q)
    if count < 1 or int(q * (sets + 1)) < 1:
        raise InputError(
            f"expected at least one representative and {int(np.ceil(1 / q))} sets, got {count} and {sets}."
        )
    tell(progress, "choosing samples", 0.0)
    order = np.argsort(subject.rows, kind="stable")
    rows, changes = np.asarray(subject.rows)[order], (subject.x_tilde - subject.scan)[order]
    features = _features(subject, changes)
    centres, radii = k_centre(features, count)
    nearest = _distances(features, features[centres]).argmin(1)
    null = _null_radii(subject, len(rows), count, sets, seed, progress)
    figures: dict[str, Any] = {
        "samples": len(rows),
        "shown": _shown(features, rows, centres, nearest),
        "radius_hu": radii[-1],
        "below_per_mm": BANDS[LOW][1] / pitch_mm(subject.spacing_mm),
        "null": f"radius of as many centres in {sets} sets of as many re-scans",
        "null_median_hu": float(np.median(null)),
        "threshold_hu": float(np.sort(null)[-int(q * (sets + 1))]),
        "p": float((1 + (null >= radii[-1]).sum()) / (sets + 1)),
        "q": q,
        "control": "one test of one number",
    }
    return Finding(
        "representatives",
        _sentence(figures, subject.unit),
        bool(figures["p"] <= q),
        figures,
        {f"row_{rows[c]}": _map(subject, changes[c], int(rows[c])) for c in centres},
        {
            "radius": {"centres": [float(k + 1) for k in range(len(radii))], "radius_hu": radii},
            "membership": {
                "row": rows.astype(float).tolist(),
                "stands_for": rows[centres][nearest].astype(float).tolist(),
            },
        },
    )


def k_centre(features: Features, count: int) -> tuple[list[int], list[float]]:
    """Greedy k-centre.

    Args:
        features: (n, d), one row per point; equal distances go to the earlier row.
        count: Most centres; it ends early where every point is a centre's twin.

    Returns:
        The centres, and the radius after each of them: the largest distance of a point to its nearest centre.
    """
    centres = [int(_distances(features, features.mean(0)[None])[:, 0].argmin())]
    distance = _distances(features, features[centres])[:, 0]
    radii = [float(distance.max())]
    while len(centres) < count and radii[-1] > 0.0:
        centres.append(int(distance.argmax()))
        distance = np.minimum(distance, _distances(features, features[centres[-1:]])[:, 0])
        radii.append(float(distance.max()))
    return centres, radii


def _distances(features: Features, centres: Features) -> Features:
    """(n, k) distances; differences first, so that twins are exactly 0 apart."""
    return np.stack([np.linalg.norm(features - centre, axis=1) for centre in centres], axis=1)


def _features(subject: Subject, images: NDArray[np.floating]) -> Features:
    """(n, d) coordinates of (n, h, w) images in the low band: their distance is RMS over the region, HU."""
    mask = band_masks(subject.shape, subject.spacing_mm)[LOW]
    found = np.fft.fft2(images.astype(np.float64), norm="ortho")[:, mask] / np.sqrt(mask.size)
    return np.hstack([found.real, found.imag])


def _null_radii(
    subject: Subject, size: int, count: int, sets: int, seed: int, progress: Progress | None
) -> Features:
    """(sets,) radii of sets of re-scans, drawn as coordinates: only the low band counts."""
    root = _null_root(subject, seed, part(progress, 0.0, 0.5))
    radii = np.empty(sets)
    for _, index in each(part(progress, 0.5, 1.0), "choosing among re-scans", range(sets)):
        normal = subject.seeds(seed).generator(index, _SETS_STREAM).standard_normal((size, root.shape[1]))
        radii[index] = k_centre(normal @ root.T, count)[1][-1]
    return radii


def _null_root(subject: Subject, seed: int, progress: Progress | None) -> Features:
    """(d, r) root of the covariance of a re-scan's coordinates, exact where the root of C is known."""
    noise = subject.corrector.noise
    if isinstance(noise, DenseNoise):
        columns = noise.small_root.T.reshape(-1, *subject.shape).cpu().numpy()
        together = each(progress, "measuring the low band of noise", blocks(len(columns), _AT_ONCE))
        features = np.concatenate(
            [_features(subject, columns[some.start : some.stop]) for _, some in together]
        )
    else:
        features = _features(subject, null_noise(subject, _DRAWS, seed=seed, progress=progress))
        features = features / np.sqrt(_DRAWS)
    tell(progress, "finding the root of the low band", 1.0)
    values, vectors = np.linalg.eigh(features.T @ features)
    kept = values > 1e-9 * values[-1]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _shown(
    features: Features, rows: NDArray[np.int_], centres: list[int], nearest: NDArray[np.intp]
) -> list[dict[str, Any]]:
    members = np.bincount(nearest, minlength=len(centres))
    return [
        {
            "row": int(rows[centre]),
            "share": float(count / len(rows)),
            "change_hu": float(np.linalg.norm(features[centre])),
        }
        for centre, count in zip(centres, members, strict=True)
    ]


def _map(subject: Subject, change: NDArray[np.floating], row: int) -> Map:
    mask = band_masks(subject.shape, subject.spacing_mm)[LOW]
    slow = np.fft.ifft2(np.fft.fft2(change) * mask).real
    return Map(slow.astype(np.float32), subject.unit, f"slow change from the scan in sample {row}")


def _sentence(figures: dict[str, Any], unit: str) -> str:
    shown = figures["shown"]
    named = ", ".join(f"{one['row']} ({one['share']:.0%})" for one in shown)
    which = f"samples {named} stand" if len(shown) > 1 else f"sample {named} stands"
    return (
        f"Of {figures['samples']} samples, {which} for all of them below {figures['below_per_mm']:.2f}/mm to within "
        f"{figures['radius_hu']:.2g} {unit} RMS; as many re-scans would leave {figures['null_median_hu']:.2g} {unit} RMS."
    )
