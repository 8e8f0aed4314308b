"""I5, eigen-invariances: the largest plausible anatomical change that the network does not pass on (method §7).

    max_v  vᵀHv / vᵀ(C⁻¹ + JᵀJ/ε²)v

The metric C⁻¹ + JᵀJ/ε² = Σ⁻¹ is that of the law: a change v of length 1 is one standard deviation of what f leaves free and
noise explains. H says what counts as anatomy: the share of power below 0.1 cycles per pixel ("low-pass"), or the projection
onto the span of discs ("lesion"). With Σ = GGᵀ and v = Gu this is the largest eigenvalues of GᵀHG, an ordinary symmetric
problem, solved by LOBPCG (A. V. Knyazev, SIAM J Sci Comput 23, 2001, https://doi.org/10.1137/S1064827500366124).

A length of 1 is a typical change; of k directions together, √χ²_k at 99 % is the largest that the law allows but once in a
hundred. At that length v is scaled to HU, and then followed *nonlinearly*: x + αv is moved onto the fibre and certified, for
growing α, as far as the tier is met, the image is plausible, and half of the change is still there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lobpcg
from scipy.stats import chi2

from ctinv.analysis.anatomy import CUTOFF, Anatomy, Lesions, LowPass
from ctinv.analysis.disc import DIAMETERS_MM, disc_signals
from ctinv.analysis.finding import Finding, Map
from ctinv.analysis.ideal_observer import DenseObserver, observer_of
from ctinv.analysis.insertion import Inserted, largest_that_fits
from ctinv.analysis.lesion_study import D_HIDDEN, D_SEEN, at_rescans
from ctinv.analysis.null import dense_noise
from ctinv.analysis.subject import Subject
from ctinv.errors import InputError
from ctinv.fibre.covariance import DenseNoise
from ctinv.progress import Progress, blocks, each, part, tell

LOW_PASS, LESION = "low-pass", "lesion"
KINDS = (LOW_PASS, LESION)
LEVEL = 0.99
MOST_LENGTH = 30.0
"""Length in the law's metric up to which directions are followed."""
_STRIDE = 3
_ITERATIONS = 200
_COLUMNS = 512  # of L at once
_SEARCHING, _NOISE = "searching directions", "measuring what noise hides"

Images = NDArray[np.float32]
Values = NDArray[np.float64]


