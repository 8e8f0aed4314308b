"""What the parts of a validation are called on its page and in its pictures."""

from __future__ import annotations

TITLES = {
    "G1": "linear f, Gaussian x",
    "G1b": "Wiener denoiser of the data",
    "G2": "linear f, mixture of four anatomies",
    "G3-circle": "length of 2 pixels, a circle",
    "G3-sphere": "length of 3 pixels, a sphere",
    "G4": "network with a known null space",
    "G5": "a planted lesion",
    "nonlinear": "a network without a known law",
}
"""Name of a part to a few words."""
