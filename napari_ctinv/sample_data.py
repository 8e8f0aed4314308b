"""The shipped CT as sample data: 16 slices of LIDC-IDRI-0001 and their simulated counterpart at 25 % dose."""

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


def _shipped(folder: str, name: str) -> LayerTuple:
    from ctinv.io.dicom import read_series
    from ctinv.resources import ct_folder

    return volume_layer(read_series(ct_folder() / folder), name=name, attribution=ATTRIBUTION)
