"""How a network comes in: shipped, from a bundle, from a file, from the user's own code; safe by default.

`ctinv.denoiser.load_denoiser` is the public way; `ctinv.models.ladder` has the order and what is asked of each network.
"""

from __future__ import annotations

from ctinv.models.factory import call_factory, is_factory
from ctinv.models.found import FoundNetwork
from ctinv.models.ladder import find_network
from ctinv.models.shipped import WEIGHTS, find_by_hash, shipped

__all__ = [
    "WEIGHTS",
    "FoundNetwork",
    "call_factory",
    "find_by_hash",
    "find_network",
    "is_factory",
    "shipped",
]
