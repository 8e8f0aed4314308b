"""A scan with an own word in every place where somebody's name, number or day could stand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ctinv.simulate import simulate_low_dose, water_phantom

SHAPE = (3, 96, 96)
SPACING = (2.5, 1.0, 1.0)


def word(place: str) -> str:
    """An own word of 10 letters for a place."""
    numbers = hashlib.sha256(place.encode()).digest()[:8]
    return "Zq" + "".join(chr(97 + number % 26) for number in numbers)


def number(place: str) -> str:
    """An own number of 9 digits for a place."""
    return str(
        700_000_000 + int.from_bytes(hashlib.sha256(place.encode()).digest()[:4], "little") % 99_999_999
    )


def uid(place: str) -> str:
    """An own UID for a place."""
    return f"1.2.826.0.1.3680043.77.{number(place)}"


DATES = {
    "birth date": "19470311",
    "study date": "20180923",
    "series date": "20180924",
    "acquisition date": "20180927",
    "content date": "20180928",
}
TIMES = {
    "birth time": "031759.4417",
    "study time": "041857.5528",
    "series time": "051955.6639",
    "acquisition time": "062053.7741",
    "content time": "072151.8852",
}
TEXTS = {
    # keyword: VR
    "OtherPatientIDs": "LO",
    "IssuerOfPatientID": "LO",
    "PatientAddress": "LO",
    "PatientTelephoneNumbers": "SH",
    "PatientMotherBirthName": "PN",
    "PatientComments": "LT",
    "AdditionalPatientHistory": "LT",
    "EthnicGroup": "SH",
    "Occupation": "SH",
    "MedicalRecordLocator": "LO",
    "AccessionNumber": "SH",
    "StudyID": "SH",
    "StudyDescription": "LO",
    "SeriesDescription": "LO",
    "ProtocolName": "LO",
    "ImageComments": "LT",
    "RequestedProcedureDescription": "LO",
    "ReferringPhysicianName": "PN",
    "PerformingPhysicianName": "PN",
    "OperatorsName": "PN",
    "InstitutionName": "LO",
    "InstitutionAddress": "ST",
    "InstitutionalDepartmentName": "LO",
    "StationName": "SH",
    "DeviceSerialNumber": "LO",
    "Manufacturer": "LO",
    "ManufacturerModelName": "LO",
    "SoftwareVersions": "LO",
    "BodyPartExamined": "CS",
    "ConvolutionKernel": "SH",
    "WindowCenterWidthExplanation": "LO",
    "DerivationDescription": "ST",
    # values that their kind does not allow, of elements that are read and that are not
    "PatientSex": "CS",
    "PatientAge": "AS",
    "PatientWeight": "DS",
    "AcquisitionDateTime": "DT",
    "ContrastBolusStartTime": "TM",
    "DateOfLastCalibration": "DA",
    "XRayTubeCurrent": "IS",
    "ExposureTime": "IS",
    "WindowCenter": "DS",
    "SpacingBetweenSlices": "DS",
    "TemporalPositionIdentifier": "IS",
    "AcquisitionNumber": "IS",
    "FrameOfReferenceUID": "UI",
    "IrradiationEventUID": "UI",
}
UIDS = ("study UID", "series UID", "SOP UID", "referenced patient UID")
NUMBERS = ("patient ID", "telephone")
OTHERS = (
    "family name",
    "given name",
    "ideographic name",
    "phonetic name",
    "foreign name",
    "request",
    "private creator",
    "private value",
    "private sequence",
    "overlay label",
    "overlay data",
    "icon",
    "profile",
    "entity title",
    "preamble",
    "padding",
    "image type",
    "nifti descrip",
    "nifti aux",
    "nifti intent",
    "nifti database",
    "nifti extension",
    "nrrd comment",
    "nrrd key",
    "nrrd value",
    "nrrd content",
    "mha comment",
    "mha name",
    "mha patient",
    "folder",
    "file",
    "link target",
    "array file",
    "nifti file",
)
FOREIGN = "Жезкалъяй"

PLACES: dict[str, str] = {
    **{place: word(place) for place in (*TEXTS, *OTHERS)},
    **{place: uid(place) for place in UIDS},
    **{place: number(place) for place in NUMBERS},
    **DATES,
    **TIMES,
    "foreign name": FOREIGN,
}
"""Place to what stands there and must be found nowhere else."""
PERSON = (
    f"{word('family name')}^{word('given name')}={word('ideographic name')}^{FOREIGN}={word('phonetic name')}"
)
"""The patient's name with all three groups of its components."""


