"""Images in JSON: base64 of little-endian float32, row by row, with their shape."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError

DATA = "float32_le"
"""Key of the numbers; beside it stands ``shape``."""


def pack(values: NDArray[Any]) -> dict[str, Any]:
    """An array as JSON values; it is rounded to float32."""
    data = np.ascontiguousarray(values, dtype="<f4")
    return {"shape": list(data.shape), DATA: base64.b64encode(data.tobytes()).decode("ascii")}


def unpack(packed: Mapping[str, Any]) -> NDArray[np.float32]:
    """The array that `pack` wrote.

    Raises:
        InputError: The text is not such an array.
    """
    try:
        shape = [int(size) for size in packed["shape"]]
        data = np.frombuffer(base64.b64decode(packed[DATA], validate=True), dtype="<f4")
        fits = len(data) == math.prod(shape)
    except (KeyError, TypeError, ValueError, binascii.Error):
        fits = False
    if not fits:
        raise InputError(
            "expected an array as base64 of float32 with its shape, got something else; write the report anew."
        )
    return data.reshape(shape).astype(np.float32)
