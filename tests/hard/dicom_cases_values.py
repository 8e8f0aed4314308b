"""What the stored numbers mean: rescale, bits, signs, padding, photometry, modality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dicom_phantom import Edit, Truth, phantom, raw_text, slices, store, truth, write
from dicom_registry import case, edited
from pydicom import Dataset, Sequence
from pydicom.uid import ExplicitVRBigEndian

THEME = "values"


def _text(keyword: str, text: str, where: int | None = None) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        if where in (None, z):
            raw_text(ds, keyword, text)

    return edit


def _set(keyword: str, value: int) -> Edit:
    return lambda z, ds: setattr(ds, keyword, value)


def _signed(stored: int, *, extended: bool = True) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "0"
        store(ds, phantom()[z], stored=stored, signed=True)
        if not extended:
            ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & (2**stored - 1)).astype("<u2").tobytes()

    return edit


def _slope_per_slice(z: int, ds: Dataset) -> None:
    slope = 2.0 ** (z % 3 - 2)
    ds.RescaleSlope, ds.RescaleIntercept = str(slope), str(-2000 - z)
    store(ds, (phantom()[z] + 2000 + z) / slope, stored=16)


def _other_intercept(z: int, ds: Dataset) -> None:
    if z == 2:
        ds.RescaleIntercept = "-1000"
        store(ds, phantom()[z] + 1000)


def _negative_slope(z: int, ds: Dataset) -> None:
    ds.RescaleSlope, ds.RescaleIntercept = "-1", "3000"
    store(ds, 3000 - phantom()[z])


def _mixed_signs(z: int, ds: Dataset) -> None:
    """Neighbours differ in sign, bits stored and intercept, as after a repair by a third program."""
    if z % 2:
        _signed(13)(z, ds)


def _left_justified(z: int, ds: Dataset) -> None:
    ds.HighBit = 15
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") << 4).astype("<u2").tobytes()


def _garbage(z: int, ds: Dataset) -> None:
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0xA000).tobytes()


def _overlay(z: int, ds: Dataset) -> None:
    """A retired overlay in bit 12 of the pixels themselves."""
    ds.add_new(0x60000010, "US", ds.Rows)
    ds.add_new(0x60000011, "US", ds.Columns)
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", 12)
    ds.PixelData = (
        (np.frombuffer(ds.PixelData, "<u2") ^ (0x1000 * (np.arange(1440) % 3 == 0))).astype("<u2").tobytes()
    )


def _monochrome1(z: int, ds: Dataset) -> None:
    """How a grey is shown does not change what it measures."""
    ds.PhotometricInterpretation, ds.PresentationLUTShape = "MONOCHROME1", "INVERSE"


def _voi(z: int, ds: Dataset) -> None:
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = "40", "400", "SIGMOID"


def _thirty_two_bits(z: int, ds: Dataset) -> None:
    store(ds, phantom()[z] + 1024, bits=32, stored=32)


def _bits(allocated: int, stored: int, high: int) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, stored, high

    return edit


for _name, _edit in (
    ("slope per slice", _slope_per_slice),
    ("one slice of other intercept", _other_intercept),
    ("negative slope", _negative_slope),
    ("signed 16 bits", _signed(16)),
    ("signed 13 bits", _signed(13)),
    ("signed 12 bits not extended", _signed(12, extended=False)),
    ("slices of mixed sign and bits", _mixed_signs),
    ("garbage in the high bits", _garbage),
    ("overlay inside the pixels", _overlay),
    ("MONOCHROME1", _monochrome1),
    ("window and sigmoid", _voi),
    ("32 bits", _thirty_two_bits),
    ("rescale type US", _text("RescaleType", "US")),
    ("rescale type in small letters", _text("RescaleType", "hu ")),
    ("technical facts nonsense", _text("KVP", "nan")),
    ("padding value out of all range", _text("PixelPaddingValue", "1e300")),
    ("high bit missing", lambda z, ds: delattr(ds, "HighBit")),
    ("planar configuration of a grey image", _set("PlanarConfiguration", 1)),
    ("slope with exponent and blanks", _text("RescaleSlope", " 10.0E-1 ")),
):
    edited(THEME, "read", _name, _edit)
edited(THEME, "either", "pixels in the upper bits", _left_justified, "HighBit")


@case(THEME, "read")
def _fractional_slope_and_intercept(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "0.1", "-1024.3"
        store(ds, 10 * phantom()[z] + 20000, stored=16)

    write(slices(edit=edit), folder)
    return truth((10 * phantom() + 20000) * 0.1 - 1024.3)


@case(THEME, "read")
def _slope_of_many_digits_near_cancellation(folder: Path) -> Truth:
    """Stored · slope and the intercept are 40 times larger than their sum."""

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "0.60986328125", "-32100.7"
        store(ds, phantom()[z] + 53000, stored=16)

    write(slices(edit=edit), folder)
    return truth((phantom() + 53000) * 0.60986328125 - 32100.7)


@case(THEME, "read")
def _eight_bits_of_odd_length(folder: Path) -> Truth:
    hu = (phantom(5, 7, 9) % 251) - 100

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "-100"
        store(ds, hu[z] + 100, bits=8, stored=8)

    write(slices(hu, edit=edit), folder)
    return truth(hu)


@case(THEME, "either", "BitsAllocated|8|12")
def _twelve_bits_packed(folder: Path) -> Truth:
    """Two pixels in three bytes; allowed by ACR-NEMA, read by no one."""

    def edit(z: int, ds: Dataset) -> None:
        even, odd = np.frombuffer(ds.PixelData, "<u2").reshape(-1, 2).astype(np.uint32).T
        both = (even | odd << 12).astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
        ds.PixelData, ds.BitsAllocated = both.tobytes(), 12

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read")
def _padding_outside_the_circle(folder: Path) -> Truth:
    hu = phantom()
    hu[:, :3] = -2000

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "0"
        store(ds, hu[z], stored=16, signed=True)
        ds.add_new("PixelPaddingValue", "US", 63536)  # -2000, as scanners write it

    write(slices(hu, edit=edit), folder)
    return truth(hu)


@case(THEME, "read")
def _padding_range(folder: Path) -> Truth:
    hu = phantom()
    hu[:, :3], hu[:, 3:5] = -3024, -3000

    def edit(z: int, ds: Dataset) -> None:
        ds.RescaleIntercept = "-1024"
        store(ds, hu[z] + 1024, stored=16, signed=True)
        ds.add_new("PixelPaddingValue", "SS", -2000)
        ds.add_new("PixelPaddingRangeLimit", "SS", -1976)

    write(slices(hu, edit=edit), folder)
    return truth(hu)


@case(THEME, "read")
def _pixels_as_bytes_in_big_endian(folder: Path) -> Truth:
    made = slices()
    for ds in made:
        ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    write(made, folder)
    return truth()


def _drop(*keywords: str, where: int | None = None) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        for keyword in keywords if where in (None, z) else ():
            delattr(ds, keyword)

    return edit


def _lut(z: int, ds: Dataset) -> None:
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [4096, 0, 16], "HU"
    item.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    ds.ModalityLUTSequence = Sequence([item])
    del ds.RescaleSlope, ds.RescaleIntercept


def _real_world(z: int, ds: Dataset) -> None:
    item = Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 1.0, -1024.0
    ds.RealWorldValueMappingSequence = Sequence([item])
    del ds.RescaleSlope, ds.RescaleIntercept


def _colour(z: int, ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.PixelData = ds.PixelData * 3


def _palette(z: int, ds: Dataset) -> None:
    ds.PhotometricInterpretation = "PALETTE COLOR"


def _float_pixels(z: int, ds: Dataset) -> None:
    del ds.PixelData
    ds.BitsAllocated = ds.BitsStored = 32
    ds.HighBit = 31
    ds.add_new(0x7FE00008, "OF", phantom()[z].astype("<f4").tobytes())


def _only(edit: Edit, where: int = 2) -> Edit:
    return lambda z, ds: edit(z, ds) if z == where else None


def _short(z: int, ds: Dataset) -> None:
    ds.PixelData = ds.PixelData[:-100]


def _long(z: int, ds: Dataset) -> None:
    ds.PixelData = ds.PixelData + bytes(64)


def _empty(z: int, ds: Dataset) -> None:
    ds.PixelData = b""


REFUSED: tuple[tuple[str, Edit, str], ...] = (
    ("slope and intercept missing", _drop("RescaleSlope", "RescaleIntercept"), "Rescale"),
    ("intercept missing in one", _drop("RescaleIntercept", where=2), "RescaleIntercept"),
    ("slope 0", _text("RescaleSlope", "0"), "RescaleSlope"),
    ("slope nan", _text("RescaleSlope", "nan"), "RescaleSlope"),
    ("slope infinite in one", _text("RescaleSlope", "inf", 2), "RescaleSlope"),
    ("slope 1e400", _text("RescaleSlope", "1e400"), "RescaleSlope"),
    ("slope two numbers", _text("RescaleSlope", "1\\1"), "RescaleSlope"),
    ("slope in hexadecimal", _text("RescaleSlope", "0x1"), "RescaleSlope"),
    ("slope empty", _text("RescaleSlope", " "), "RescaleSlope"),
    ("slope 900", _text("RescaleSlope", "900"), "rescale|Rescale"),
    ("slope 1e-9", _text("RescaleSlope", "1e-9"), "RescaleSlope"),
    ("intercept 1e30", _text("RescaleIntercept", "1e30"), "RescaleIntercept"),
    ("rescale type of another quantity", _text("RescaleType", "Z_EFF"), "RescaleType"),
    ("modality LUT instead of slope", _lut, "Modality LUT|Rescale"),
    ("only a real world mapping", _real_world, "Rescale"),
    ("colour", _colour, "colour"),
    ("palette colour", _palette, "Photometric"),
    ("bits stored 17", _bits(16, 17, 16), "BitsStored"),
    ("bits stored 0", _bits(16, 0, 0), "BitsStored"),
    ("bits allocated 64", _bits(64, 12, 11), "BitsAllocated"),
    ("bits allocated 1", _bits(1, 1, 0), "BitsAllocated"),
    ("high bit below bits stored", _bits(16, 12, 5), "HighBit"),
    ("pixel representation 7", _set("PixelRepresentation", 7), "PixelRepresentation"),
    ("modality MR in a CT image", _text("Modality", "MR"), "Modality"),
    ("modality missing", _drop("Modality"), "Modality"),
    ("float pixels", _float_pixels, "floating|integer"),
    ("pixels short in one", _only(_short), "truncated"),
    ("pixels too long in one", _only(_long), "header says"),
    ("pixels empty in one", _only(_empty), "no pixel data"),
    ("pixels missing", _drop("PixelData"), "no pixel data"),
    ("rows 0", _set("Rows", 0), "matrix"),
    ("rows in words", _text("Rows", "40"), "Rows"),
    ("rows beyond any matrix", lambda z, ds: ds.add_new("Rows", "UL", 10**9), "matrix"),
    ("samples per pixel missing", _drop("SamplesPerPixel"), "SamplesPerPixel"),
    ("photometric interpretation missing", _drop("PhotometricInterpretation"), "Photometric"),
    ("pixel representation missing", _drop("PixelRepresentation"), "PixelRepresentation"),
    ("columns missing", _drop("Columns"), "Columns"),
    ("frames 2000000", _text("NumberOfFrames", "2000000"), "NumberOfFrames|frames"),
    ("frames 0", _text("NumberOfFrames", "0"), "NumberOfFrames|frames"),
)
for _name, _edit, _cause in REFUSED:
    edited(THEME, "refuse", _name, _edit, _cause)


@case(THEME, "refuse", "matrix", listed=[1, 5])
def _one_slice_of_another_matrix(folder: Path) -> None:
    made = slices()
    store(made[3], phantom()[3, :20] + 1024)
    write(made, folder)


@case(THEME, "refuse", "MB|memory")
def _more_pixels_claimed_than_the_file_holds(folder: Path) -> None:
    def edit(z: int, ds: Dataset) -> None:
        ds.Rows = ds.Columns = 65000

    write(slices(edit=edit), folder)
