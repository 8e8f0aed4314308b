"""Functional groups of enhanced images: only the standard's own groups are looked into, so that nothing else passes for one.

Reference: DICOM PS3.3, C.7.6.16 Multi-frame Functional Groups and the groups of the enhanced CT, MR and PET images.
"""

from __future__ import annotations

from pydicom import Dataset

_GROUPS = (
    "FrameContentSequence",
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
    "CTReconstructionSequence",
    "CTXRayDetailsSequence",
    "CTExposureSequence",
    "CTAcquisitionDetailsSequence",
    "CardiacSynchronizationSequence",
    "TemporalPositionSequence",
    "FrameVOILUTSequence",
    "MREchoSequence",
    "MRTimingAndRelatedParametersSequence",
    "MRModifierSequence",
    "MRDiffusionSequence",
)
# What a converter could not place; anything can stand there, so it is asked last.
_UNASSIGNED = ("UnassignedPerFrameConvertedAttributesSequence", "UnassignedSharedConvertedAttributesSequence")


def frame_layers(dataset: Dataset) -> list[list[Dataset]]:
    """For each frame of an enhanced image the items in which an element is looked up, in order; [] for a classic one."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return []
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    return [
        [
            *(group for owner in (item, *shared) for group in _found(owner, _GROUPS)),
            *(group for owner in (item, *shared) for group in _found(owner, _UNASSIGNED)),
            dataset,
        ]
        for item in per_frame
    ]


def _found(item: Dataset, names: tuple[str, ...]) -> list[Dataset]:
    """First items of these functional groups, where an item has them."""
    return [group[0] for group in (item.get(name) for name in names) if group]
