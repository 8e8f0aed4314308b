"""Bytes and seconds for people."""

from __future__ import annotations

import math


def megabytes(size: float) -> str:
    """A number of bytes with two significant digits or more."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"


def time_in_words(seconds: float) -> str:
    """A time; unknown where it is NaN."""
    if math.isnan(seconds):
        return "an unknown time"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
