"""ctinv: sample what a CT denoiser cannot tell from the scan, and prove each sample by feeding it back.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Acquisition": "volume",
    "Box": "volume",
    "Volume": "volume",
    "CtinvError": "errors",
    "read_series": "io.dicom",
    "read": "io",
    "Denoiser": "denoiser",
    "load_denoiser": "denoiser",
    "Representation": "representation",
    "InvarianceSampler": "sampler",
    "Samples": "sampler",
    "Provenance": "sampler",
    "Store": "sampler",
    "simulate_low_dose": "simulate",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ctinv' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ctinv.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
