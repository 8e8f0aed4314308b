"""The form of a study's metadata: what is read of them later is there, in its type and within its bounds.

A checksum says that metadata are those that somebody wrote, not that this package wrote them. What holds here cannot fail
later in the middle of an analysis, nor ask for memory that no study needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ctinv.errors import InputError
from ctinv.volume import MODALITIES, Acquisition, Box

# Coarse, so that nothing is read without end; what no study has is told by `guard.check_size`.
_MANY_ROWS = 10_000_000
_MOST_VOXELS = 2**28  # of one plane
_WRITTEN = {"n", "provenance", "runs", "setting", "seconds", "maps"}
_SINCE = {"journal", "files"}
_IN_SETTING = {"dtype", "region", "slices", "modality", "unit", "noise"}
_OF_ACQUISITION = {item.name for item in fields(Acquisition)}


def is_well_formed(meta: Mapping[str, Any], *, older: bool) -> bool:
    """Whether the metadata of a study can be read; an `older` one says less."""
    wanted = _WRITTEN if older else _WRITTEN | _SINCE
    if not wanted <= meta.keys() or not isinstance(meta["setting"], dict):
        return False
    if not older and not meta["setting"].keys() >= _IN_SETTING:
        return False
    n = meta["n"]
    return (
        _is_whole(n, 1, _MANY_ROWS)
        and _is_numbers(meta.get("seconds"))
        and _is_list(meta.get("runs"), _is_run)
        and bool(meta["runs"])
        and (meta.get("maps") is None or isinstance(meta["maps"], str))
        and _is_setting(meta.get("setting"))
        and _is_journal(meta.get("journal"), meta["n"])
        and _is_files(meta.get("files", {}))
    )


def _is_whole(value: Any, low: int = 0, high: int = 2**31) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_list(value: Any, fits: Any, count: int | None = None) -> bool:
    return isinstance(value, list) and (count is None or len(value) == count) and all(map(fits, value))


def _is_numbers(value: Any, *, gaps: bool = False) -> bool:
    """A table of numbers, null for those that are not finite where there may be some."""
    return isinstance(value, dict) and all(
        _is_number(part) or (gaps and part is None) for part in value.values()
    )


def _is_run(run: Any) -> bool:
    return isinstance(run, dict) and _is_whole(run.get("together", 1), 1)


def _is_files(files: Any) -> bool:
    return isinstance(files, dict) and all(
        "/" in name and (sha256 is None or isinstance(sha256, str)) for name, sha256 in files.items()
    )


def _is_journal(state: Any, n: int) -> bool:
    if state is None:
        return True
    if not isinstance(state, dict) or not _is_whole(state.get("bytes"), 0, 2**62):
        return False
    runs: Any = state.get("rows")
    return (
        isinstance(state.get("sha256"), str)
        and _is_list(runs, lambda run: _is_list(run, lambda k: _is_whole(k, 0, n), 2))
        and sum(stop - start for start, stop in runs) <= n
    )


def _is_setting(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    modality = data.get("modality", "CT")
    return (
        _is_number(data.get("quantum"))
        and data["quantum"] >= 0
        and data.get("dtype", "<i2") in ("<i2", "<f4")
        and _is_numbers(data.get("scalars"), gaps=True)
        and _is_list(data.get("region", [1, 1]), lambda side: _is_whole(side, 1, 2**16), 2)
        and math.prod(data.get("region", [1])) <= _MOST_VOXELS
        and _is_box(data.get("output_box"))
        and _is_box(data.get("context_box"))
        and _is_whole(data.get("slices", 1), 1, 99)
        and _is_list(data.get("offset"), lambda index: _is_whole(index, -(2**31)), 3)
        and _is_list(data.get("affine"), lambda row: _is_list(row, _is_number, 4), 4)
        and _is_acquisition(data.get("acquisition"))
        and isinstance(modality, str)
        and modality in MODALITIES
        and isinstance(data.get("unit", "HU"), str)
        and isinstance(data.get("eta"), bool)
        and _is_noise(data.get("noise"))
    )


def _is_box(text: Any) -> bool:
    try:
        height, width = Box.parse(text).shape
    except (InputError, TypeError, ValueError):
        return False
    return min(height, width) > 0 and height * width <= _MOST_VOXELS


def _is_acquisition(data: Any) -> bool:
    if not isinstance(data, dict) or not data.keys() <= _OF_ACQUISITION:
        return False
    plain = {name: value for name, value in data.items() if name not in ("window", "kernel")}
    return (
        _is_numbers(plain, gaps=True)
        and (data.get("kernel") is None or isinstance(data["kernel"], str))
        and _is_list(data.get("window"), lambda pair: _is_list(pair, _is_number, 2))
    )


def _is_noise(data: Any) -> bool:
    if data is None:
        return True
    return (
        isinstance(data, dict)
        and _is_box(data.get("area"))
        and _is_number(data.get("white"))
        and _is_list(data.get("torus", [1, 1]), lambda side: _is_whole(side, 1, 2**16), 2)
    )
