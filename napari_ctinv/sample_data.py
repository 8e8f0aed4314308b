"""Sample data: 16 slices of LIDC-IDRI-0001, their simulated counterpart at 25 % dose, and a simulated phantom."""

from __future__ import annotations

from napari_ctinv.layers import LayerTuple, volume_layer

ATTRIBUTION = (
    "16 slices of LIDC-IDRI (Armato et al., The Cancer Imaging Archive, "
    "https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX), CC BY 3.0, without any identity; "
    "the quarter dose is simulated by ctinv."
)


def quarter_dose() -> list[LayerTuple]:
    """The low-dose series, the usual input."""
    return [_shipped("quarter_dose", "quarter dose")]


def full_dose() -> list[LayerTuple]:
    """The series as it was scanned."""
    return [_shipped("full_dose", "full dose")]


def phantom() -> list[LayerTuple]:
    """A low-contrast phantom at full and, above it, at quarter dose; always the same noise."""
    from ctinv.simulate import contrast_phantom, phantom_scan

    truth = contrast_phantom()
    return [
        volume_layer(phantom_scan(truth, dose=dose, seed=seed), name=f"phantom {name}")
        for seed, (dose, name) in enumerate([(1.0, "full dose"), (0.25, "quarter dose")])
    ]


def _shipped(folder: str, name: str) -> LayerTuple:
    from ctinv.io.dicom import read_series
    from ctinv.resources import ct_folder

    return volume_layer(read_series(ct_folder() / folder), name=name, attribution=ATTRIBUTION)
