"""Targets for DICOM: one for each way of writing a file, and one in which a damaged file lies between sound ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import series
from dicom_elements import TOKENS, Syntax, mutate_elements
from fuzzing import Target, WrongError
from mutators import CANARY, mutate_bytes
from pydicom import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from ctinv.io import read
from ctinv.io.dicom import list_series
from ctinv.volume import Volume

_BOUND = 64 * 2**20  # voxels; no input is larger than 200 kB


def check_volume(volume: Volume) -> None:
    """Raise WrongError unless what was read can be a scan."""
    if not np.isfinite(volume.hu).all():
        raise WrongError("a voxel is not finite")
    if not np.isfinite(volume.affine).all() or abs(np.linalg.det(volume.affine)) < 1e-12:
        raise WrongError("the affine is not finite or not invertible")
    if min(volume.spacing) < 1e-5 or max(volume.spacing) > 1e4 or np.abs(volume.affine[:3, 3]).max() > 1e7:
        raise WrongError("the geometry is no patient's")
    if volume.hu.size > _BOUND:
        raise WrongError(f"{volume.hu.size} voxels out of a small file")
    if volume.modality == "CT" and (volume.hu.min() < -32768.5 or volume.hu.max() > 65536):
        raise WrongError("a value is no CT number")
    told = " ".join((*volume.notes, volume.unit))
    if CANARY in told:
        raise WrongError("the notes name the patient")


def _encoded(dataset: Dataset, syntax: UID) -> bytes:
    if syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _datasets(count: int) -> list[Dataset]:
    return series.datasets(series.phantom()[:count, :33, :34])


def _classic(syntax: UID) -> Callable[[], list[bytes]]:
    @cache
    def seeds() -> list[bytes]:
        plain, signed = _datasets(1)[0], _datasets(1)[0]
        series.store(signed, series.phantom()[0, :33, :34], stored=16, signed=True)
        signed.RescaleIntercept, signed.PixelPaddingValue = "0", 63536
        signed["PixelPaddingValue"].VR = "US"
        del signed.SliceThickness
        signed.SpacingBetweenSlices = "2.5"
        block = signed.private_block(0x0099, "CTINV", create=True)
        block.add_new(0x01, "FD", 0.25)
        return [_encoded(plain, syntax), _encoded(signed, syntax)]

    return seeds


@cache
def _enhanced() -> list[bytes]:
    """An enhanced CT of three frames, its sequences of undefined length."""
    return [_multi_frame(3), _multi_frame(1)]


def _multi_frame(count: int) -> bytes:
    slices = _datasets(count)
    whole = slices[0]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    whole.NumberOfFrames = count
    whole.PixelData = b"".join(one.PixelData for one in slices)
    shared, orientation, measures, values = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    measures.SpacingBetweenSlices = str(series.STEP)
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = "1", "-1024", "HU"
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.PixelValueTransformationSequence = [values]
    frames = []
    for one in slices:
        frame, position, kind = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        kind.FrameType, kind.FrameAcquisitionNumber = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], 1
        frame.PlanePositionSequence, frame.CTImageFrameTypeSequence = [position], [kind]
        frames.append(frame)
    for name in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        del whole[name]
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [shared], frames
    _leave_open(whole)
    return _encoded(whole, ExplicitVRLittleEndian)


def _leave_open(dataset: Dataset) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                _leave_open(item)


def _mutate(syntax: Syntax) -> Callable[[Random, bytes, list[bytes]], bytes]:
    def mutate(rng: Random, data: bytes, others: list[bytes]) -> bytes:
        if rng.random() < 0.6:
            return mutate_elements(rng, data, syntax)
        return mutate_bytes(rng, data, others, TOKENS)

    return mutate


def _alone(room: Path) -> Callable[[bytes], None]:
    """The file by itself, listed and read."""
    path = room / "s001.dcm"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        for info in list_series(room):
            if CANARY in f"{info} {info.kernel} {info.warnings}":
                raise WrongError("the list of series names the patient")
        check_volume(read(room))

    return run


@cache
def _neighbours() -> list[bytes]:
    return [_encoded(one, ExplicitVRLittleEndian) for one in _datasets(3)]


def _among(room: Path) -> Callable[[bytes], None]:
    """In the place of the slice that its first byte names, among sound ones; the bytes after it are the file."""
    for index, content in enumerate(_neighbours()):
        (room / f"s{index}.dcm").write_bytes(content)

    def run(data: bytes) -> None:
        index = data[0] % 3 if data else 0
        path = room / f"s{index}.dcm"
        path.write_bytes(data[1:])
        try:
            check_volume(read(room))
        finally:
            path.write_bytes(_neighbours()[index])

    return run


def _mutate_among(rng: Random, data: bytes, others: list[bytes]) -> bytes:
    plain = [other[1:] for other in others]
    return data[:1] + _mutate(Syntax())(rng, data[1:], plain)


_WAYS: dict[str, tuple[UID, Syntax]] = {
    "native": (ExplicitVRLittleEndian, Syntax()),
    "implicit": (ImplicitVRLittleEndian, Syntax(implicit=True)),
    "big_endian": (ExplicitVRBigEndian, Syntax(order=">")),
    "deflated": (DeflatedExplicitVRLittleEndian, Syntax(deflated=True)),
    "rle": (RLELossless, Syntax()),
    "jpeg_ls": (JPEGLSLossless, Syntax()),
    "jpeg_2000": (JPEG2000Lossless, Syntax()),
}
TARGETS = {
    **{
        f"dicom/{name}": Target(_classic(uid), _mutate(syntax), _alone)
        for name, (uid, syntax) in _WAYS.items()
    },
    "dicom/enhanced": Target(_enhanced, _mutate(Syntax()), _alone),
    "dicom/series": Target(
        lambda: [bytes([index]) + content for index, content in enumerate(_neighbours())],
        _mutate_among,
        _among,
    ),
}
