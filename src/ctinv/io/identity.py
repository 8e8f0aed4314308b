"""The one allow-list of DICOM attributes: which are read, which of them may leave and how, and which are written.

Nothing that is not in `READ` is ever parsed into a value. What is in it leaves this package only as its `Leaves` says; the
rest decides how a scan is read and is forgotten with the headers. Values are never quoted in a message. A written series
holds the attributes of `WRITTEN`, and those of `HANDED_OVER` only where the user names a template for that.

To read or write one more attribute, add it here and say how it may leave.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from enum import Enum

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from ctinv.errors import InputError


class Leaves(Enum):
    """How a value that was read may be shown, written or kept."""

    NUMBER = "as finite numbers"
    WORD = "as one of a closed list of words"
    HASH = "as a hash, which tells scans apart"
    DIFFERENCE = "as minutes since the first series of the folder"
    NEVER = "not at all"


_IMAGE = dict.fromkeys(
    (
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
    ),
    Leaves.NUMBER,
)
READ: dict[str, Leaves] = {
    **_IMAGE,
    **dict.fromkeys(
        (
            "KVP",
            "Exposure",
            "ExposureInuAs",
            "ExposureInmAs",
            "ExposureTime",
            "XRayTubeCurrent",
            "SliceThickness",
            "SpacingBetweenSlices",
            "WindowCenter",
            "WindowWidth",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "RescaleSlope",
            "RescaleIntercept",
        ),
        Leaves.NUMBER,
    ),
    **dict.fromkeys(("Modality", "Units", "ConvolutionKernel", "WindowCenterWidthExplanation"), Leaves.WORD),
    **dict.fromkeys(
        ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"),
        Leaves.HASH,
    ),
    **dict.fromkeys(
        (
            "AcquisitionDateTime",
            "FrameAcquisitionDateTime",
            *(
                f"{clock}{part}"
                for clock in ("Acquisition", "Series", "Content")
                for part in ("Date", "Time")
            ),
        ),
        Leaves.DIFFERENCE,
    ),
    **dict.fromkeys(
        (
            "PatientBirthDate",
            "PatientSex",
            "PatientPosition",
            "SeriesDescription",
            "Manufacturer",
            "ManufacturerModelName",
            "DeviceSerialNumber",
            "StationName",
            "ReconstructionDiameter",
            "FilterType",
            "ContrastBolusAgent",
            "CorrectedImage",
            "StackID",
            "TemporalPositionTimeOffset",
            "NominalPercentageOfCardiacPhase",
            "TriggerTime",
            "EchoNumbers",
            "InversionTime",
            "InversionTimes",
            "FlipAngle",
            "SOPClassUID",
            "SOPInstanceUID",
            "ImageType",
            "FrameType",
            "SeriesNumber",
            "AcquisitionNumber",
            "FrameAcquisitionNumber",
            "InstanceNumber",
            "TemporalPositionIdentifier",
            "TemporalPositionIndex",
            "RescaleType",
            "EchoTime",
            "EffectiveEchoTime",
            "DiffusionBValue",
            "ModalityLUTSequence",
            "LossyImageCompression",
            "BurnedInAnnotation",
            "SharedFunctionalGroupsSequence",
            "PerFrameFunctionalGroupsSequence",
        ),
        Leaves.NEVER,
    ),
}
"""Every attribute whose value is parsed, besides the pixels, and how it may leave."""

IMAGE_KEYWORDS = tuple(_IMAGE)
PATIENT_KEYWORDS = ("PatientID", "PatientName")
"""What tells the patients of two scans apart, compared by hash."""

HANDED_OVER = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PatientPosition",
    "SourceImageSequence",
)
"""Taken from a template to a written series, so that it lies beside its source; only on the user's wish."""

_WRITTEN = """
SOPClassUID SOPInstanceUID Modality ImageType PatientName PatientID PatientBirthDate PatientSex PatientIdentityRemoved
DeidentificationMethod DeidentificationMethodCodeSequence LongitudinalTemporalInformationModified StudyDate StudyTime
StudyID AccessionNumber ReferringPhysicianName StudyInstanceUID FrameOfReferenceUID PositionReferenceIndicator
PatientPosition Laterality SeriesInstanceUID SeriesNumber AcquisitionNumber InstanceNumber SeriesDescription
DerivationDescription ImageComments ContentQualification Manufacturer ManufacturerModelName SoftwareVersions
ContributingEquipmentSequence BurnedInAnnotation SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated
BitsStored HighBit PixelRepresentation PixelSpacing SpacingBetweenSlices ImageOrientationPatient ImagePositionPatient
RescaleSlope RescaleIntercept RescaleType KVP SliceThickness ConvolutionKernel Exposure ExposureInuAs WindowCenter
WindowWidth PixelData
"""
WRITTEN = frozenset(_WRITTEN.split())
"""Attributes of a written series; what identifies in them is empty or made up unless it was handed over."""

# Own block of series this package wrote: dose fraction and photons per view and detector element.
PRIVATE_GROUP, PRIVATE_CREATOR = 0x0099, "CTINV"
PRIVATE_DOSE, PRIVATE_PHOTONS = 0x01, 0x02
_PRIVATE_TAGS = (0x00990010, 0x00991001, 0x00991002)

