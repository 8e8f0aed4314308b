"""Enhanced multi-frame CT: frames in any order, values per frame, stacks, phases, and functional groups that mislead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from dicom_phantom import SPACING, Truth, blank, grid, phantom, slices, store, truth, write
from dicom_registry import Build, Case, add, case
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

THEME = "enhanced CT"
FrameEdit = Callable[[int, Dataset], None]


def item(**elements: object) -> Items:
    """A sequence of one item."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return Items([ds])


def enhanced(
    hu: NDArray[np.float64] | None = None,
    order: Sequence[int] | None = None,
    edit: FrameEdit | None = None,
    uid: str = "1.2.3.4",
) -> Dataset:
    """An enhanced CT of axial frames; frame k shows slice `order[k]`, and `edit(z, item)` may spoil its groups."""
    hu = phantom() if hu is None else hu
    order = list(range(len(hu)) if order is None else order)
    affine = grid()
    ds = blank(uid, 0)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedCTImageStorage
    for word in ("AcquisitionNumber", "ConvolutionKernel", "KVP", "Exposure", "SliceThickness"):
        delattr(ds, word)
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=[str(v) for v in SPACING], SliceThickness="5")
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    shared.PixelValueTransformationSequence = item(
        RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU"
    )
    shared.CTReconstructionSequence = item(ConvolutionKernel="B30f")
    ds.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for number, z in enumerate(order):
        frame = Dataset()
        frame.FrameContentSequence = item(
            StackID="1", InStackPositionNumber=z + 1, DimensionIndexValues=[1, number + 1]
        )
        frame.CTImageFrameTypeSequence = item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
        frame.PlanePositionSequence = item(
            ImagePositionPatient=[f"{v:.9g}" for v in affine[:3, 3] + z * affine[:3, 0]]
        )
        if edit is not None:
            edit(z, frame)
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Items(frames)
    store(ds, (hu[order] + 1024).reshape(-1, hu.shape[2]))
    ds.Rows, ds.Columns, ds.NumberOfFrames = hu.shape[1], hu.shape[2], len(order)
    return ds


SHUFFLED = (3, 0, 5, 1, 4, 2)


@case(THEME, "read")
def _frames_in_order(folder: Path) -> Truth:
    write([enhanced()], folder)
    return truth()


@case(THEME, "read")
def _frames_shuffled_with_rescale_per_frame(folder: Path) -> Truth:
    hu = phantom()

    def edit(z: int, frame: Dataset) -> None:
        frame.PixelValueTransformationSequence = item(
            RescaleSlope="1", RescaleIntercept=str(-1024 - 10 * z), RescaleType="HU"
        )

    ds = enhanced(hu + 10 * np.arange(6)[:, None, None], SHUFFLED, edit)
    del ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    write([ds], folder)
    return truth(hu)


@case(THEME, "read")
def _legacy_converted_with_a_canary_in_what_was_not_assigned(folder: Path) -> Truth:
    def edit(z: int, frame: Dataset) -> None:
        frame.UnassignedPerFrameConvertedAttributesSequence = item(
            InstanceNumber=9, RescaleSlope="7", ImageComments="Zebrafink", AcquisitionNumber=1
        )

    ds = enhanced(order=SHUFFLED, edit=edit)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = LegacyConvertedEnhancedCTImageStorage
    write([ds], folder)
    return truth()


@case(THEME, "read")
def _contradictions_outside_the_functional_groups(folder: Path) -> Truth:
    """What a converter left at the top level does not count where a functional group says it."""
    ds = enhanced()
    ds.PixelSpacing, ds.ImagePositionPatient = ["9", "9"], ["0", "0", "0"]
    ds.RescaleSlope, ds.RescaleIntercept = "3", "5"
    write([ds], folder)
    return truth()


@case(THEME, "read")
def _private_group_in_front_of_the_true_one(folder: Path) -> Truth:
    """A vendor's own sequence repeats public elements with other meaning and sorts before the public one."""

    def edit(z: int, frame: Dataset) -> None:
        frame.add_new(0x00110010, "LO", "ACME")
        frame.add_new(
            0x00111001,
            "SQ",
            item(
                ImagePositionPatient=["0", "0", "0"],
                PixelSpacing=["2", "2"],
                RescaleSlope="5",
                RescaleIntercept="0",
                ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"],
            ),
        )

    write([enhanced(edit=edit)], folder)
    return truth()


@case(THEME, "read")
def _referenced_image_with_geometry_of_its_own(folder: Path) -> Truth:
    """A group of another meaning that comes first in the file holds the localizer's elements."""

    def edit(z: int, frame: Dataset) -> None:
        frame.ReferencedImageSequence = item(
            PixelSpacing=["3", "3"], SliceThickness="99", ImagePositionPatient=["7", "7", str(z)]
        )
        frame.DerivationImageSequence = item(RescaleSlope="2", RescaleIntercept="9")

    write([enhanced(edit=edit)], folder)
    return truth()


