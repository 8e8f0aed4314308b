"""Which slices of a folder belong together, and which of these groups was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctinv.errors import ChoiceError, SeriesError
from ctinv.io._files import bare
from ctinv.io._geometry import median_step
from ctinv.io._headers import Header, Scan
from ctinv.io._passes import split_passes
from ctinv.io._traits import CLOCKS, Moment, seconds_between

MAX_SENTENCE = 200
"""Characters of a refusal."""


@dataclass
class Group:
    """Slices that share all traits, orientation and pixel spacing; several can carry one series UID.

    Attributes:
        number: Neutral number, from 1, in file order.
        headers: Its slices in file order.
        passes: How many groups follow one another in time at the same places; 1 for a group of its own.
    """

    number: int
    headers: list[Header]
    passes: int = 1

    @property
    def uid(self) -> str:
        return self.headers[0].series_uid


def group_slices(scan: Scan) -> list[Group]:
    """Everything that could be one volume, in the order in which the files name it."""
    alike: dict[Any, list[list[Header]]] = {}
    for header in scan.headers:
        shapes = alike.setdefault((header.series_uid, header.traits), [])
        for shape in shapes:
            if _same_frame(shape[0], header):
                shape.append(header)
                break
        else:
            shapes.append([header])
    parts = [
        (part, len(passes))
        for shapes in alike.values()
        for shape in shapes
        for passes in [split_passes(shape)]
        for part in passes
    ]
    order = {id(header): k for k, header in enumerate(scan.headers)}
    parts.sort(key=lambda part: order[id(part[0][0])])
    return [Group(k + 1, part, passes) for k, (part, passes) in enumerate(parts)]


def _same_frame(first: Header, other: Header) -> bool:
    return np.allclose(
        other.orientation, first.orientation, atol=1e-3, rtol=0, equal_nan=True
    ) and np.allclose(other.pixel_spacing, first.pixel_spacing, atol=1e-6, rtol=1e-4, equal_nan=True)


def minutes_of(groups: Sequence[Group]) -> list[float | None]:
    """Minutes from the earliest scan of the folder to each group, by the clock that most of them state."""
    if not groups:
        return []
    best: list[float | None] = [None] * len(groups)
    for clock in range(len(CLOCKS)):
        starts = [_start(group, clock) for group in groups]
        known = [k for k, start in enumerate(starts) if start is not None]
        seconds = seconds_between([starts[k] for k in known])
        if seconds is not None and len(known) > sum(value is not None for value in best):
            best = [None] * len(groups)
            for k, value in zip(known, seconds, strict=True):
                best[k] = (value - min(seconds)) / 60
    return best


def _start(group: Group, clock: int) -> Moment | None:
    """The first moment of a group's slices."""
    moments = [moment for header in group.headers if (moment := header.moments[clock]) is not None]
    seconds = seconds_between(moments)
    return moments[int(np.argmin(seconds))] if seconds else None


def choose(groups: list[Group], scan: Scan, uid: str | None) -> Group:
    """The one group that was asked for.

    Raises:
        ChoiceError: There are several.
        SeriesError: There is none that can be used.
    """
    if not groups:
        _refuse_nothing(scan)
    _refuse_damaged(scan)
    if uid is not None and uid.startswith("#"):
        chosen = [group for group in groups if uid == f"#{group.number}"]
    else:
        chosen = [group for group in groups if uid is None or group.uid == uid]
    minutes = minutes_of(groups)
    apart = max((value for value in minutes if value is not None), default=0.0) >= 0.05
    shown = {g.number: brief(g, value if apart else None) for g, value in zip(groups, minutes, strict=True)}
    if not chosen:
        raise SeriesError(
            _with_listing("the folder does not hold the series asked for; it holds ", shown.values(), ".")
        )
    stray = scan.strays.get(chosen[0].uid) if len(chosen) == 1 and chosen[0].uid else None
    if stray is not None:
        raise SeriesError(
            f"{bare(stray)} carries the UID of the series but is no {scan.modality} image; export the series again or "
            "remove the file."
        )
    if len(chosen) == 1:
        return chosen[0]
    listed = [shown[group.number] for group in chosen]
    if len({group.uid for group in chosen}) > 1:
        raise ChoiceError(
            _with_listing(
                f"the folder holds {len(groups)} {scan.modality} series, ",
                listed,
                "; choose one by its number or uid.",
            )
        )
    for group in chosen:
        refuse_problems(group.headers)
    start = f"one series mixes slices that differ in {_difference(chosen)[:50]}: "
    raise ChoiceError(_with_listing(start, listed, "; choose one by its number."))


def _with_listing(start: str, listed: Iterable[str], end: str) -> str:
    """A sentence with as many series as fit into it, and how many more there are."""
    listed = list(listed)
    for count in range(len(listed), 0, -1):
        more = f" and {len(listed) - count} more" if count < len(listed) else ""
        text = start + "; ".join(listed[:count]) + more + end
        if len(text) <= MAX_SENTENCE:
            return text
    return f"{start}{len(listed)} in all{end}"


def brief(group: Group, minutes: float | None) -> str:
    """A group as ``#1: 133 slices of 2.50 mm, B30f, +3.2 min``."""
    step = median_step(group.headers)
    count = len(group.headers)
    parts = [
        f"#{group.number}: {count} slice{'s' * (count > 1)}{f' of {step:.2f} mm' if np.isfinite(step) else ''}"
    ]
    parts += [kernel] if (kernel := group.headers[0].acquisition.kernel) else []
    parts += [f"+{minutes:.1f} min"] if minutes is not None else []
    parts += ["unusable"] if any(header.problem for header in group.headers) else []
    return ", ".join(parts)


def _difference(groups: Sequence[Group]) -> str:
    """The first two things in which the first two groups differ."""
    first, second = groups[0].headers[0], groups[1].headers[0]
    names = [name for (name, a), (_, b) in zip(first.traits, second.traits, strict=True) if a != b]
    if not np.allclose(first.orientation, second.orientation, atol=1e-3, equal_nan=True):
        names.append("orientation")
    if not np.allclose(first.pixel_spacing, second.pixel_spacing, rtol=1e-4, equal_nan=True):
        names.append("pixel spacing")
    return " and ".join((names or ["time"])[:2])


def _refuse_damaged(scan: Scan) -> None:
    if scan.damaged:
        path, why = scan.damaged[0]
        raise SeriesError(
            f"{bare(path)} is a {scan.modality} file {why}; export the series again or remove the file."
        )


def _refuse_nothing(scan: Scan) -> None:
    _refuse_damaged(scan)
    found = skipped_text(scan)
    raise SeriesError(
        f"no {scan.modality} slice was found ({found or 'the folder is empty'}); give the folder of one "
        f"{scan.modality} series."
    )


def skipped_text(scan: Scan) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in scan.skipped.most_common(4))


def refuse_problems(headers: Sequence[Header]) -> None:
    for header in headers:
        if header.problem:
            raise SeriesError(
                f"{bare(header.path)} cannot be used: {header.problem}; export the series again."
            )
