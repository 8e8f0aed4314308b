"""Patients of the scoreboard, and re-scans of them that no generator has seen.

A re-scan is the full-dose image with the noise of the low dose drawn anew, exactly as the scan itself was made; the little
noise of the full dose is common to all. Where there is no full dose, it is f(x) with noise drawn from C, and then C is
compared with itself: the record says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctinv.errors import InputError
from ctinv.fibre.rows import RowSeeds
from ctinv.sampler.survey import Survey
from ctinv.simulate.dose import counts, line_integrals, photons_from_tags
from ctinv.simulate.geometry import ParallelGeometry
from ctinv.simulate.low_dose import inserted_variance, noise_image, slice_generator
from ctinv.volume import Box, Volume

FIRST_SEED = 1_000_000
"""Seeds of re-scans count up from here; scans are made with small ones, so no re-scan is the scan itself."""

Images = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Patient:
    """One scan, and the full dose that it was made from where that is known.

    Attributes:
        name: Neutral name.
        scan: The low dose, x.
        full: The full dose of the same shape, whose acquisition tells its photons.
        dose: Fraction of the full dose that the scan has.
    """

    name: str
    scan: Volume
    full: Volume | None = None
    dose: float = 0.25

    def __post_init__(self) -> None:
        if self.full is not None and self.full.shape != self.scan.shape:
            raise InputError(
                f"the doses of {self.name} have shapes {self.scan.shape} and {self.full.shape}; both need the same."
            )

    @property
    def clearest(self) -> NDArray[np.float32]:
        """(Z, Y, X) HU: the image with the least noise there is."""
        return (self.scan if self.full is None else self.full).hu

    def target(self, box: Box) -> Images | None:
        """(1, h, w) HU, the full dose y on a region."""
        return None if self.full is None else self.full[box].hu

    def rescans(self, box: Box, found: Survey, *, count: int) -> Images:
        """(count, h, w) HU: held-out re-scans of a region."""
        if self.full is not None:
            return rescans_at_dose(self.full, box, dose=self.dose, count=count)
        seeds = RowSeeds(FIRST_SEED, "held-out re-scans", str(box))
        area = found.covariance.area
        rows, columns = (
            slice(box.y0 - area.y0, box.y1 - area.y0),
            slice(box.x0 - area.x0, box.x1 - area.x0),
        )
        clean = found.clean[box.slices].cpu().numpy()
        return np.stack(
            [clean + found.covariance.draw(range(k, k + 1), seeds)[0, rows, columns] for k in range(count)]
        )


def rescans_at_dose(full: Volume, box: Box, *, dose: float, count: int) -> Images:
    """(count, h, w) HU: what `simulate_low_dose` makes of the full dose with other seeds, on a region inside the body.

    The line integrals are taken once and only the region is reconstructed, hundreds of times less work than whole scans.

    Raises:
        InputError: The photons of the full dose are not known.
    """
    whole = full[box.z]
    geometry = ParallelGeometry.of(whole)
    photons = photons_from_tags(whole.acquisition, geometry.pixel_mm)
    if photons is None:
        raise InputError("re-scans need the photons of the full dose; give photons_low beside the pair.")
    photon_counts = counts(line_integrals(whole.hu[0], geometry), geometry, photons=photons)
    variance = inserted_variance(photon_counts, dose=dose)
    inside = Box(0, box.y0, box.y1, box.x0, box.x1)
    draws = [
        noise_image(variance, geometry, slice_generator(FIRST_SEED + k, whole.offset[0]), box=inside)
        for k in range(count)
    ]
    return np.stack(draws) + whole.hu[0][box.slices]
