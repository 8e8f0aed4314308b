"""How pixels are packed: transfer syntaxes, fragments, offset tables, and streams that contradict their header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from struct import pack

import numpy as np
from dicom_jpeg import lossless, sequential
from dicom_phantom import Truth, phantom, relabelled, slices, store, truth, write
from dicom_registry import Build, Case, Must, add, case
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

THEME = "pixel coding"
SYNTAXES: dict[str, UID] = {
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def compressed(syntax: UID, made: Sequence[Dataset] | None = None, **options: object) -> list[Dataset]:
    """The phantom's slices in another transfer syntax."""
    made = list(slices() if made is None else made)
    for ds in made:
        if syntax.is_encapsulated:
            ds.compress(syntax, generate_instance_uid=False, **options)
        ds.file_meta.TransferSyntaxUID = syntax
    return made


def put_stream(
    ds: Dataset, syntax: UID, *fragments: bytes, table: bytes = b"", extended: bytes = b""
) -> None:
    """Encapsulate fragments as they are, with this basic or extended offset table."""
    ds.file_meta.TransferSyntaxUID = syntax
    parts = [table, *fragments]
    items = b"".join(b"\xfe\xff\x00\xe0" + pack("<I", len(part)) + part for part in parts)
    ds.PixelData = items
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    if extended:
        ds.add_new(0x7FE00001, "OV", extended)
        ds.add_new(0x7FE00002, "OV", b"".join(pack("<Q", len(part)) for part in fragments))


def stream_of(ds: Dataset) -> bytes:
    """The one frame of a compressed slice."""
    from pydicom.encaps import get_frame

    return bytes(get_frame(ds.PixelData, 0, number_of_frames=1))


def _whole(syntax: UID) -> Build:
    def build(folder: Path) -> Truth:
        write(compressed(syntax), folder)
        return truth()

    return build


for _name, _syntax in SYNTAXES.items():
    add(Case(_name, THEME, "read", _whole(_syntax)))


@case(THEME, "read")
def _every_slice_in_another_transfer_syntax(folder: Path) -> Truth:
    for (name, syntax), ds in zip(SYNTAXES.items(), slices(), strict=True):
        write(compressed(syntax, [ds]), folder, prefix=name.replace(" ", ""))
    return truth()


def _signed_slices() -> list[Dataset]:
    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "0"
        store(ds, phantom()[z], stored=16, signed=True)

    return slices(edit=edit)


@case(THEME, "read")
def _JPEG_2000_of_signed_pixels(folder: Path) -> Truth:
    write(compressed(JPEG2000Lossless, _signed_slices()), folder)
    return truth()


@case(THEME, "read")
def _RLE_of_signed_pixels(folder: Path) -> Truth:
    write(compressed(RLELossless, _signed_slices()), folder)
    return truth()


