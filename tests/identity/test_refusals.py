"""What is refused is refused without a word of the patient, in the shell, in Python and in the viewer."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import canaries
import numpy as np
import pytest
from canaries import PLACES, encoded, word
from finder import found_in, leaks
from journey import Heard, ctinv, refused
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from ctinv.errors import CtinvError
from ctinv.io import read
from ctinv.io.dicom import list_series
from ctinv.io.dicom_write import write_series

HU = np.zeros((4, 24, 24), np.float32)


def raw(keyword: str, kind: str, text: str) -> Callable[[Dataset], None]:
    """Put text into an element as it would stand in a file."""

    def put(ds: Dataset) -> None:
        value = text.encode() + b" " * (len(text) % 2)
        ds[Tag(keyword)] = RawDataElement(Tag(keyword), kind, len(value), value, 0, False, True)

    return put


def without(keyword: str) -> Callable[[Dataset], None]:
    """Take an element away."""
    return lambda ds: delattr(ds, keyword)


NAME = word("family name")
SPOILT: dict[str, Callable[[Dataset], None]] = {
    "modality": raw("Modality", "CS", NAME),
    "image type": raw("ImageType", "CS", f"LOCALIZER\\{NAME}"),
    "burned in": raw("BurnedInAnnotation", "CS", "YES"),
    "photometric": raw("PhotometricInterpretation", "CS", NAME),
    "position": raw("ImagePositionPatient", "DS", f"{NAME}\\0\\0"),
    "orientation": raw("ImageOrientationPatient", "DS", "\\".join([NAME] * 6)),
    "spacing": raw("PixelSpacing", "DS", f"{NAME}\\1"),
    "slope": raw("RescaleSlope", "DS", NAME),
    "intercept": raw("RescaleIntercept", "DS", NAME),
    "rescale type": raw("RescaleType", "LO", NAME),
    "rows": raw("Rows", "US", "abc"),
    "no rows": without("Rows"),
    "bits": lambda ds: setattr(ds, "BitsStored", 17),
    "no pixels": without("PixelData"),
    "few pixels": lambda ds: setattr(ds, "PixelData", ds.PixelData[:-100]),
    "many pixels": lambda ds: setattr(ds, "PixelData", ds.PixelData + NAME.encode() * 20),
    "colour": lambda ds: setattr(ds, "SamplesPerPixel", 3),
    "transfer syntax": lambda ds: None,  # both changed in the bytes, as pydicom would not write them
    "class": raw("SOPClassUID", "UI", canaries.uid("SOP UID")),
    "frames": raw("NumberOfFrames", "IS", NAME),
    "charset": lambda ds: None,
    "series UID": raw("SeriesInstanceUID", "UI", NAME),
    "study UID": raw("StudyInstanceUID", "UI", NAME),
    "patient": raw("PatientID", "LO", word("given name")),
    "voltage": raw("KVP", "DS", "80"),
    "place": lambda ds: setattr(ds, "ImagePositionPatient", ["-48", "-48", "17.3"]),
    "sideways": lambda ds: setattr(ds, "ImagePositionPatient", ["-40", "-48", "2.5"]),
    "turned": lambda ds: setattr(ds, "ImageOrientationPatient", ["0", "1", "0", "1", "0", "0"]),
}


def spoilt_series(folder: Path, name: str) -> Path:
    """A series whose second slice is spoilt, below a folder named for the patient."""
    place = canaries.write_series(folder, HU)
    slices = canaries.slices(HU)
    SPOILT[name](slices[1])
    path = sorted(place.iterdir())[1]
    content = encoded(slices[1])
    if name == "transfer syntax":
        content = content.replace(b"1.2.840.10008.1.2.1\0", NAME.encode().ljust(20, b"\0"), 1)
    if name == "charset":
        content = content.replace(b"ISO_IR 192", NAME.encode(), 1)
    path.write_bytes(content)
    return place


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    folder = tmp_path / "said"
    folder.mkdir()
    return Heard(folder)


def test_twenty_eight_spoilt_series_say_nothing(tmp_path: Path, heard: Heard) -> None:
    places = {name: spoilt_series(tmp_path / name.replace(" ", "_"), name) for name in SPOILT}
    with heard.listening():
        for name, place in places.items():
            assert refused(lambda place=place: read(place), heard, name), name
            heard.note(f"list of {name}", repr(refusable_list(place)))
            ctinv(
                "--verbose", "info", place, "--json"
            )  # refuses, or lists the parts of what does not fit together
            assert ctinv("denoise", place, "--out", tmp_path / "out.npy") == 1, name
    assert len(SPOILT) >= 20
    assert leaks(heard.contents(), PLACES) == {}
    short = [text for sink, text in heard.said if sink.startswith("refusal")]
    assert len(short) == len(SPOILT)


def refusable_list(place: Path) -> list[str]:
    """The listing, or why there is none."""
    try:
        return [f"{one!r} {one} {one.kernel} {one.warnings}" for one in list_series(place)]
    except CtinvError as error:
        return [str(error)]


def damaged_files(folder: Path) -> dict[str, Path]:
    """Files of every other kind that are damaged and full of words, each called by the patient's name."""
    folder.mkdir()
    person = folder / f"{NAME}_{PLACES['birth date']}_{word('given name')}"

    def file(ending: str, content: bytes) -> Path:
        path = person.with_name(f"{person.name}{ending}")
        path.write_bytes(content)
        return path

    nifti = canaries.write_nifti(folder / "a.nii", HU).read_bytes()
    nrrd, mha = (
        canaries.write_nrrd(folder / "a.nrrd", HU).read_bytes(),
        canaries.write_mha(folder / "a.mha", HU).read_bytes(),
    )
    for whole in folder.iterdir():
        whole.unlink()
    text = NAME.encode() * 40
    return {
        "cut NIfTI": file(".cut.nii", nifti[:2000]),
        "packed cut NIfTI": file(".nii.gz", gzip.compress(nifti)[:120]),
        "no NIfTI": file(".no.nii", text),
        "NIfTI of another type": file(".type.nii", nifti[:70] + b"\x99\x99" + nifti[72:]),
        "cut NRRD": file(".cut.nrrd", nrrd[:-900]),
        "NRRD encoding": file(
            ".encoding.nrrd", nrrd.replace(b"encoding: raw", b"encoding: " + NAME.encode())
        ),
        "NRRD sizes": file(".sizes.nrrd", nrrd.replace(b"sizes: 24", b"sizes: " + NAME.encode())),
        "NRRD type": file(".kind.nrrd", nrrd.replace(b"type: float", b"type: " + NAME.encode())),
        "NRRD detached": file(
            ".nhdr", nrrd.replace(b"encoding", b"data file: " + NAME.encode() + b".raw\nencoding")
        ),
        "cut MetaImage": file(".cut.mha", mha[:-900]),
        "MetaImage sizes": file(".sizes.mha", mha.replace(b"DimSize = 24", b"DimSize = " + NAME.encode())),
        "MetaImage type": file(".type.mha", mha.replace(b"MET_FLOAT", NAME.encode())),
        "MetaImage detached": file(".mhd", mha.replace(b"= LOCAL", b"= /" + NAME.encode() + b"/a.raw")),
        "no array": file(".npy", text),
        "array of objects": file(".objects.npy", _objects()),
        "no DICOM": file(".dcm", b"\0" * 128 + b"DICM" + text),
        "text": file(".txt", text),
        "nowhere": person.with_name(f"{NAME}_nowhere.dcm"),
        "folder of text": _folder(folder / f"{NAME}_text", text),
    }


