"""Write a map of float32 numbers as a DICOM Parametric Map: one object with unit, quantity and place, and nobody's name.

The numbers are kept to the last bit. Where nothing is known they are NaN, which the object declares as its padding
(Float Pixel Padding Value). highdicom builds the object; what leaves is decided by the allow-list of
`ctinv.io.identity`, at every depth.

References:
    DICOM PS3.3, A.75 Parametric Map IOD and C.7.6.24 (NaN as padding).
    https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_A.75.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.valuerep import DA, TM

from ctinv import __version__
from ctinv.atomic import refuse_existing, replacing
from ctinv.errors import InputError, SeriesError
from ctinv.io._derived import Source, add_statement, source_of
from ctinv.io._quiet import quiet
from ctinv.io._slice import directions, new_uid, series_head, slice_of
from ctinv.io.identity import check_map
from ctinv.io.units import PRIVATE_SCHEME, Code, Quantity, ucum
from ctinv.volume import Volume

if TYPE_CHECKING:
    from highdicom.pm import ParametricMap, RealWorldValueMapping
    from highdicom.sr import CodedConcept

_FRAME_TYPE = [
    "DERIVED",
    "PRIMARY",
    "VOLUME",
    "QUANTITY",
]  # PRIMARY is the only word that the standard allows
_SEEDED_DAY, _SEEDED_TIME = "19000101", "000000"  # must be there; tells that it is no day


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers on a grid in the patient, in any unit; NaN where nothing is known.

    Attributes:
        values: (Z, Y, X) float32.
        affine: (4, 4) float64, index (z, y, x, 1) to mm (LPS).
        unit: Unit of the values as this package writes it, such as ``"HU"`` or ``"1"``.
        uid: `Volume.uid` of the scan it belongs to: what comes from one scan shares study and frame of reference.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    unit: str
    uid: str

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.dtype != np.float32 or 0 in self.values.shape:
            raise InputError(
                f"a map needs (Z, Y, X) float32 values, got {self.values.shape} {self.values.dtype}."
            )


def write_parametric_map(
    grid: Grid,
    path: str | Path,
    *,
    quantity: Quantity,
    description: str,
    template: str | Path | Source | None = None,
    computed_from: str | Path | Source | None = None,
    derived: dict[str, object] | None = None,
    seed_text: str | None = None,
    number: int = 1,
) -> Path:
    """Write a map as one Parametric Map object, at once or not at all; an existing file is refused.

    Args:
        grid: The numbers, their place and unit, on an orthogonal grid in any orientation.
        path: The file; must end in ``.dcm``.
        quantity: What the numbers are.
        description: SeriesDescription, at most 64 characters.
        template: One DICOM file of the source scan, whose patient, study and frame of reference are taken over, and
            whose images are named as the source. Without it the object carries no identity.
        computed_from: One file of a written series without identity; its images in the plane of the map are named as
            the source where there is no template.
        derived: How the numbers were made, as plain facts.
        seed_text: Makes the file a function of the numbers and of this text.
        number: SeriesNumber.

    Returns:
        The path.

    Raises:
        InputError: The file exists, its name ends otherwise, the unit has no code, or the map is known nowhere.
        SeriesError: The grid is sheared, or the template is no readable DICOM file.
        ResourceError: The disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() != ".dcm":
        raise InputError(f"a parametric map is one file and must be named .dcm, got {path.name}.")
    refuse_existing(path)
    with quiet():
        source = source_of(template if template is not None else computed_from)
        made = _build(
            grid, _planes(grid, description, derived, seed_text), quantity, description, seed_text, number
        )
        _name_sources(made, grid.affine, source)
        _complete(made, grid, derived or {}, seed_text)
        if template is not None and source is not None:
            source.hand_over(made)  # last: highdicom refuses names and days that a scanner may have written
        check_map(made, handed_over=template is not None)
        with replacing(path, size=4 * grid.values.size) as part:
            made.save_as(part, enforce_file_format=True)
    return path


def _planes(
    grid: Grid, description: str, derived: dict[str, object] | None, seed_text: str | None
) -> list[Dataset]:
    """CT images of nobody in the same place; highdicom takes patient, study and places from them."""
    place = Volume(np.zeros(grid.values.shape, np.float32), grid.affine, grid.uid)
    head = series_head(place, description, derived, 1.0, seed_text)
    blank = np.zeros(grid.values.shape[1:], np.int16)
    return [slice_of(head, place, z, blank, None, seed_text) for z in range(len(grid.values))]


