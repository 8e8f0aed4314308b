"""Whether one image is in the data under two names.

Per slice of the full dose: a hash of the *sorted* values of its central 64 x 64 pixels. Sorted, so that an image that
was mirrored or turned by a converter, cut along z or stored in another order is still the same. A slice with
fewer than 16 values there is air and says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ctinv.errors import InputError
from ctinv.training.data import Pair

_EDGE = 64
_DISTINCT = 16


def refuse_copies(pairs: Sequence[Pair]) -> None:
    """Raise InputError if pairs of different names share a slice.

    Args:
        pairs: All that a training uses, in any set; parts of one pair share its name.
    """
    seen: dict[bytes, str] = {}
    for pair in pairs:
        for mark in slice_marks(pair):
            other = seen.setdefault(mark, pair.name)
            if other != pair.name:
                raise InputError(
                    f"{other} and {pair.name} hold the same image, so a network would be judged on what it was trained on; "
                    "remove one of them."
                )


def slice_marks(pair: Pair) -> set[bytes]:
    """Marks of the slices of the full dose; see the module."""
    centre = tuple(_centre(size) for size in pair.full.shape[1:])
    marks = set()
    for image in pair.full:
        values = np.sort(np.rint(np.asarray(image[centre], dtype=np.float64)), axis=None).astype("<i4")
        if np.count_nonzero(np.diff(values)) >= _DISTINCT - 1:
            marks.add(hashlib.blake2b(values.tobytes(), digest_size=16).digest())
    return marks


def _centre(size: int) -> slice:
    """The middle of an axis, the same seen from either end."""
    margin = max(0, (size - _EDGE) // 2)
    return slice(margin, size - margin)