@case(THEME, "read")
def _JPEG_lossless(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        put_stream(ds, JPEGLosslessSV1, lossless((phantom()[z] + 1024).astype(int), 12))

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read")
def _JPEG_lossless_of_signed_pixels(folder: Path) -> Truth:
    """The coder knows no sign: the stream holds the two's complement."""

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "0"
        store(ds, phantom()[z], stored=16, signed=True)
        put_stream(ds, JPEGLosslessSV1, lossless(phantom()[z].astype(int) & 0xFFFF, 16))

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read")
def _JPEG_extended_12_bits(folder: Path) -> Truth:
    hu = phantom(6, 40, 32)

    def edit(z: int, ds: Dataset) -> None:
        ds.LossyImageCompression = "01"
        put_stream(ds, JPEGExtended12Bit, sequential((hu[z] + 1024).astype(int), 12))

    write(slices(hu, edit=edit), folder)
    return truth(hu, slack=2.0)


@case(THEME, "read")
def _JPEG_baseline_8_bits(folder: Path) -> Truth:
    hu = phantom(6, 40, 32) % 250 - 100

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "-100"
        store(ds, hu[z] + 100, bits=8, stored=8)
        put_stream(ds, JPEGBaseline8Bit, sequential((hu[z] + 100).astype(int), 8))

    write(slices(hu, edit=edit), folder)
    return truth(hu, slack=2.0)


@case(THEME, "read")
def _JPEG_LS_near_lossless(folder: Path) -> Truth:
    write(compressed(JPEGLSNearLossless, jls_error=3), folder)
    return truth(slack=3.0)


@case(THEME, "read")
def _JPEG_2000_with_loss(folder: Path) -> Truth:
    write(compressed(JPEG2000, j2k_psnr=[90]), folder)
    return truth(slack=3.0)


@case(THEME, "either", "supported|decoder|HTJ2K|High-Throughput|damaged")
def _HTJ2K_label_on_a_JPEG_2000_stream(folder: Path) -> Truth:
    made = compressed(JPEG2000Lossless)
    for ds in made:
        ds.file_meta.TransferSyntaxUID = HTJ2KLossless
    write(made, folder)
    return truth()


@case(THEME, "either", "bits|precision|fit")
def _JPEG_2000_stream_of_16_bits_under_12(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        store(ds, phantom()[z] + 1024, stored=16)

    made = compressed(JPEG2000Lossless, slices(edit=edit))
    for ds in made:
        ds.BitsStored, ds.HighBit = 12, 11
    write(made, folder)
    return truth()


@case(THEME, "either", "bits|precision|fit")
def _JPEG_2000_stream_of_12_bits_under_16(folder: Path) -> Truth:
    made = compressed(JPEG2000Lossless)
    for ds in made:
        ds.BitsStored, ds.HighBit = 16, 15
    write(made, folder)
    return truth()


@case(THEME, "read")
def _JPEG_LS_stream_of_12_bits_under_16(folder: Path) -> Truth:
    """Coders that look for the largest value write as many bits as it needs."""
    made = compressed(JPEGLSLossless)
    for ds in made:
        ds.BitsStored, ds.HighBit = 16, 15
    write(made, folder)
    return truth()


@case(THEME, "refuse", "12 bits")
def _unsigned_stream_of_12_bits_under_16_signed(folder: Path) -> None:
    """Nothing says which bit holds the sign."""
    made = compressed(JPEGLSLossless)
    for ds in made:
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, 1
    write(made, folder)


@case(THEME, "read")
def _fragments_padded_with_many_zeros(folder: Path) -> Truth:
    made = compressed(JPEG2000Lossless)
    for ds in made:
        put_stream(ds, JPEG2000Lossless, stream_of(ds) + bytes(64))
    write(made, folder)
    return truth()


@case(THEME, "read")
def _an_empty_fragment_first(folder: Path) -> Truth:
    made = compressed(JPEG2000Lossless)
    for ds in made:
        put_stream(ds, JPEG2000Lossless, b"", stream_of(ds))
    write(made, folder)
    return truth()


@case(THEME, "either", "sign")
def _JPEG_2000_signed_under_an_unsigned_header(folder: Path) -> Truth | None:
    made = compressed(JPEG2000Lossless, _signed_slices())
    for ds in made:
        ds.PixelRepresentation = 0
    write(made, folder)
    return truth()


@case(THEME, "either", "sign")
def _JPEG_2000_unsigned_under_a_signed_header(folder: Path) -> Truth:
    """Values below the sign bit mean the same either way."""
    made = compressed(JPEG2000Lossless)
    for ds in made:
        ds.PixelRepresentation = 1
    write(made, folder)
    return truth(np.where(phantom() + 1024 >= 2048, phantom() - 4096, phantom()))


@case(THEME, "refuse", "fit|bits|precision")
def _JPEG_2000_stream_of_8_bits_under_16(folder: Path) -> None:
    """The upper half of every value is gone; whoever decodes this shows a soft-tissue scan of HU below -768."""
    made = slices()
    for z, ds in enumerate(made):
        small = slices(phantom() % 200)[z]
        store(small, phantom()[z] % 200, bits=8, stored=8)
        small.compress(JPEG2000Lossless, generate_instance_uid=False)
        put_stream(ds, JPEG2000Lossless, stream_of(small))
    write(made, folder)


@case(THEME, "read")
def _one_frame_in_many_fragments(folder: Path) -> Truth:
    for syntax in (JPEG2000Lossless, RLELossless):
        made = compressed(syntax, slices()[:3] if syntax == RLELossless else slices()[3:])
        for ds in made:
            stream = stream_of(ds)
            cut = len(stream) // 3 & ~1
            put_stream(ds, syntax, stream[:cut], stream[cut : 2 * cut], stream[2 * cut :])
        write(made, folder, prefix=f"f{syntax[-2:].replace('.', '')}")
    return truth()


def multi_frame(order: Sequence[int], table: Sequence[int] | None, *, extended: bool = False) -> Dataset:
    """An enhanced CT whose frames are fragments in this order, with the given table of offsets."""
    from dicom_cases_enhanced import enhanced

    streams = [stream_of(ds) for ds in compressed(JPEG2000Lossless)]
    fragments = [streams[z] for z in order]
    ds = enhanced()
    offsets = table or ()
    plain, wide = (
        (pack(f"<{len(offsets)}I", *offsets), b"")
        if not extended
        else (b"", pack(f"<{len(offsets)}Q", *offsets))
    )
    put_stream(ds, JPEG2000Lossless, *fragments, table=plain, extended=wide)
    return ds


def true_offsets() -> list[int]:
    """Where each fragment's item starts."""
    sizes = [len(stream_of(ds)) + 8 for ds in compressed(JPEG2000Lossless)]
    return [sum(sizes[:k]) for k in range(len(sizes))]


def _offsets(
    change: Callable[[list[int]], list[int]] | None, *, extended: bool
) -> Callable[[Path], Truth | None]:
    def build(folder: Path) -> Truth:
        table = change(true_offsets()) if change else None
        write([multi_frame(range(6), table, extended=extended)], folder)
        return truth()

    return build


def _swapped(offsets: list[int]) -> list[int]:
    return [offsets[k] for k in (1, 0, 2, 3, 5, 4)]


def _late(offsets: list[int]) -> list[int]:
    return [0, *(at + 2 for at in offsets[1:])]


def _short_table(offsets: list[int]) -> list[int]:
    return offsets[:4]


def _beyond(offsets: list[int]) -> list[int]:
    return [*offsets[:5], 10**6]


_TABLES: tuple[tuple[str, Must, Callable[[list[int]], list[int]] | None], ...] = (
    ("empty offset table", "read", None),
    ("offset table", "read", list),
    ("offset table with two pairs swapped", "either", _swapped),
    ("offset table two bytes late", "either", _late),
    ("offset table too short", "either", _short_table),
    ("offset table beyond the end", "either", _beyond),
)
for _name, _must, _change in _TABLES:
    for _extended in (False, True) if _change else (False,):
        _full = f"{'extended ' * _extended}{_name}"
        _cause = "offset|compressed|damaged" if _must == "either" else ""
        add(Case(_full, THEME, _must, _offsets(_change, extended=_extended), _cause))


@case(THEME, "refuse", "compressed|frames|damaged|truncated")
def _one_fragment_fewer_than_frames(folder: Path) -> None:
    write([multi_frame(range(5), None)], folder)


@case(THEME, "refuse", "compressed|frames|damaged|fit")
def _one_fragment_more_than_frames(folder: Path) -> None:
    write([multi_frame([0, 1, 2, 2, 3, 4, 5], None)], folder)


def _one_damaged(damage: Callable[[bytes], bytes], syntax: UID) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        made = compressed(syntax)
        put_stream(made[2], syntax, damage(stream_of(made[2])))
        write(made, folder)

    return build


def _half(stream: bytes) -> bytes:
    return stream[: len(stream) // 2 & ~1]


for _label, _syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
    _build = _one_damaged(_half, _syntax)
    add(Case(f"{_label} cut in half in one", THEME, "refuse", _build, "truncated|damaged|fit"))


@case(THEME, "refuse", "damaged|truncated|fit")
def _RLE_with_a_header_of_noise(folder: Path) -> None:
    made = compressed(RLELossless)
    stream = stream_of(made[2])
    put_stream(made[2], RLELossless, pack("<16I", 2, *([2**31 - 2] * 15)) + stream[64:])
    write(made, folder)


@case(THEME, "refuse", "damaged|fit|truncated")
def _stream_of_another_size(folder: Path) -> None:
    made = compressed(JPEGLSLossless)
    for ds in made:
        ds.Rows, ds.Columns = 38, 36
    write(made, folder)


@case(THEME, "refuse", "MB|fit|damaged")
def _RLE_that_claims_65000_squared(folder: Path) -> None:
    made = compressed(RLELossless)
    for ds in made:
        ds.Rows = ds.Columns = 65000
    write(made, folder)


@case(THEME, "refuse", "header says|damaged|truncated")
def _compressed_pixels_under_an_uncompressed_label(folder: Path) -> None:
    made = compressed(JPEGLSLossless)
    for ds in made:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    write(made, folder)


@case(THEME, "refuse", "damaged|truncated|compressed")
def _uncompressed_pixels_under_a_compressed_label(folder: Path) -> None:
    made = slices()
    for ds in made:
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        ds.PixelData = encapsulate([ds.PixelData])
        ds["PixelData"].VR = "OB"
    write(made, folder)


@case(THEME, "either", "damaged|fit|decode")
def _JPEG_LS_under_the_label_of_JPEG_2000(folder: Path) -> Truth:
    made = compressed(JPEGLSLossless)
    for ds in made:
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    write(made, folder)
    return truth()


def _unsupported(uid: str) -> Build:
    def build(folder: Path) -> None:
        made = slices()
        for ds in made:
            put_stream(ds, JPEG2000Lossless, bytes(64))
        write(made, folder)
        for path in folder.iterdir():
            path.write_bytes(relabelled(path.read_bytes(), JPEG2000Lossless, uid))

    return build


for _name, _uid in (
    ("video", "1.2.840.10008.1.2.4.102"),
    ("JPEG XL", "1.2.840.10008.1.2.4.110"),
    ("JPIP, whose pixels are elsewhere", "1.2.840.10008.1.2.4.94"),
    ("a private transfer syntax", "1.2.840.113619.5.2"),
    ("words instead of a transfer syntax", "Zebrafink.raw"),
):
    _cause = "transfer syntax|supported|damaged|truncated"
    add(Case(f"pixels as {_name}", THEME, "refuse", _unsupported(_uid), _cause))


@case(THEME, "refuse", "deflated")
def _deflated_and_cut(folder: Path) -> None:
    write(compressed(DeflatedExplicitVRLittleEndian), folder)
    victim = folder / "s003.dcm"
    victim.write_bytes(victim.read_bytes()[:-300])
