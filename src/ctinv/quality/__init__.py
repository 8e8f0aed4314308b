"""Image quality of a denoised CT beside its full-dose image: pixels, noise texture, edges; pure functions with units.

``fidelity`` compares pixel by pixel, ``noise`` measures the noise power spectrum of homogeneous squares, ``edges``
the rise of real edges, and ``measure`` does all three for several images of one patient at the same places.
"""

from __future__ import annotations

from ctinv.quality.fidelity import AIR_HU, HOUNSFIELD, Scale, body_rmse, fidelity
from ctinv.quality.measure import Places, find_places, measure

__all__ = ["AIR_HU", "HOUNSFIELD", "Places", "Scale", "body_rmse", "fidelity", "find_places", "measure"]
