"""Files and folders: encodings of headers, damage, foreign files, links, names and rights."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from struct import pack

from dicom_phantom import CANARY, Edit, Truth, raw_text, relabelled, slices, truth, write, write_file
from dicom_registry import Build, Case, add, case
from pydicom import Dataset, Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

THEME = "files and headers"


Change = Callable[[bytes], bytes]


def _bytes(change: Change, where: int | None = None) -> Build:
    """The series with its files changed byte by byte."""

    def build(folder: Path) -> Truth:
        write(slices(), folder)
        for k, path in enumerate(sorted(folder.iterdir())):
            if where in (None, k):
                path.write_bytes(change(path.read_bytes()))
        return truth()

    return build


def data_set_start(data: bytes) -> int:
    """Where group 2 ends, by its group length."""
    return 144 + int.from_bytes(data[140:144], "little")


def _no_preamble(data: bytes) -> bytes:
    return data[132:]


def _no_meta(data: bytes) -> bytes:
    return data[data_set_start(data) :]


def _no_group_length(data: bytes) -> bytes:
    return data[:132] + data[144:]


def _wrong_group_length(data: bytes) -> bytes:
    return data[:140] + pack("<I", 9999) + data[144:]


def _zero_preamble_of_tiff(data: bytes) -> bytes:
    """A file that is TIFF and DICOM at once, as PS3.10 allows."""
    return b"II*\0" + bytes([7]) * 124 + data[128:]


def _trailing_zeros(data: bytes) -> bytes:
    return data + bytes(512)


def _trailing_padding(data: bytes) -> bytes:
    return data + b"\xfc\xff\xfc\xffOB\0\0" + pack("<I", 40) + bytes(40)


def _relabelled(uid: str) -> Change:
    """The transfer syntax in the meta header is another one than the data set is written in."""
    return lambda data: relabelled(data, ExplicitVRLittleEndian, uid)


def _no_syntax(data: bytes) -> bytes:
    """The element that names the transfer syntax is gone."""
    at = data.index(b"\x02\x00\x10\x00UI")
    size = 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    group = int.from_bytes(data[140:144], "little") - size
    data = data[:at] + data[at + size :]
    return data[:140] + pack("<I", group) + data[144:]


_READ: tuple[tuple[str, Change], ...] = (
    ("group 2 without its length", _no_group_length),
    ("a preamble of another format", _zero_preamble_of_tiff),
    ("data set trailing padding", _trailing_padding),
)
for _name, _change in _READ:
    add(Case(_name, THEME, "read", _bytes(_change)))
_EITHER: tuple[tuple[str, Change, str], ...] = (
    ("no preamble", _no_preamble, "DICOM|slice"),
    ("no preamble and no meta header", _no_meta, "DICOM|slice"),
    ("group 2 of a wrong length", _wrong_group_length, "damaged|cut off|no CT"),
    ("no transfer syntax in the meta header", _no_syntax, "transfer syntax|cut off|no CT"),
    ("zeros behind the pixels", _trailing_zeros, "damaged|truncated|header says"),
    (
        "labelled implicit, written explicit",
        _relabelled(ImplicitVRLittleEndian),
        "damaged|cut off|no CT|syntax",
    ),
    ("labelled big endian, written little", _relabelled(ExplicitVRBigEndian), "damaged|cut off|no CT|syntax"),
)
for _name, _change, _cause in _EITHER:
    add(Case(_name, THEME, "either", _bytes(_change), _cause))
    if _name in ("no preamble and no meta header", "labelled implicit, written explicit"):
        add(Case(f"{_name} in one", THEME, "either", _bytes(_change, 0), _cause))


@case(THEME, "either", "DICOM|slice|missing")
def _big_endian_without_meta_header_in_one(folder: Path) -> Truth:
    """The outermost slice: left out in silence, the rest would be a regular series."""
    write(slices(), folder)
    last = slices()[5]
    last.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    path = write_file(last, folder / "s001.dcm")
    path.write_bytes(_no_meta(path.read_bytes()))
    return truth()


def _cut(keep: float) -> Change:
    return lambda data: data[: int(len(data) * keep)]


for _share in (0.4, 0.8, 0.995):
    _cause = "truncated|cut off"
    add(
        Case(
            f"one file cut to {100 * _share:g} %",
            THEME,
            "refuse",
            _bytes(_cut(_share), 0),
            _cause,
        )
    )
add(
    Case(
        "the last file cut inside its header", THEME, "refuse", _bytes(lambda data: data[:700], 5), "cut off"
    )
)


def _deep(levels: int) -> Sequence:
    inner = Dataset()
    inner.add_new(0x00111002, "LO", CANARY)
    for _ in range(levels):
        outer = Dataset()
        outer.add_new(0x00110010, "LO", "ACME")
        outer.add_new(0x00111001, "SQ", Sequence([inner]))
        inner = outer
    return Sequence([inner])


def _header(edit: Edit) -> Build:
    def build(folder: Path) -> Truth:
        write(slices(edit=edit), folder)
        return truth()

    return build


def _nested_private(z: int, ds: Dataset) -> None:
    ds.add_new(0x00110010, "LO", "ACME")
    ds.add_new(0x00111001, "SQ", _deep(20))


def _undefined_lengths(z: int, ds: Dataset) -> None:
    _nested_private(z, ds)
    ds[0x00111001].is_undefined_length = True
    for inner in ds[0x00111001].value:
        inner.is_undefined_length_sequence_item = True


def _group_lengths(z: int, ds: Dataset) -> None:
    for group in (0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x7FE0):
        ds.add_new((group, 0), "UL", 1)


def _icon(z: int, ds: Dataset) -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.BitsAllocated = icon.BitsStored = 8
    icon.PhotometricInterpretation = "MONOCHROME1"
    icon.add_new("PixelData", "OB", b"\x01\x02\x03\x04")
    ds.IconImageSequence = Sequence([icon])


def _charset(charset: object, name: str) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        ds.SpecificCharacterSet = charset
        ds.PatientName = name

    return edit


for _name, _edit in (
    ("nested private sequences", _nested_private),
    ("sequences of undefined length", _undefined_lengths),
    ("wrong group lengths", _group_lengths),
    ("an icon with pixels of its own", _icon),
    ("a Chinese name in GB18030", _charset("GB18030", f"王^{CANARY}")),
    ("a Japanese name in ISO 2022", _charset(["", "ISO 2022 IR 87"], f"{CANARY}^=山田^太郎")),
    ("a character set that does not exist", _charset("ISO 9999", CANARY)),
    ("dates and ages that are none", lambda z, ds: raw_text(ds, "PatientAge", f"{CANARY} 70")),
    ("a comment of 100 kB", lambda z, ds: ds.add_new("ImageComments", "LT", "x" * 100_000)),
    ("values of unknown representation", lambda z, ds: ds.add_new("KVP", "UN", b"120 ")),
):
    add(Case(_name, THEME, "read", _header(_edit)))


def raw_deep(levels: int) -> bytes:
    """A private sequence nested this deep, of undefined lengths, in explicit VR little endian."""
    start = b"\x11\x00\x01\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return b"\x11\x00\x10\x00LO\x04\x00ACME" + start * levels + end * levels


def _insert_deep(data: bytes) -> bytes:
    at = data.index(b"\x18\x00\x50\x00DS")
    return data[:at] + raw_deep(5000) + data[at:]


add(
    Case(
        "a private sequence 5000 deep",
        THEME,
        "either",
        _bytes(_insert_deep, 0),
        "cut off|damaged|nested|deep|items",
    )
)


@case(THEME, "read", listed=[6])
def _foreign_files_beside_the_scan(folder: Path) -> Truth:
    write(slices(), folder)
    (folder / "Thumbs.db").write_bytes(b"junk" * 100)
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "text.dcm").write_text("not a scan")
    (folder / "fake.dcm").write_bytes(bytes(128) + b"DICM" + b"no elements here" * 8)
    (folder / "short.dcm").write_bytes(bytes(128) + b"DI")
    (folder / "preamble.dcm").write_bytes(bytes(128) + b"DICM")
    shutil.make_archive(str(folder / "scan"), "zip", folder)
    return truth()


@case(THEME, "read", listed=[6])
def _links_that_form_loops(folder: Path) -> Truth:
    write(slices(), folder / "scan")
    (folder / "scan" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "itself").symlink_to(folder / "itself")
    (folder / "one").symlink_to(folder / "two")
    (folder / "two").symlink_to(folder / "one")
    return truth()


@case(THEME, "read", listed=[6], target="scan")
def _slices_that_are_links(folder: Path) -> Truth:
    write(slices(), folder / "store")
    (folder / "scan").mkdir()
    for k, path in enumerate(sorted((folder / "store").iterdir())):
        path.rename(folder / f"object{k}")
        (folder / "scan" / path.name).symlink_to(folder / f"object{k}")
    return truth()


@case(THEME, "refuse", "link", target="scan")
def _the_last_slice_is_a_link_to_nowhere(folder: Path) -> None:
    write(slices(), folder / "scan")
    last = folder / "scan" / "s001.dcm"
    last.unlink()
    last.symlink_to(folder / "annex" / "not-fetched")


@case(THEME, "read", listed=[6])
def _pipes_sockets_and_devices(folder: Path) -> Truth:
    """Opening a pipe that no one writes would wait for ever."""
    write(slices(), folder)
    os.mkfifo(folder / "pipe.dcm")
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)  # names of sockets must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.dcm")
    finally:
        os.fchdir(here)
        os.close(here)
    (folder / "zero.dcm").symlink_to("/dev/zero")
    return truth()


@case(THEME, "read", listed=[6], target="Übersicht 扫描 \N{ROCKET}")
def _names_of_more_than_two_hundred_bytes(folder: Path) -> Truth:
    scan = write(slices(), folder / "Übersicht 扫描 \N{ROCKET}")
    for k, path in enumerate(sorted(scan.iterdir())):
        path.rename(scan / f"{'扫' * 70}{k}.dcm")
    return truth()


@case(THEME, "read", listed=[6])
def _names_that_are_no_text(folder: Path) -> Truth:
    write(slices(), folder)
    for k, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / os.fsdecode(b"s\xff\xfe\n%d.dcm" % k))
    return truth()


@case(THEME, "refuse", "truncated", target=f"{CANARY}_Ada")
def _a_damaged_file_in_a_folder_named_after_the_patient(folder: Path) -> None:
    scan = write(slices(), folder / f"{CANARY}_Ada")
    victim = scan / "s004.dcm"
    victim.write_bytes(victim.read_bytes()[:-200])


@case(THEME, "refuse", "no folder|no file", target="nowhere")
def _no_such_folder(folder: Path) -> None:
    return None


@case(THEME, "refuse", "empty", listed=[])
def _an_empty_folder(folder: Path) -> None:
    return None


@case(THEME, "refuse", "not a CT image|no CT", target="notes.txt")
def _a_text_file(folder: Path) -> None:
    write(slices(), folder)
    (folder / "notes.txt").write_text(f"{CANARY} was here")


@case(THEME, "refuse", "not a CT image", target="extra.dcm")
def _a_localizer_file_of_a_good_folder(folder: Path) -> None:
    write(slices(), folder)
    scout = slices()[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write([scout], folder, prefix="x")
    (folder / "x001.dcm").rename(folder / "extra.dcm")


@case(THEME, "refuse", "slice|DICOM")
def _a_series_packed_with_gzip(folder: Path) -> None:
    import gzip

    write(slices(), folder)
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
