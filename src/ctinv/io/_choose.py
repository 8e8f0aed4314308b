"""Which slices of a folder belong together, and which of these groups was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctinv.errors import SeriesError
from ctinv.io._files import bare
from ctinv.io._geometry import median_step
from ctinv.io._headers import Header, Scan


@dataclass
class Group:
    """Slices that share all traits, orientation and pixel spacing; several can carry one series UID."""

    number: int
    headers: list[Header]

    @property
    def uid(self) -> str:
        return self.headers[0].series_uid

    def takes(self, header: Header) -> bool:
        first = self.headers[0]
        return (
            header.series_uid == first.series_uid
            and header.traits == first.traits
            and np.allclose(header.orientation, first.orientation, atol=1e-3, rtol=0, equal_nan=True)
            and np.allclose(header.pixel_spacing, first.pixel_spacing, atol=1e-6, rtol=1e-4, equal_nan=True)
        )


def group_slices(scan: Scan) -> list[Group]:
    groups: list[Group] = []
    for header in scan.headers:
        for group in groups:
            if group.takes(header):
                group.headers.append(header)
                break
        else:
            groups.append(Group(len(groups) + 1, [header]))
    return groups


def choose(groups: list[Group], scan: Scan, uid: str | None) -> Group:
    """The one group that was asked for."""
    if not groups:
        _refuse_nothing(scan)
    if scan.damaged:
        raise SeriesError(
            f"{bare(scan.damaged[0])} is a {scan.modality} file cut off in its header; export the series again or remove "
            "the file."
        )
    if uid is not None and uid.startswith("#"):
        chosen = [group for group in groups if uid == f"#{group.number}"]
    else:
        chosen = [group for group in groups if uid is None or group.uid == uid]
    if not chosen:
        raise SeriesError(f"the folder does not hold the series asked for; it holds {_listing(groups)}.")
    if len(chosen) == 1:
        return chosen[0]
    if len({group.uid for group in chosen}) > 1:
        raise SeriesError(
            f"the folder holds {len(groups)} {scan.modality} series, {_listing(chosen)}; choose one by its number or uid."
        )
    for group in chosen:
        refuse_problems(group.headers)
    what = _difference(chosen)
    raise SeriesError(
        f"one series mixes slices that differ in {what}: {_listing(chosen)}; choose one by its number."
    )


def _listing(groups: Sequence[Group]) -> str:
    shown = [str(_Brief(group)) for group in groups[:3]]
    more = f" and {len(groups) - 3} more" if len(groups) > 3 else ""
    return "; ".join(shown) + more


class _Brief:
    """A group as ``#1: 133 slices of 2.50 mm``."""

    def __init__(self, group: Group) -> None:
        step = median_step(group.headers)
        unit = f" of {step:.2f} mm" if np.isfinite(step) else ""
        self.text = f"#{group.number}: {len(group.headers)} slice{'s' * (len(group.headers) > 1)}{unit}"

    def __str__(self) -> str:
        return self.text


def _difference(groups: Sequence[Group]) -> str:
    first, second = groups[0].headers[0], groups[1].headers[0]
    names = [name for (name, a), (_, b) in zip(first.traits, second.traits, strict=True) if a != b]
    if not np.allclose(first.orientation, second.orientation, atol=1e-3, equal_nan=True):
        names.append("orientation")
    if not np.allclose(first.pixel_spacing, second.pixel_spacing, rtol=1e-4, equal_nan=True):
        names.append("pixel spacing")
    return " and ".join(names[:2])


def _refuse_nothing(scan: Scan) -> None:
    if scan.damaged:
        raise SeriesError(
            f"{bare(scan.damaged[0])} is a {scan.modality} file cut off in its header; export the series again."
        )
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
