"""Several passes over the same part of the patient under one name: told apart by time, or refused.

Sorted by position, two phases of one scan look like one stack of twice the slices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import SeriesError
from ctinv.io._headers import Header
from ctinv.io._traits import CLOCKS, Moment, seconds_between

SAME_PLACE_MM = 1e-3
_DAY = 86400.0
_LEAST = 3
"""Slices that a pass must have before an order of numbers counts as a sign of it."""


def split_passes(headers: list[Header]) -> list[list[Header]]:
    """Parts of a group that follow one another in time where each place is covered equally often; else the group itself.

    A part must have ended before the next one begins: where times overlap, nothing says what belongs together.
    """
    places = _places(headers)
    repeats = len(places[0]) if places else 1
    if repeats < 2 or any(len(place) != repeats for place in places):
        return [headers]
    for moments in _clocks(headers):
        seconds = seconds_between(moments)
        if seconds is None:
            continue
        table = np.array([sorted(seconds[k] for k in place) for place in places])
        if (table[:, :-1].max(axis=0) < table[:, 1:].min(axis=0)).all():
            rank = {k: r for place in places for r, k in enumerate(sorted(place, key=seconds.__getitem__))}
            return [[h for k, h in enumerate(headers) if rank[k] == part] for part in range(repeats)]
    return [headers]


def refuse_days(headers: Sequence[Header]) -> None:
    """Raise SeriesError where slices were acquired more than a day apart; a scan may run over midnight."""
    seconds = seconds_between([header.moments[0] for header in headers])
    if seconds is not None and max(seconds) - min(seconds) > _DAY:
        raise SeriesError(
            "slices of one series were acquired more than a day apart, so they are of several scans; export each scan as a "
            "series of its own."
        )


def refuse_interleaved(ordered: Sequence[Header]) -> None:
    """Raise SeriesError where slices in order of place show a CT that was passed more than once in time or number.

    Only a perfect comb counts, or every number equally often, since slices may be numbered and reconstructed in any order.
    MR slices are often acquired as a comb.
    """
    if ordered[0].unit != "HU":
        return
    numbers = [header.instance_number for header in ordered]
    keys: list[Sequence[float] | None] = [seconds_between(moments) for moments in _clocks(ordered)]
    own = None if None in numbers else np.array([float(n) for n in numbers if n is not None])
    for key in (*keys, own):
        passes = _comb(np.array(key)) if key is not None else 1
        if key is own and own is not None:
            passes = max(passes, _repeats(own))
        if passes > 1:
            raise SeriesError(
                f"the slices look like {passes} scans, interleaved or end to end: their times or numbers run {passes} times;"
                " export each scan as a series of its own."
            )


def _clocks(headers: Sequence[Header]) -> list[list[Moment | None]]:
    by_clock = [[header.moments[k] for header in headers] for k in range(len(CLOCKS))]
    return [*by_clock, [header.trigger for header in headers]]


def _places(headers: Sequence[Header]) -> list[list[int]]:
    """Indices of the slices at each place along the normal."""
    orientation = headers[0].orientation
    along = np.array([h.position for h in headers]) @ np.cross(orientation[:3], orientation[3:])
    if not np.isfinite(along).all():
        return []
    order = np.argsort(along, kind="stable")
    cuts = np.flatnonzero(np.diff(along[order]) > SAME_PLACE_MM) + 1
    return [[int(k) for k in place] for place in np.split(order, cuts)]


def _comb(key: NDArray[np.float64]) -> int:
    """How many passes with one stride an order makes through the slices; 1 where it is no such comb."""
    if len(np.unique(key)) < len(key):
        return 1
    order = np.argsort(key)
    moves = np.diff(order)
    stride = int(np.abs(moves[0])) if len(moves) else 1
    if stride < 2 or len(key) < _LEAST * stride:
        return 1
    passes = np.split(order, np.flatnonzero(np.abs(moves) != stride) + 1)
    one_way = all(len(np.unique(np.diff(run))) == 1 for run in passes if len(run) > 1)
    return stride if len(passes) == stride and one_way else 1


def _repeats(key: NDArray[np.float64]) -> int:
    """How often every number occurs, where each occurs equally often and there are several; else 1."""
    counts = np.unique(np.unique(key, return_counts=True)[1])
    return int(counts[0]) if len(counts) == 1 and len(key) >= _LEAST * counts[0] else 1
