"""What a written series says of itself: synthetic, not for diagnosis, made by what, freed of identity, or beside its source.

References:
    DICOM PS3.15, Annex E: attribute confidentiality profiles. PS3.16, CID 7050 and 7005.
    https://dicom.nema.org/medical/dicom/current/output/chtml/part15/chapter_e.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from ctinv import __version__
from ctinv.errors import SeriesError
from ctinv.io._headers import Header, scan_folder
from ctinv.io.identity import HANDED_OVER, tags_of
from ctinv.names import bare
from ctinv.statement import WHAT, statement
from ctinv.volume import hash_series

_SAME_PLANE_MM = 0.01
_LONGEST_TEXT = 1024


def source_of(template: str | Path | Source | None) -> Source | None:
    """The scan that a file belongs to, read once where many series are put beside it."""
    return template if template is None or isinstance(template, Source) else Source.of(Path(template))


def add_statement(ds: Dataset, derived: Mapping[str, object]) -> None:
    """State that the images are derived, for research, and by which program and weights."""
    facts = "; ".join(f"{key}={value}" for key, value in derived.items())
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.ImageComments = statement()
    ds.ContentQualification = "RESEARCH"
    ds.DerivationDescription = f"Derived by napari-ctinv {__version__}. {WHAT}. {facts}".strip()[
        :_LONGEST_TEXT
    ]
    ds.Manufacturer, ds.ManufacturerModelName = "napari-ctinv developers", "napari-ctinv"
    ds.SoftwareVersions = __version__
    ds.BurnedInAnnotation = "NO"  # the reader refuses images that state YES
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code("109102", "Processing Equipment")]
    equipment.Manufacturer, equipment.ManufacturerModelName = ds.Manufacturer, ds.ManufacturerModelName
    equipment.SoftwareVersions = __version__
    equipment.ContributionDescription = f"{WHAT}. {_weights(derived)}".strip()[:_LONGEST_TEXT]
    ds.ContributingEquipmentSequence = [equipment]


def add_removed_identity(ds: Dataset) -> None:
    """Nobody's patient, and by which profile: true, as nothing that identifies was ever copied."""
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Anonymous", "ANONYMOUS", "", ""
    ds.StudyDate = ds.StudyTime = ds.StudyID = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "All attributes written from an allow-list"
    ds.DeidentificationMethodCodeSequence = [_code("113100", "Basic Application Confidentiality Profile")]
    ds.LongitudinalTemporalInformationModified = "REMOVED"


@dataclass(frozen=True, repr=False)
class Source:
    """The scan beside which a series is put: its identity, the hash of its series and the places of its slices."""

    identity: Dataset
    sop_class: str
    series: str
    headers: tuple[Header, ...]

    @classmethod
    def of(cls, template: Path) -> Source:
        """Read one file of a scan, and the headers of its series in the same folder.

        Raises:
            SeriesError: The template is no readable DICOM file.
        """
        wanted = [*HANDED_OVER, "SOPClassUID", "SeriesInstanceUID"]
        try:
            source = dcmread(template, stop_before_pixels=True, specific_tags=[*tags_of(wanted)])
            series, sop_class = str(source.SeriesInstanceUID), str(source.SOPClassUID)
        except Exception:
            raise SeriesError(f"the template {bare(template)} is not a readable DICOM file.") from None
        try:
            headers = scan_folder(template.parent, "CT").headers
        except SeriesError:  # the series lies beside its source all the same, only without naming its images
            headers = []
        return cls(
            source, sop_class, hash_series(series), tuple(one for one in headers if one.series_uid == series)
        )

    def hand_over(self, ds: Dataset) -> None:
        """Put patient, study and frame of reference in, on the caller's explicit wish."""
        for keyword in HANDED_OVER:
            if keyword != "SourceImageSequence" and self.identity.get(keyword) not in (None, ""):
                ds[keyword] = self.identity[keyword]
        del ds.PatientIdentityRemoved, ds.DeidentificationMethod, ds.DeidentificationMethodCodeSequence
        del ds.LongitudinalTemporalInformationModified

    def name_images(self, ds: Dataset, place: NDArray[np.float64], normal: NDArray[np.float64]) -> None:
        """Name the source images in the plane of a slice; none are named where none lies there."""
        there = [one for one in self.headers if abs((one.position - place) @ normal) < _SAME_PLANE_MM]
        if there:
            ds.SourceImageSequence = [self._image(one) for one in there]

    def _image(self, header: Header) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self.sop_class, header.instance_uid
        if header.frame is not None:
            item.ReferencedFrameNumber = header.frame + 1
        return item


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _weights(derived: Mapping[str, Any]) -> str:
    hashes = derived.get("weights_sha256")
    if not isinstance(hashes, Mapping):
        return ""
    return "sha256 of the weights: " + "; ".join(f"{name} {value}" for name, value in hashes.items())