def voxels(seed: int = 3) -> NDArray[np.float32]:
    """(3, 96, 96) HU: a water cylinder with a dense insert, noisy."""
    phantom = water_phantom(size=SHAPE[1], pixel_mm=SPACING[1], diameter_mm=80.0, slices=SHAPE[0])
    hu = phantom.hu.copy()
    hu[:, 44:52, 40:48] += 60.0
    noisy = simulate_low_dose(replace(phantom, hu=hu), dose=0.02, seed=seed, photons=100_000.0)
    return np.rint(noisy.hu).astype(np.float32)


def slices(hu: NDArray[np.float32], *, series: str = "") -> list[Dataset]:
    """One data set per slice with everything planted; `series` makes another series of another patient."""
    return [_slice(z, image, series) for z, image in enumerate(hu)]


def _slice(z: int, image: NDArray[np.float32], series: str) -> Dataset:
    ds = Dataset()
    ds.preamble = word("preamble").encode().ljust(128, b"\0")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{uid('SOP UID')}{series}.{z}"
    ds.file_meta.SourceApplicationEntityTitle = word("entity title")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid("study UID"), uid("series UID") + series
    ds.Modality = "CT"
    _image(ds, z, image)
    _identity(ds, series)
    return ds


def _image(ds: Dataset, z: int, image: NDArray[np.float32]) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber, ds.SliceThickness, ds.KVP, ds.Exposure = z + 1, "2.5", "120", 50
    ds.ImagePositionPatient = ["-48", "-48", f"{2.5 * z:g}"]
    ds.ImageOrientationPatient, ds.PixelSpacing = ["1", "0", "0", "0", "1", "0"], ["1", "1"]
    ds.Rows, ds.Columns = image.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = "1", "0"
    ds.PixelData = image.astype("<i2").tobytes()
    ds["PixelData"].VR = "OW"


def _identity(ds: Dataset, series: str) -> None:
    with config.disable_value_validation():
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName = PERSON
        ds.PatientID = number("patient ID") + series
        for keyword, kind in TEXTS.items():
            _put(ds, keyword, kind, word(keyword))
        _put(ds, "PatientTelephoneNumbers", "SH", number("telephone"))
        _put(ds, "PatientAddress", "LO", f"{word('PatientAddress')} {word('PatientTelephoneNumbers')}")
        for place, date in DATES.items():
            setattr(ds, "Patient" * (place == "birth date") + place.title().replace(" ", ""), date)
        for place, time in TIMES.items():
            setattr(ds, "Patient" * (place == "birth time") + place.title().replace(" ", ""), time)
        _put(ds, "ImageType", "CS", f"ORIGINAL\\PRIMARY\\AXIAL\\{word('image type')}")
        request, patient = Dataset(), Dataset()
        request.ScheduledProcedureStepDescription = word("request")
        patient.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.1.1"
        patient.ReferencedSOPInstanceUID = uid("referenced patient UID")
        ds.RequestAttributesSequence, ds.ReferencedPatientSequence = Sequence([request]), Sequence([patient])
        block = ds.private_block(0x0011, word("private creator"), create=True)
        block.add_new(0x01, "LO", word("private value"))
        inner = Dataset()
        inner.add_new(0x00110010, "LO", word("private creator"))
        inner.add_new(0x00111002, "UN", word("private sequence").encode())
        block.add_new(0x02, "SQ", Sequence([inner]))
        ds.add_new(0x60001500, "LO", word("overlay label"))
        ds.add_new(0x60003000, "OW", word("overlay data").encode() * 2)
        icon = Dataset()
        icon.Rows, icon.Columns, icon.BitsAllocated = 4, 5, 8
        icon.PixelData = word("icon").encode() * 2
        icon["PixelData"].VR = "OB"
        ds.IconImageSequence = Sequence([icon])
        ds.ICCProfile = word("profile").encode()
        ds.add_new(0xFFFCFFFC, "OB", word("padding").encode())


