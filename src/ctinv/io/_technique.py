"""The technical facts of a scan that the noise model needs, from allow-listed tags."""

from __future__ import annotations

import math

from pydicom import Dataset

from ctinv.io._fields import Fields
from ctinv.io.identity import (
    PRIVATE_CREATOR,
    PRIVATE_DOSE,
    PRIVATE_GROUP,
    PRIVATE_PHOTONS,
    kernel_name,
    window_name,
)
from ctinv.volume import Acquisition


def acquisition_of(fields: Fields) -> Acquisition:
    """Technical facts of one slice; what is missing or no number stays None."""
    centres, widths = fields.numbers("WindowCenter") or (), fields.numbers("WindowWidth") or ()
    names = [window_name(text) for text in fields.words("WindowCenterWidthExplanation")]
    named = zip(centres, widths, [*names, *[""] * len(centres)], strict=False)
    windows = [(centre, width, name) for centre, width, name in named if width > 0]
    dose, photons = _own_block(fields.layers[-1])
    return Acquisition(
        kvp=fields.optional("KVP"),
        exposure_mas=_exposure(fields),
        slice_thickness_mm=fields.optional("SliceThickness"),
        kernel=kernel_name(fields.words("ConvolutionKernel")),
        dose_fraction=dose,
        photons=photons,
        window=tuple((centre, width) for centre, width, _ in windows),
        window_names=tuple(name for _, _, name in windows) if any(names) else (),
    )


def _exposure(fields: Fields) -> float | None:
    """Exposure of a slice in mAs; time x current where the exposure is missing or plainly of another unit."""
    exposure = fields.optional("ExposureInmAs")
    if exposure is None and (micro := fields.optional("ExposureInuAs")) is not None:
        exposure = micro / 1000
    if exposure is None:
        exposure = fields.optional("Exposure")
    time, current = fields.optional("ExposureTime"), fields.optional("XRayTubeCurrent")
    product = time * current / 1000 if time and current else None
    # Some GE scanners store the sum over a helical scan; pitch alone explains a factor of about 4.
    if product is not None and (exposure is None or not 0.2 < exposure / product < 5):
        return product
    return exposure


def _own_block(dataset: Dataset) -> tuple[float | None, float | None]:
    """Dose fraction and photons, only under this package's own private creator."""
    values: list[float | None] = []
    for element in (PRIVATE_DOSE, PRIVATE_PHOTONS):
        value = None
        try:
            if str(dataset[PRIVATE_GROUP, 0x0010].value).strip() == PRIVATE_CREATOR:
                value = float(dataset[PRIVATE_GROUP, 0x1000 + element].value)
        except Exception:
            value = None
        values.append(value if value is not None and math.isfinite(value) and value > 0 else None)
    return values[0], values[1]