_KERNELS = """
soft standard detail bone boneplus lung edge chest ultra hard smooth sharp medium brain head body ear inner stnd ramp
hann hamming shepp logan cosine ram lak fc fl vsharp plus high low resolution tissue very filter
"""
_KERNEL_WORDS = frozenset(_KERNELS.split())
_KERNEL_CODE = re.compile(r"[A-Za-z]{1,2}(?:\d{1,3}[a-z]{0,2})?|\d{1,3}")
_LONGEST_KERNEL = 16

_WINDOWS = """
abdomen abdominal bone brain cerebrum chest default ear head inner larynx liver lung mediastinal mediastinum neck normal
osteo pelvis petrous pulmonary sinus soft softtissue spine standard stroke subdural tissue vascular window win
"""
_WINDOW_WORDS = frozenset(_WINDOWS.split())


def tags_of(keywords: Iterable[str]) -> list[int]:
    """Tag numbers of DICOM keywords."""
    return [tag for word in keywords if (tag := tag_for_keyword(word)) is not None]


HEADER_TAGS = [*tags_of(READ), *_PRIVATE_TAGS]


def digest(*texts: str) -> str:
    """sha256 of values that may leave as a hash only, 64 hexadecimal digits."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()


def kernel_name(values: Iterable[str]) -> str | None:
    """The name of a reconstruction kernel such as B30f, Br40d 3, FC08-H or BONEPLUS; None for any other text.

    Every word must be a known one or a short code, since anything can be typed into the attribute.
    """
    text = (
        re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9 .+\-/_]", " ", " ".join(values)))
        .strip()[:_LONGEST_KERNEL]
        .strip()
    )
    words = re.findall(r"[A-Za-z0-9]+", text)
    known = all(word.lower() in _KERNEL_WORDS or _KERNEL_CODE.fullmatch(word) for word in words)
    return text if words and known else None


def window_name(text: str) -> str:
    """The name of a display window such as LUNG, WINDOW2 or SOFT TISSUE; "" for any other text.

    Every word must be a known one with at most two digits behind it, since anything can be typed into the attribute.
    """
    words = re.findall(
        r"[A-Za-z]+|\S+?", re.sub(r"(?<=[A-Za-z])\d{1,2}(?![0-9A-Za-z])", "", text.replace("_", " "))
    )
    known = words and all(word.lower() in _WINDOW_WORDS for word in words)
    return " ".join(text.replace("_", " ").split()) if known else ""


def check_written(dataset: Dataset, *, handed_over: bool) -> None:
    """Raise InputError if a series to be written holds an attribute that is not on the list."""
    allowed = WRITTEN | set(HANDED_OVER if handed_over else ())
    for element in dataset:
        own = element.tag.group == PRIVATE_GROUP and int(element.tag) in _PRIVATE_TAGS
        if element.keyword not in allowed and not own:
            raise InputError(
                f"{element.tag} is on no list of attributes to write; add it to ctinv.io.identity."
            )


_MAP = """
SpecificCharacterSet CodingSchemeIdentificationSequence CodingSchemeDesignator CodingSchemeName CodingSchemeVersion
CodingSchemeResponsibleOrganization ContentDate ContentTime DeviceSerialNumber PixelPresentation
DimensionOrganizationSequence DimensionOrganizationUID DimensionOrganizationType DimensionIndexSequence DimensionIndexPointer
FunctionalGroupPointer DimensionDescriptionLabel DimensionIndexValues NumberOfFrames RecognizableVisualFeatures
LossyImageCompression AcquisitionContextSequence ContentLabel ContentDescription ContentCreatorName PresentationLUTShape
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PlaneOrientationSequence PixelMeasuresSequence
PlanePositionSequence FrameVOILUTSequence VOILUTFunction PixelValueTransformationSequence FrameType
ParametricMapFrameTypeSequence
RealWorldValueMappingSequence LUTExplanation LUTLabel MeasurementUnitsCodeSequence QuantityDefinitionSequence
DoubleFloatRealWorldValueFirstValueMapped DoubleFloatRealWorldValueLastValueMapped RealWorldValueIntercept
RealWorldValueSlope ValueType ConceptNameCodeSequence ConceptCodeSequence CodeValue CodingSchemeDesignator CodeMeaning
DerivationImageSequence DerivationCodeSequence SourceImageSequence PurposeOfReferenceCodeSequence
ReferencedSOPClassUID ReferencedSOPInstanceUID ReferencedFrameNumber ReferencedSeriesSequence
ReferencedInstanceSequence FrameContentSequence FloatPixelPaddingValue FloatPixelPaddingRangeLimit FloatPixelData
ContributionDescription
"""
WRITTEN_IN_MAP = WRITTEN | frozenset(_MAP.split())
"""Attributes of a written parametric map, at any depth."""


def check_map(dataset: Dataset, *, handed_over: bool) -> None:
    """Raise InputError if a parametric map to be written holds, at any depth, an attribute that is not on the list."""
    allowed = WRITTEN_IN_MAP | set(HANDED_OVER if handed_over else ())
    for element in dataset.iterall():
        if element.keyword not in allowed:
            raise InputError(
                f"{element.tag} is on no list of attributes to write; add it to ctinv.io.identity."
            )
