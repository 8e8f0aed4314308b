"""ctinv: sample what a CT denoiser cannot tell from the scan, and prove each sample by feeding it back.

The public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"

_PUBLIC = {
    "volume": ["Acquisition", "Box", "Volume"],
    "errors": ["CtinvError"],
    "io.dicom": ["read_series"],
    "io": ["read"],
    "denoiser": ["Denoiser", "load_denoiser"],
    "representation": ["Representation"],
    "sampler": ["InvarianceSampler", "Samples", "Provenance", "Store"],
    "simulate": ["simulate_low_dose"],
}

__getattr__, __dir__, _names = lazy_loader.attach(__name__, submod_attrs=_PUBLIC)
__all__ = sorted([*_names, "__version__"])