def _build(
    grid: Grid,
    planes: list[Dataset],
    quantity: Quantity,
    description: str,
    seed_text: str | None,
    number: int,
) -> ParametricMap:
    import highdicom as hd

    low, high = _range(grid)
    window = hd.VOILUTTransformation(
        window_center=float(f"{(low + high) / 2:.6g}"),
        window_width=float(f"{(high - low) or 1.0:.6g}"),
        voi_lut_function="LINEAR_EXACT",  # the plain one allows no width below 1
    )
    return hd.pm.ParametricMap(
        planes,
        grid.values,
        series_instance_uid=new_uid("map series", seed_text),
        series_number=number,
        sop_instance_uid=new_uid("map", seed_text),
        instance_number=1,
        manufacturer=planes[0].Manufacturer,
        manufacturer_model_name=planes[0].ManufacturerModelName,
        software_versions=__version__,
        device_serial_number="none",  # enhanced objects must state one, a program has none
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(quantity, grid.unit, (low, high))],
        voi_lut_transformations=[window],
        content_description=quantity.title,
        content_label=quantity.label,
        series_description=description[:64],
        coding_schemes=[_own_scheme()],
    )


def _range(grid: Grid) -> tuple[float, float]:
    """The lowest and highest number; infinities have no unit and are refused."""
    known = grid.values[~np.isnan(grid.values)]
    if not known.size or not np.isfinite(known).all():
        raise InputError(
            "the map has no value anywhere or is not finite; draw at least two samples, then export again."
        )
    return float(known.min()), float(known.max())


def _mapping(quantity: Quantity, unit: str, ends: tuple[float, float]) -> RealWorldValueMapping:
    """Stored numbers are the quantity itself, in its unit."""
    import highdicom as hd
    from highdicom.sr import CodeContentItem

    mapping = hd.pm.RealWorldValueMapping(
        lut_label=quantity.label,
        lut_explanation=quantity.title,
        unit=_concept(ucum(unit)),
        value_range=ends,
        slope=1.0,
        intercept=0.0,
        quantity_definition=_concept(quantity.code),
    )
    if quantity.modifier is not None:
        name = _concept(("121401", "DCM", "Derivation"))
        item = CodeContentItem(name=name, value=_concept(quantity.modifier))
        mapping.QuantityDefinitionSequence.append(item)
    return mapping


def _concept(code: Code) -> CodedConcept:
    from highdicom.sr import CodedConcept

    value, scheme, meaning = code
    return CodedConcept(value, scheme, meaning)


def _own_scheme() -> Dataset:
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Codes of napari-ctinv",
        version=__version__,
        responsible_organization="napari-ctinv developers",
    )


def _name_sources(made: ParametricMap, affine: NDArray[np.float64], source: Source | None) -> None:
    """Name the images that lie in the plane of each frame; the ones that only lent their place are named nowhere."""
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence"):
        if keyword in made:
            del made[keyword]
    normal = np.cross(*directions(affine))
    named: dict[str, Dataset] = {}
    for groups in made.PerFrameFunctionalGroupsSequence:
        there = Dataset()
        if source is not None:  # frames were put in the order of their places, which need not be that of z
            place = groups.PlanePositionSequence[0].ImagePositionPatient
            source.name_images(there, np.array(place, dtype=np.float64), normal)
        images = list(there.get("SourceImageSequence", []))
        for image in images:
            named[image.ReferencedSOPInstanceUID] = _copy(image)
            image.PurposeOfReferenceCodeSequence = [
                _concept(("121322", "DCM", "Source image for image processing operation"))
            ]
        groups.DerivationImageSequence[0].SourceImageSequence = images
    if named and source is not None:
        series = Dataset()
        series.SeriesInstanceUID = source.headers[0].series_uid
        series.ReferencedInstanceSequence = list(named.values())
        made.ReferencedSeriesSequence = [series]


def _copy(image: Dataset) -> Dataset:
    """A reference of its own to the same image."""
    item = Dataset()
    item.update(image)
    return item


def _complete(made: ParametricMap, grid: Grid, derived: dict[str, object], seed_text: str | None) -> None:
    """What it is and is not for, in the words of every written image; NaN as padding; no time of day that tells apart."""
    add_statement(made, derived)
    made.ImageType = _FRAME_TYPE
    made.Laterality = ""
    made.LongitudinalTemporalInformationModified = "REMOVED"
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in made:
            del made[keyword]
    if np.isnan(grid.values).any():
        made.FloatPixelPaddingValue = made.FloatPixelPaddingRangeLimit = float("nan")
    if seed_text is not None:
        made.ContentDate, made.ContentTime = DA(_SEEDED_DAY), TM(_SEEDED_TIME)
        organisation = new_uid("dimensions", seed_text)
        made.DimensionOrganizationSequence[0].DimensionOrganizationUID = organisation
        for index in made.DimensionIndexSequence:
            index.DimensionOrganizationUID = organisation
    if (made.Rows, made.Columns) != grid.values.shape[1:]:
        raise SeriesError("the map changed its shape while it was encoded; please report it.")
