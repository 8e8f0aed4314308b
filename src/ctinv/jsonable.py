"""Values as strict JSON knows them, for the command line and the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """The value in JSON's own types: NumPy unpacked, NaN and infinities as null, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without importing NumPy
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(data: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Strict JSON text; one line unless `indent` is given."""
    return json.dumps(plain(data), ensure_ascii=False, allow_nan=False, indent=indent)