def eigen_invariances(
    subject: Subject,
    *,
    seed: int = 0,
    count: int = 6,
    kind: str = LOW_PASS,
    diameters_mm: Sequence[float] = DIAMETERS_MM,
    rescans: int = 0,
    progress: Progress | None = None,
) -> Finding:
    """Find the plausible changes of most anatomy, and follow them along the fibre.

    Args:
        subject: The region; samples are not needed.
        seed: Seed of LOBPCG's start, which the result does not depend on, and of the re-scans.
        count: Directions, 1 to 10.
        kind: ``"low-pass"`` or ``"lesion"``, what counts as anatomy.
        diameters_mm: Diameters of the discs of ``"lesion"``.
        rescans: Re-scans f(x) + noise at which J is taken again, to show what noise in the scan does.
        progress: Called with a phrase and a finished share.

    Raises:
        InputError: The region is too large for a dense factor, or an option is out of range.
    """
    if kind not in KINDS:
        raise InputError(f"there is no projector {kind!r}; choose one of {', '.join(KINDS)}.")
    if not 1 <= count <= 10 or rescans < 0:
        raise InputError(f"expected 1 to 10 directions and no negative number of re-scans, got {count}.")
    once = part(progress, 0.0, 1.0 / (1 + rescans))
    observer = _dense(subject, part(once, 0.0, 0.3))
    anatomy = _anatomy(subject, kind, diameters_mm)
    values, images = directions(
        observer, anatomy, subject.shape, count, seed=seed, progress=part(once, 0.3, 0.5)
    )
    reach = float(np.sqrt(chi2.ppf(LEVEL, count)))
    pixels = subject.corrector.factor.pixels
    rms = np.sqrt(values / pixels)
    seen = observer.look(torch.from_numpy(images.reshape(count, -1)))
    along = each(part(once, 0.5, 0.8), "following a direction", list(images))
    followed = [
        largest_that_fits(subject, image, most_hu=MOST_LENGTH, progress=inner) for inner, image in along
    ]
    rows: list[dict[str, Any]] = [
        {
            "rms_hu": reach * float(rms[index]),
            "rms_at_length_1_hu": float(rms[index]),
            "peak_hu": reach * float(np.abs(images[index]).max()),
            "d_in": reach * float(seen.d_in[index]),
            "d_eps": reach * float(seen.d_eps[index]),
            "eta": float(seen.eta[index]),
            "followed": _followed(one, bounded, float(rms[index])),
        }
        for index, (one, bounded) in enumerate(followed)
    ]
    figures: dict[str, Any] = {
        "denoiser": subject.corrector.region.representation.denoiser.name,
        "tier": subject.corrector.rule.asked,
        "tolerance": subject.corrector.factor.tolerance,
        "unit": subject.unit,
        "kind": kind,
        "cutoff_cycles_per_pixel": CUTOFF if kind == LOW_PASS else None,
        "cutoff_cycles_per_mm": [CUTOFF / step for step in subject.spacing_mm] if kind == LOW_PASS else None,
        "length": reach,
        "directions": rows,
        "noise_rms_hu": _noise(dense_noise(subject), anatomy, part(once, 0.8, 1.0)),
        "null": {
            "distribution": "none: J is taken at the scan and C is known; the law's own spread is the scale",
            "threshold": f"length √χ² with {count} degrees of freedom at {100 * LEVEL:g} %; a change counts as hidden where "
            f"d'_in ≥ {D_SEEN:g} and d'_ε ≤ {D_HIDDEN:g} at that length, and as certified where feeding back says so",
            "control": "the directions are orthogonal in the law's metric and their length is that of all together",
        },
    }
    if rescans:
        figures["rescans"] = _at_rescans(
            subject, anatomy, count, rescans, seed, part(progress, 1.0 / (1 + rescans), 1.0)
        )
    hidden = any(row["d_in"] >= D_SEEN and row["d_eps"] <= D_HIDDEN for row in rows)
    return Finding(
        "eigen-invariances",
        _sentence(figures),
        hidden,
        figures,
        _maps(subject, reach * images, followed),
        {
            "directions": {
                name: [row[name] for row in rows] for name in ("rms_hu", "peak_hu", "d_in", "d_eps")
            }
        },
    )