def _put(ds: Dataset, keyword: str, kind: str, text: str) -> None:
    """Text as it would stand in a file, also where its kind allows numbers or dates only."""
    raw, tag = text.encode() + b" " * (len(text) % 2), Tag(keyword)
    ds[tag] = RawDataElement(tag, kind, len(raw), raw, 0, False, True)


def write_series(folder: Path, hu: NDArray[np.float32], *, series: str = "") -> Path:
    """A series below a folder named for the patient, one of its files a link into another such folder."""
    place = folder / f"{word('folder')}_{DATES['birth date']}"
    elsewhere = folder.with_name(f"{folder.name}_elsewhere") / word("link target")
    place.mkdir(parents=True)
    elsewhere.mkdir(parents=True)
    for z, ds in enumerate(slices(hu, series=series)):
        path = place / f"{word('file')}_{number('patient ID')}_{z + 1:04d}.dcm"
        (elsewhere / f"{word('link target')}.dcm" if z == 0 else path).write_bytes(encoded(ds))
        if z == 0:
            path.symlink_to(elsewhere / f"{word('link target')}.dcm")
    return place


def encoded(ds: Dataset) -> bytes:
    """The bytes of a file, in which values are not checked."""
    stream = BytesIO()
    with config.disable_value_validation():
        ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def write_nifti(path: Path, hu: NDArray[np.float32]) -> Path:
    """A NIfTI file with words in every field that holds text."""
    image = nib.Nifti1Image(np.ascontiguousarray(hu.transpose(2, 1, 0)), np.diag([-1.0, -1.0, 2.5, 1.0]))
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = word("nifti descrip").encode()
    image.header["aux_file"] = word("nifti aux").encode()
    image.header["intent_name"] = word("nifti intent").encode()
    image.header["db_name"] = word("nifti database").encode()
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", word("nifti extension").encode()))
    nib.save(image, path)
    return path


def write_nrrd(path: Path, hu: NDArray[np.float32]) -> Path:
    """An NRRD file with words in its comments and keys."""
    z, y, x = hu.shape
    head = (
        f"NRRD0005\n# {word('nrrd comment')}\ntype: float\ndimension: 3\nspace: left-posterior-superior\n"
        f"sizes: {x} {y} {z}\nspace directions: (1,0,0) (0,1,0) (0,0,2.5)\nkinds: domain domain domain\n"
        f"endian: little\nencoding: raw\nspace origin: (0,0,0)\ncontent: {word('nrrd content')}\n"
        f"{word('nrrd key')}:={word('nrrd value')}\n\n"
    )
    path.write_bytes(head.encode() + hu.astype("<f4").tobytes())
    return path


def write_mha(path: Path, hu: NDArray[np.float32]) -> Path:
    """A MetaImage with words in its comment, name and an own field."""
    z, y, x = hu.shape
    head = (
        f"ObjectType = Image\nNDims = 3\nComment = {word('mha comment')}\nName = {word('mha name')}\n"
        f"PatientName = {word('mha patient')}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 2.5\nDimSize = {x} {y} {z}\n"
        "ElementType = MET_FLOAT\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(head.encode() + hu.astype("<f4").tobytes())
    return path
