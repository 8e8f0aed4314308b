"""Sampling certified invariances, and the study they are kept in.

The public names are loaded on first use: opening a stored study imports neither torch nor monai.
"""

from __future__ import annotations

import lazy_loader

_PUBLIC = {
    "sampler": ["InvarianceSampler"],
    "samples": ["Samples"],
    "provenance": ["Provenance"],
    "store": ["Store"],
    "batch": ["Batch", "Setting"],
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_PUBLIC)
