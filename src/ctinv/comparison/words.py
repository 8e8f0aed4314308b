"""A comparison in sentences that carry their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from ctinv.comparison.cross import LEVEL, Entry, Q
from ctinv.sampler.words import number


def sentences(entries: Sequence[Entry], *, tier: str, unit: str) -> list[str]:
    """Who shares most and least, then one sentence for each ordered pair of different networks, most overlap first."""
    others = [one for one in entries if one.samples_of != one.seen_by]
    ordered = sorted(others, key=lambda one: -one.overlap)
    return [*extremes(ordered), *(pair_sentence(one, tier=tier, unit=unit) for one in ordered)]


def extremes(ordered: Sequence[Entry]) -> list[str]:
    """The pair with the largest and that with the smallest overlap, by linear theory."""
    if len(ordered) < 2:
        return []
    ends = {"least": ordered[0], "most": ordered[-1]}
    parts = [
        f"{percent(one.seen_by_theory)} of what {one.samples_of} ignores is seen by {one.seen_by}, the {word} of all pairs"
        for word, one in ends.items()
    ]
    return [f"By linear theory {'; '.join(parts)}."]


def pair_sentence(entry: Entry, *, tier: str, unit: str) -> str:
    """What one network sees of what another ignores: linear theory, what was measured, and what noise of that size does."""
    j, i = entry.samples_of, entry.seen_by
    theory = f"{percent(entry.seen_by_theory)} of what {j} ignores is seen by {i} (linear theory)"
    if entry.share is None or entry.rmse_hu is None or entry.null_rmse_hu is None or entry.q is None:
        return f"{theory}; no sample of {j} is certified at {tier}, so none was fed through {i}."
    share = entry.share
    met = (
        f"{entry.met} of {entry.n} certified samples of {j} meet {tier} at {i} ({percent(LEVEL)} interval "
        f"{percent(share['low'])} to {percent(share['high'])}), of noise of the same size {entry.null_met}"
    )
    heard = "smaller" if entry.q < Q else "not smaller"
    seen = (
        f"RMSE {number(entry.rmse_hu['mean'])} {unit}, {heard} than that of the noise "
        f"({number(entry.null_rmse_hu)} {unit}, q = {number(entry.q, 2)})"
    )
    return f"{theory}; {met}; {seen}."


def percent(share: float) -> str:
    """A share with as many digits as it needs to differ from 0 and 100 %."""
    value = 100.0 * share
    if 0.0 < value < 1.0 or 99.0 < value < 100.0:
        return f"{value:.2f} %"
    return f"{value:.0f} %"
