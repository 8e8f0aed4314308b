"""Nestedness: what one layer cannot tell apart, the layers behind it cannot either.

Where layer m sees nothing of x but what layer l passes on, Φ_m = g∘Φ_l and

    ‖Φ_m(x̃) - Φ_m(x)‖ ≤ Lip(g)·‖Φ_l(x̃) - Φ_l(x)‖:

for ε_l → 0 the fibre of l lies inside that of m. At a finite ε it does up to the Lipschitz constant of g, so an error at m
beyond m's own limit is no contradiction; it says that the layers between amplify. A network that adds its input again behind
its layers (a skip) gives m another way to x; then the tap is *passed by*, and its fibre need lie inside no later one.

A spread that shrinks with depth has two causes: the later tap holds its samples to a smaller error, which is told, or it
contradicts nestedness up to that constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from ctinv.denoiser import INPUT, OUTPUT
from ctinv.fibre.measure import rms
from ctinv.fibre.region import Region
from ctinv.layer_study.one_tap import Passer, TapStudy
from ctinv.progress import Progress
from ctinv.sampler.batch import BLOCK

AMPLIFIES = (
    "the layers between amplify what is left: a Lipschitz constant above 1, no contradiction at a finite ε"
)


@dataclass(frozen=True)
class Nestedness:
    """Certified samples of each tap, fed back at every tap behind it.

    Attributes:
        taps: The taps, in the order of the data flow; row l and column m of the matrices follow it.
        error: RMS of Φ_m(x̃) - Φ_m(x) of samples certified at l, mean over them, as share of m's response to noise; NaN
            for m < l.
        ratio: The same over what the tier allows at m: at most 1 on the diagonal.
        nfe_at_output: For each tap l the NFE of its samples at the output, the mean; NaN where the output was not studied.
        passed_by: The taps that other connections pass by, so that no later fibre need hold theirs.
        notes: What must be known to read it, and every place where a fibre does not lie inside the next, one sentence each.
    """

    taps: tuple[str, ...]
    error: tuple[tuple[float, ...], ...]
    ratio: tuple[tuple[float, ...], ...]
    nfe_at_output: tuple[float, ...]
    passed_by: tuple[str, ...]
    notes: tuple[str, ...]


def check_nested(
    studies: Sequence[TapStudy], passers: Sequence[Passer], *, progress: Progress | None = None
) -> Nestedness:
    """Feed the samples of each tap back at every later one.

    Args:
        studies: The taps, in the order of the data flow.
        passers: Their regions and samples, in the same order.
        progress: Called with a phrase and a finished share.
    """
    names, count = tuple(study.tap for study in studies), len(studies)
    error = [[math.nan] * count for _ in studies]
    for row, passer in enumerate(passers):
        for column in range(row, count):
            if progress is not None:
                progress("feeding samples back at later taps", (row + column / count) / count)
            behind = passers[column]
            error[row][column] = _mean_error(behind.region, passer.samples) / behind.response
    ratio = [[value / study.limit for value, study in zip(line, studies, strict=True)] for line in error]
    at_output = studies[-1].tap == OUTPUT
    nfe = [line[-1] / math.sqrt(2.0) if at_output else math.nan for line in error]
    passed_by = tuple(name for name, passer in zip(names, passers, strict=True) if _is_passed_by(passer))
    notes = (*_about(passed_by), *_outside(names, ratio, passed_by), *_shrinking(studies))
    return Nestedness(names, tuple(map(tuple, error)), tuple(map(tuple, ratio)), tuple(nfe), passed_by, notes)


def _is_passed_by(passer: Passer) -> bool:
    """Whether later layers see more of x than this tap; of the input everything is a function, as its neighbours stay."""
    representation = passer.region.representation
    return representation.tap != INPUT and not representation.determines_output()


def _mean_error(region: Region, samples: Tensor) -> float:
    """Mean RMS at a tap of (k, 1, h, w) samples, in its unit; in blocks, as the activations of all would not fit."""
    if not len(samples):
        return math.nan
    return sum(float(rms(region, region.errors(part)[1]).sum()) for part in samples.split(BLOCK)) / len(
        samples
    )


def _about(passed_by: Sequence[str]) -> list[str]:
    if not passed_by:
        return []
    return [
        f"other connections pass {', '.join(passed_by)} by, so samples of them need not be invariances of later layers"
    ]


def _outside(names: Sequence[str], ratio: Sequence[Sequence[float]], passed_by: Sequence[str]) -> list[str]:
    """Where samples of one tap leave what the tier allows at a later one."""
    found = []
    for row, line in enumerate(ratio):
        because = "they are not nested" if names[row] in passed_by else AMPLIFIES
        for column in range(row + 1, len(line)):
            if line[column] > 1.0:
                pair = f"samples of {names[row]} leave the fibre of {names[column]}"
                found.append(f"{pair} ({line[column]:.2g} times its limit): {because}")
    return found


def _shrinking(studies: Sequence[TapStudy]) -> list[str]:
    """Where certified samples vary less than those of the tap before, beyond the sampling error."""
    found = []
    for before, after in pairwise(studies):
        one, other = before.fibre, after.fibre
        if one.certified.exceeds(other.certified):
            tighter = other.error < one.error
            because = (
                "its samples are held to a smaller error"
                if tighter
                else "up to the Lipschitz constant it should not"
            )
            pair = f"{before.tap} ({one.certified.hu:.3g}) to {after.tap} ({other.certified.hu:.3g})"
            errors = f"{100 * other.error:.2g} % of the noise response after {100 * one.error:.2g} %"
            found.append(f"the certified spread shrinks from {pair}: {because} ({errors})")
    return found