def directions(
    observer: DenseObserver,
    anatomy: Anatomy,
    shape: tuple[int, int],
    count: int,
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Values, Images]:
    """The leading directions.

    Args:
        observer: Holds G, the root of Σ.
        anatomy: H.
        shape: Height and width of the region.
        count: How many.
        seed: Of the start.
        progress: Called with a phrase; how many iterations are left is unknown.

    Returns:
        (k,) eigenvalues vᵀHv in HU² for a length of 1, largest first, and (k, h, w) v in HU with its largest value positive.
    """
    root = observer.half_gain  # Σ = GGᵀ
    pixels = len(root)

    def apply(block: Values) -> Values:
        tell(progress, _SEARCHING)
        columns = root @ torch.from_numpy(block.reshape(pixels, -1)).float()
        tell(progress, _SEARCHING)
        found: Values = (root.T @ anatomy.apply(columns)).double().numpy()
        return found

    # A few more than asked, so that the last ones are not held up by a neighbour just outside the block.
    extra = min(count + 4, max(pixels // 5, count))
    start = np.random.default_rng(seed).standard_normal((pixels, extra))
    operator = LinearOperator((pixels, pixels), matvec=apply, matmat=apply, dtype=np.float64)
    values, vectors = _solve(operator, start)
    images = (root @ torch.from_numpy(vectors[:, :count]).float()).T.reshape(count, *shape).numpy()
    signs = np.sign(images.reshape(count, -1)[np.arange(count), np.abs(images.reshape(count, -1)).argmax(1)])
    return np.maximum(values[:count], 0.0), np.ascontiguousarray(images * signs[:, None, None])


def _solve(operator: LinearOperator, start: Values) -> tuple[Values, Values]:
    """The largest eigenvalues, first the largest."""
    with (
        warnings.catch_warnings()
    ):  # float32 products end before its tolerance; what is left is far below the figures
        warnings.simplefilter("ignore", UserWarning)
        values, vectors = lobpcg(operator, start, largest=True, maxiter=_ITERATIONS, tol=1e-5)
    order = np.argsort(values)[::-1]
    return np.asarray(values)[order], np.asarray(vectors)[:, order]


def _anatomy(subject: Subject, kind: str, diameters_mm: Sequence[float]) -> Anatomy:
    if kind == LOW_PASS:
        return LowPass(subject.shape)
    grids = disc_signals(subject, diameters_mm, stride=_STRIDE)
    return Lesions(torch.cat([grid.signals.to_dense() for grid in grids]))


def _dense(subject: Subject, progress: Progress | None) -> DenseObserver:
    observer = observer_of(subject.corrector, progress=progress)
    if not isinstance(observer, DenseObserver):
        raise InputError(
            "eigen-invariances are computed on regions up to about 96 x 96 voxels; choose a smaller box."
        )
    return observer


def _noise(noise: DenseNoise, anatomy: Anatomy, progress: Progress | None) -> float:
    """RMS in HU of the anatomy-like part of noise of C given the surroundings: what nothing but f could hide in."""
    root = noise.small_root.cpu()
    pixels, low = len(root), torch.empty_like(root)
    for _, some in each(progress, _NOISE, blocks(pixels, _COLUMNS)):
        low[:, some.start : some.stop] = anatomy.apply(root[:, some.start : some.stop])
    power = (root * low).sum()
    return float((power / pixels).sqrt())


def _followed(one: Inserted | None, bounded: bool, rms: float) -> dict[str, Any] | None:
    """How far a direction goes: its length, what is kept of it in HU RMS, and the certificate."""
    if one is None:
        return None
    return {
        "length": abs(one.contrast_hu),
        "bounded": bounded,
        "rms_hu": abs(one.contrast_kept_hu) * rms,
        "rmse_hu": one.rmse_hu,
        "tier": one.tier,
        "chi2_per_n": one.chi2_per_n,
        "corrected": one.corrected,
        "cosine": one.cosine,
    }


def _at_rescans(
    subject: Subject, anatomy: Anatomy, count: int, rescans: int, seed: int, progress: Progress | None
) -> dict[str, Any]:
    """RMS at length 1 of the leading direction, with J taken at re-scans."""
    found = []
    for inner, other in at_rescans(subject, rescans, seed=seed, progress=progress):
        observer = _dense(other, part(inner, 0.0, 0.6))
        values, _ = directions(
            observer, anatomy, subject.shape, count, seed=seed, progress=part(inner, 0.6, 1.0)
        )
        found.append(float(np.sqrt(values[0] / other.corrector.factor.pixels)))
    return {"n": rescans, "seed": seed, "rms_at_length_1_hu": found}


def _maps(
    subject: Subject, images: Images, followed: Sequence[tuple[Inserted | None, bool]]
) -> dict[str, Map]:
    unit, maps = subject.unit, {}
    for index, image in enumerate(images):
        maps[f"direction_{index + 1}"] = Map(image.astype(np.float32), unit, f"eigen-invariance {index + 1}")
    first = followed[0][0]
    if first is not None:
        maps["certified_change"] = Map(
            first.x_tilde - subject.scan, unit, "x̃ − x, certified furthest along 1"
        )
        maps["feedback_error"] = Map(first.feedback_error, unit, "f(x̃) − f(x) there")
    return maps


def _sentence(figures: dict[str, Any]) -> str:
    first, unit = figures["directions"][0], figures["unit"]
    kind = f"below {CUTOFF:g} cycles per pixel" if figures["kind"] == LOW_PASS else "made of discs"
    goes = first["followed"]
    certified = (
        "none of it is certified when it is followed"
        if goes is None
        else f"followed and certified at {figures['tier']} it goes {'at least ' if goes['bounded'] else ''}to "
        f"{goes['rms_hu']:.3g} {unit}"
    )
    hidden = (
        "seen in the scan and hidden after f"
        if first["d_in"] >= D_SEEN and first["d_eps"] <= D_HIDDEN
        else "not seen in the scan either"
        if first["d_in"] < D_SEEN
        else "seen in both"
    )
    return (
        f"The largest plausible change {kind} that {figures['denoiser']} leaves free is {first['rms_hu']:.3g} {unit} RMS "
        f"(noise: {figures['noise_rms_hu']:.3g} {unit}), peak {first['peak_hu']:.3g} {unit}, with d′ = {first['d_in']:.2g} "
        f"in the scan and {first['d_eps']:.2g} after it, {hidden}; {certified}."
    )
