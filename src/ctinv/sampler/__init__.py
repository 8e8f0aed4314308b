"""Sampling certified invariances, and the study they are kept in.

The public names are loaded on first use: opening a stored study imports neither torch nor monai.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "InvarianceSampler": "sampler",
    "Samples": "samples",
    "Provenance": "provenance",
    "Store": "store",
    "Batch": "batch",
    "Setting": "batch",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ctinv.sampler' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ctinv.sampler.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