@case(THEME, "read")
def _a_localizer_frame_among_frames(folder: Path) -> Truth:
    def edit(z: int, frame: Dataset) -> None:
        if z == 5:
            frame.CTImageFrameTypeSequence = item(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])
            frame.PlanePositionSequence = item(ImagePositionPatient=["0", "0", "0"])

    write([enhanced(edit=edit)], folder)
    return truth(phantom()[:5])


@case(THEME, "read")
def _a_concatenation_of_two_files(folder: Path) -> Truth:
    for part, order in enumerate(((4, 0, 2), (1, 5, 3))):
        ds = enhanced(order=order)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{part + 1}"
        ds.ConcatenationUID, ds.InConcatenationNumber = "1.2.3.5", part + 1
        ds.ConcatenationFrameOffsetNumber = 3 * part
        write([ds], folder, prefix=f"part{part}")
    return truth()


@case(THEME, "read")
def _more_than_one_icon_in_front_of_the_pixels(folder: Path) -> Truth:
    ds = enhanced()
    icon = Dataset()
    store(icon, np.full((8, 8), 200), bits=8, stored=8)
    ds.IconImageSequence = Items([icon])
    write([ds], folder)
    return truth()


def _two_stacks(z: int, frame: Dataset) -> None:
    if z >= 3:
        frame.FrameContentSequence[0].StackID = "2"


@case(THEME, "refuse", "stack", listed=[3, 3])
def _two_stacks_by_dimension_index(folder: Path) -> None:
    write([enhanced(edit=_two_stacks)], folder)


def _phases(name: str) -> FrameEdit:
    def edit(z: int, frame: Dataset) -> None:
        phase = z % 2 + 1
        if name == "temporal position index":
            frame.FrameContentSequence[0].TemporalPositionIndex = phase
        elif name == "temporal offset":
            frame.TemporalPositionSequence = item(TemporalPositionTimeOffset=float(phase))
        elif name == "cardiac phase":
            frame.CardiacSynchronizationSequence = item(NominalPercentageOfCardiacPhase=40.0 * phase)
        elif name == "kernel":
            frame.CTReconstructionSequence = item(ConvolutionKernel=f"B{phase}0f")
        elif name == "tube voltage":
            frame.CTXRayDetailsSequence = item(KVP=60.0 + 40 * phase)
        elif name == "frame type":
            frame.CTImageFrameTypeSequence = item(FrameType=["DERIVED", "PRIMARY", "VOLUME", f"E{phase}"])

    return edit


def _interleaved(name: str) -> Build:
    """Six regular positions, every second one of the other scan: the stack looks perfect."""

    def build(folder: Path) -> None:
        write([enhanced(edit=_phases(name))], folder)

    return build


for _name in (
    "temporal position index",
    "temporal offset",
    "cardiac phase",
    "kernel",
    "tube voltage",
    "frame type",
):
    _title = f"frames interleave two scans by {_name}"
    add(Case(_title, THEME, "refuse", _interleaved(_name), "differ in", (3, 3)))


@case(THEME, "refuse", "ImagePositionPatient", listed=[6])
def _one_frame_without_a_position(folder: Path) -> None:
    def edit(z: int, frame: Dataset) -> None:
        if z == 2:
            del frame.PlanePositionSequence

    write([enhanced(edit=edit)], folder)


@case(THEME, "refuse", "frames")
def _frame_groups_fewer_than_frames(folder: Path) -> None:
    ds = enhanced()
    del ds.PerFrameFunctionalGroupsSequence[5]
    write([ds], folder)


@case(THEME, "refuse", "frames|ImagePositionPatient")
def _many_frames_without_functional_groups(folder: Path) -> None:
    ds = enhanced()
    del ds.PerFrameFunctionalGroupsSequence
    write([ds], folder)


@case(THEME, "refuse", "PixelSpacing")
def _measures_empty(folder: Path) -> None:
    ds = enhanced()
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = Items([])
    write([ds], folder)


@case(THEME, "refuse", "Rescale|unit|HU")
def _values_that_are_no_HU_in_one_frame(folder: Path) -> None:
    def edit(z: int, frame: Dataset) -> None:
        if z == 1:
            frame.PixelValueTransformationSequence = item(
                RescaleSlope="1", RescaleIntercept="0", RescaleType="MGML"
            )

    write([enhanced(edit=edit)], folder)


@case(THEME, "refuse", "duplicate|same place", listed=[7])
def _one_place_twice(folder: Path) -> None:
    hu = np.concatenate([phantom(), phantom()[2:3] + 4])

    def edit(z: int, frame: Dataset) -> None:
        if z == 6:
            frame.PlanePositionSequence = item(ImagePositionPatient=["-30", "12.5", "-96"])

    write([enhanced(hu, edit=edit)], folder)


@case(THEME, "refuse", "series|differ", listed=[6, 6])
def _enhanced_and_classic_copies_side_by_side(folder: Path) -> None:
    write([enhanced(uid="1.2.3.40")], folder, prefix="e")
    write(slices(), folder)