def _objects() -> bytes:
    from io import BytesIO

    stream = BytesIO()
    np.save(stream, np.array([NAME], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _folder(folder: Path, text: bytes) -> Path:
    folder.mkdir()
    (folder / f"{NAME}.txt").write_bytes(text)
    return folder


def test_damaged_files_of_every_kind_say_nothing(tmp_path: Path, heard: Heard) -> None:
    from napari_ctinv.reader import get_reader

    with heard.listening():
        for name, path in damaged_files(tmp_path / "in").items():
            reader = get_reader(str(path))
            heard.note(f"reader of {name}", repr(reader))
            assert reader is None or refused(
                lambda reader=reader, path=path: reader(str(path)), heard, name
            ), name
            assert refused(lambda path=path: read(path), heard, name), name
            for command in ("info", "view"):
                assert ctinv(command, path) == 1, name
            assert ctinv("sample", path, "--box", "0,0:9,0:9", "--out", tmp_path / "a.zarr", "--json") == 1, (
                name
            )
        for command in ("population", "bench"):
            words = ("--denoiser", "cnn10", "--out", tmp_path / "p.json")
            place = (
                (tmp_path / "in",) if command == "population" else ("generators", "--pairs", tmp_path / "in")
            )
            assert ctinv(command, *place, *words) == 1
        toml = tmp_path / "tiny.toml"
        toml.write_text('name="a"\nnetwork="CNN10"\ntrain=["a"]\nvalidate=["b"]\nlayout="full-dose"\n')
        data = tmp_path / f"{NAME}_data"
        assert ctinv("train", "denoiser", "--config", toml, "--data", data, "--out", tmp_path / "run") == 1
        assert (
            ctinv("train", "denoiser", "--config", toml, "--data", tmp_path / "in", "--out", tmp_path / "run")
            == 1
        )
    assert leaks(heard.contents(), PLACES) == {}


def test_a_process_writes_nothing_to_its_streams_either(tmp_path: Path) -> None:
    """What C and C++ code prints goes past Python."""
    files = damaged_files(tmp_path / "in")
    place = spoilt_series(tmp_path / "series", "position")
    code = (
        "import sys, logging, pydicom\n"
        "pydicom.config.debug(True)\n"
        "from ctinv.io import read\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        print(read(path).shape)\n"
        "    except Exception as error:\n        print(type(error).__name__, error)\n"
    )
    whole = canaries.write_series(tmp_path / "whole", HU)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "always", "-c", code, whole, place, *files.values()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert b"(4, 24, 24)" in done.stdout
    assert done.stdout.count(b"Error") == len(files) + 1
    assert found_in(done.stdout, PLACES) == set()
    assert found_in(done.stderr, PLACES) == set()


def test_a_template_hands_over_what_it_must_and_no_more(tmp_path: Path, heard: Heard) -> None:
    place = canaries.write_series(tmp_path / "in", HU)
    with heard.listening():
        out = write_series(
            read(place), tmp_path / "out", description="test", template=sorted(place.iterdir())[1]
        )
        broken = tmp_path / f"{NAME}.dcm"
        broken.write_bytes(b"\0" * 128 + b"DICM" + NAME.encode() * 9)
        for template in (broken, tmp_path / f"{NAME}_nowhere.dcm"):
            call = lambda template=template: write_series(  # noqa: E731
                read(place), tmp_path / "no", description="test", template=template
            )
            assert refused(call, heard, "template")
    assert leaks(heard.contents(), PLACES) == {}
    found = found_in(next(out.iterdir()).read_bytes(), PLACES)
    handed = {
        "patient ID",
        "family name",
        "given name",
        "ideographic name",
        "foreign name",
        "phonetic name",
        "birth date",
    }
    handed |= {"study UID", "SOP UID", "study date", "study time", "StudyID", "AccessionNumber"}
    handed |= {"ReferringPhysicianName", "PatientSex", "FrameOfReferenceUID"}
    assert found == handed


def test_an_old_trace_shows_no_word(tmp_path: Path) -> None:
    """An exception of a library stands behind a refusal; what prints a refusal must not print it."""
    place = spoilt_series(tmp_path / "a", "position")
    for path in (place, *damaged_files(tmp_path / "in").values()):
        with pytest.raises(CtinvError) as caught:
            read(path)
        lines = [line for line in traceback.format_exception(caught.value) if not line.startswith("  File")]
        assert found_in("".join(lines).encode(), PLACES) == set(), path.suffix


def test_two_readers_at_once_are_both_silent(tmp_path: Path, heard: Heard) -> None:
    place = canaries.write_series(tmp_path / "in", HU)
    errors: list[BaseException] = []

    def many() -> None:
        try:
            for _ in range(8):
                read(place)
                list_series(place)
        except BaseException as error:
            errors.append(error)

    with heard.listening():
        threads = [threading.Thread(target=many) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert leaks(heard.contents(), PLACES) == {}


def test_pydicom_itself_would_have_told(tmp_path: Path, heard: Heard) -> None:
    """Otherwise the silence of the readers would prove nothing."""
    from pydicom import dcmread

    place = canaries.write_series(tmp_path / "in", HU)
    with heard.listening():
        for path in place.iterdir():
            ds = dcmread(path)
            for tag in list(ds.keys()):
                refused(lambda ds=ds, tag=tag: str(ds[tag].value), Heard(tmp_path), "value")
    told = set.union(set(), *leaks(heard.contents(), PLACES).values())
    assert {"IrradiationEventUID", "XRayTubeCurrent", "TemporalPositionIdentifier"} <= told
