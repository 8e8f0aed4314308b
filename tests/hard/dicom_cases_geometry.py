"""Where voxels lie: orientation, order, spacing, gaps, tilt, and place elements that cannot be believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from dicom_phantom import (
    AXIAL,
    STEP,
    Edit,
    Truth,
    phantom,
    raw_text,
    slices,
    truth,
    write,
)
from dicom_registry import case, edited
from pydicom import Dataset

THEME = "geometry"


def turned(about: str, degrees: float, orientation: tuple[float, ...] = AXIAL) -> tuple[float, ...]:
    """An orientation turned about a patient axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turns = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    turn = np.array(turns[about])
    return tuple(float(v) for v in (*(turn @ orientation[:3]), *(turn @ orientation[3:])))


OBLIQUE = turned("x", 20, turned("z", 30))
ORIENTATIONS = {
    "oblique by 30 and 20 degrees": OBLIQUE,
    "oblique near 45 degrees on two axes": turned("y", 44.9, turned("x", 45.1)),
    "sagittal": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    "coronal": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    "feet first, rows to the right": (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "prone": (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
    "decubitus": (0.0, 1.0, 0.0, -1.0, 0.0, 0.0),
    "gantry tag of a head turned by 0.3 degrees": turned("x", 0.3),
}
for _name, _orientation in ORIENTATIONS.items():
    edited(THEME, "read", _name, lambda z, ds: None, orientation=_orientation)

edited(THEME, "read", "baseline", lambda z, ds: None)
edited(THEME, "read", "slices of 0.3 mm", lambda z, ds: None, step=0.3)
edited(THEME, "read", "pixels of 0.04 by 0.11 mm", lambda z, ds: None, spacing=(0.04, 0.11))
edited(THEME, "read", "far from the origin", lambda z, ds: None, origin=(2510.25, -1830.5, 4012.125))


def _numbers(order: str) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        numbers = {"reversed": 6 - z, "shuffled": (3, 6, 1, 5, 2, 4)[z], "equal": 1, "huge": 10**30 + z}
        raw_text(ds, "InstanceNumber", str(numbers[order]))

    return edit


for _order in ("reversed", "shuffled", "equal", "huge"):
    edited(THEME, "read", f"instance numbers {_order}", _numbers(_order))


def _text(keyword: str, text: str, where: int | None = None) -> Edit:
    """The same raw text in all slices or in one."""

    def edit(z: int, ds: Dataset) -> None:
        if where in (None, z):
            raw_text(ds, keyword, text)

    return edit


def _drop(keyword: str, where: int | None = None) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        if where in (None, z):
            delattr(ds, keyword)

    return edit


def _exponents(z: int, ds: Dataset) -> None:
    """Numbers as programs print them: exponents, plus signs, blanks, bare points, negative zero."""
    raw_text(ds, "ImagePositionPatient", f"-.3E+02\\ +1.25e1 \\{(-101.0 + STEP * z) / 100:.6f}e+2")
    raw_text(ds, "ImageOrientationPatient", "1.\\-0\\-0.0E-12\\ -0.\\+1.0E0\\0e5")
    raw_text(ds, "PixelSpacing", "8e-1 \\+.7")


edited(THEME, "read", "numbers with exponents and negative zero", _exponents)


def _long_numbers(z: int, ds: Dataset) -> None:
    raw_text(ds, "ImagePositionPatient", f"-30.000000000000000000000\\12.5\\{-101 + STEP * z:.25f}")


edited(THEME, "read", "numbers of more than sixteen characters", _long_numbers)


def _jitter(size: float) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [float(v) + size * (-1) ** z for v in ds.ImagePositionPatient]

    return edit


edited(THEME, "read", "position jitter of 4 micrometres", _jitter(0.004))
edited(THEME, "either", "position jitter of 30 micrometres", _jitter(0.03), "regular|uneven|spacing")


@case(THEME, "read")
def _positions_rounded_to_two_decimals(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        ds.ImagePositionPatient = [f"{float(v):.2f}" for v in ds.ImagePositionPatient]

    hu = np.concatenate([phantom(), phantom() + 7])
    write(slices(hu, edit=edit, step=0.625), folder)
    return truth(hu, step=0.625)


def _orientation_noise(z: int, ds: Dataset) -> None:
    ds.ImageOrientationPatient = [float(v) + 2e-6 * (-1) ** z for v in ds.ImageOrientationPatient]


edited(THEME, "read", "orientation noise of 2e-6", _orientation_noise)


def _misleading(z: int, ds: Dataset) -> None:
    ds.SliceThickness, ds.SpacingBetweenSlices = "5", "4"


edited(THEME, "read", "thickness 5 and spacing 4 where positions step 2.5", _misleading)
edited(THEME, "read", "slice thickness 0", _text("SliceThickness", "0"))
edited(THEME, "read", "spacing between slices negative", _text("SpacingBetweenSlices", "-2.5"))
edited(THEME, "read", "slice location and retired image position contradict", _text("SliceLocation", "9999"))


@case(THEME, "read")
def _one_slice(folder: Path) -> Truth:
    write(slices(phantom(1)), folder)
    return truth(phantom(1))


@case(THEME, "refuse", "thickness", listed=[1])
def _one_slice_of_thickness_0(folder: Path) -> None:
    write(slices(phantom(1), edit=_text("SliceThickness", "0")), folder)


@case(THEME, "read")
def _one_row(folder: Path) -> Truth:
    hu = phantom(6, 1, 36)
    write(slices(hu), folder)
    return truth(hu)


@case(THEME, "read")
def _decreasing_along_the_normal_only_in_file_names(folder: Path) -> Truth:
    for z, ds in enumerate(slices()):
        write([ds], folder / f"a{(z * 5) % 6}")
    return truth()


def _without(*gone: int, count: int = 6) -> list[Dataset]:
    return [ds for z, ds in enumerate(slices(phantom(count))) if z not in gone]


@case(THEME, "refuse", "missing", listed=[5])
def _a_slice_is_missing(folder: Path) -> None:
    write(_without(3), folder)


@case(THEME, "refuse", "missing|uneven", listed=[5])
def _three_slices_in_a_row_are_missing(folder: Path) -> None:
    write(_without(3, 4, 5, count=8), folder)


@case(THEME, "refuse", "missing|uneven", listed=[8])
def _two_blocks_far_apart(folder: Path) -> None:
    write(slices(phantom(4)), folder, prefix="a")
    far = slices(phantom(4) + 9, origin=(-30.0, 12.5, 299.0))
    for ds in far:
        ds.InstanceNumber += 4
    write(far, folder, prefix="b")


def _moved(axis: int, shift: float, where: int = 3) -> Edit:
    def edit(z: int, ds: Dataset) -> None:
        if z == where:
            ds.ImagePositionPatient[axis] += shift

    return edit


edited(THEME, "refuse", "one slice 0.4 mm off", _moved(2, 0.4), "uneven", [6])
edited(THEME, "refuse", "one slice 0.06 mm off", _moved(2, 0.06), "uneven|regular", [6])
edited(
    THEME, "refuse", "the last slice 0.3 mm off", _moved(2, 0.3, 5), "uneven|regular|missing", [6]
)  # ends count too
edited(THEME, "refuse", "one slice 4 mm sideways", _moved(0, 4.0), "displaced", [6])
edited(THEME, "refuse", "one slice 0.04 mm sideways", _moved(1, 0.04), "displaced|regular", [6])


@case(THEME, "refuse", "uneven|missing", listed=[6])
def _thin_slices_go_over_into_thick_ones(folder: Path) -> None:
    def edit(z: int, ds: Dataset) -> None:
        ds.ImagePositionPatient[2] = -101.0 + (0.0, 1.0, 2.0, 3.0, 5.0, 7.0)[z]

    write(slices(edit=edit), folder)


@case(THEME, "refuse", "uneven|missing|regular", listed=[40])
def _spacing_that_drifts(folder: Path) -> None:
    """Each step is within a part in a thousand of the last, the whole is not."""
    steps = np.cumsum([0.0, *(2.5 * (1 + 0.001 * k) for k in range(39))])

    def edit(z: int, ds: Dataset) -> None:
        ds.ImagePositionPatient[2] = round(-101.0 + float(steps[z]), 6)

    write(slices(phantom(40, 4, 4), edit=edit), folder)


TILT = (0.0, STEP * float(np.tan(np.radians(15))), STEP)


@case(THEME, "either", "tilted", listed=[6])
def _tilted_gantry(folder: Path) -> Truth:
    write(slices(step=TILT), folder)
    return truth(step=TILT)


@case(THEME, "read")
def _a_tilt_of_a_quarter_degree_stays_in_the_affine(folder: Path) -> Truth:
    step = (0.0, STEP * float(np.tan(np.radians(0.25))), STEP)
    write(slices(step=step), folder)
    return truth(step=step)


def _flipped(z: int, ds: Dataset) -> None:
    if z == 2:
        raw_text(ds, "ImageOrientationPatient", "-1\\0\\0\\0\\1\\0")


edited(THEME, "refuse", "one slice flipped", _flipped, "orientation", [1, 5])


@case(THEME, "refuse", "orientation|turned", listed=[6])
def _slices_that_turn_step_by_step(folder: Path) -> None:
    """Neighbours agree within a thousandth, the first and the last slice do not."""

    def edit(z: int, ds: Dataset) -> None:
        ds.ImageOrientationPatient = [f"{v:.12g}" for v in turned("z", 0.011 * z)]

    write(slices(edit=edit), folder)


@case(THEME, "refuse", "spacing|size", listed=[6])
def _pixel_spacing_that_grows_step_by_step(folder: Path) -> None:
    def edit(z: int, ds: Dataset) -> None:
        ds.PixelSpacing = [f"{0.8 * (1 + 9e-5 * z / 5):.9f}", "0.7"]

    hu = phantom(6, 400, 36)
    write(slices(hu, edit=edit), folder)


edited(
    THEME,
    "refuse",
    "one slice of other pixel spacing",
    _text("PixelSpacing", "0.8\\0.9", 2),
    "spacing",
    [1, 5],
)

for _name, _keyword, _value in (
    ("position nan", "ImagePositionPatient", "-30\\nan\\5"),
    ("position of two numbers", "ImagePositionPatient", "-30\\1"),
    ("position a thousand kilometres away", "ImagePositionPatient", "-30\\1e9\\5"),
    ("position with a comma", "ImagePositionPatient", "-30\\1,5\\5"),
    ("position in words", "ImagePositionPatient", "Zebrafink\\1\\5"),
    ("orientation not orthonormal", "ImageOrientationPatient", "1\\0\\0\\0.3\\1\\0"),
    ("orientation all zero", "ImageOrientationPatient", "0\\0\\0\\0\\0\\0"),
    ("orientation twice the same direction", "ImageOrientationPatient", "1\\0\\0\\1\\0\\0"),
    ("orientation of length two", "ImageOrientationPatient", "2\\0\\0\\0\\1\\0"),
    ("orientation of nine numbers", "ImageOrientationPatient", "1\\0\\0\\0\\1\\0\\0\\0\\1"),
    ("pixel spacing 0", "PixelSpacing", "0\\0"),
    ("pixel spacing negative", "PixelSpacing", "-0.8\\0.7"),
    ("pixel spacing nan", "PixelSpacing", "nan\\nan"),
    ("pixel spacing with a comma", "PixelSpacing", "0,8\\0,7"),
    ("pixel spacing with an underscore", "PixelSpacing", "0_8\\0.7"),
    ("pixel spacing in metres", "PixelSpacing", "0.0008\\0.0007"),
    ("pixel spacing one number", "PixelSpacing", "0.8"),
    ("pixel spacing infinite", "PixelSpacing", "1e400\\0.7"),
    ("pixel spacing in Arabic digits", "PixelSpacing", "٠.٨\\٠.٧"),
):
    edited(THEME, "refuse", f"{_name} in all", _text(_keyword, _value), _keyword)
    if _name.endswith(("nan", "zero", "away")):
        edited(THEME, "refuse", f"{_name} in one", _text(_keyword, _value, 2), _keyword)
for _keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
    edited(THEME, "refuse", f"no {_keyword}", _drop(_keyword), _keyword)
    edited(THEME, "refuse", f"no {_keyword} in one", _drop(_keyword, 2), _keyword)


def _imager_spacing(z: int, ds: Dataset) -> None:
    """ImagerPixelSpacing is measured at the detector, not in the patient."""
    del ds.PixelSpacing
    ds.ImagerPixelSpacing = ["0.8", "0.7"]


edited(THEME, "refuse", "only the detector's spacing", _imager_spacing, "PixelSpacing")


def _bytes_as_numbers(z: int, ds: Dataset) -> None:
    """Raw bytes must not pass for two numbers."""
    del ds.PixelSpacing
    ds.add_new(0x00280030, "OB", b"\x01\x01")


edited(THEME, "refuse", "pixel spacing as raw bytes", _bytes_as_numbers, "PixelSpacing")


def _acr_nema(z: int, ds: Dataset) -> None:
    """The retired position and orientation are in the scanner's frame of 1985, not in the patient's."""
    place, orientation = ds.ImagePositionPatient, ds.ImageOrientationPatient
    del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.SOPClassUID
    ds.add_new(0x00080001, "UL", 1024)
    ds.add_new(0x00080010, "SH", "ACR-NEMA 2.0")
    ds.add_new(0x00200030, "DS", list(place))
    ds.add_new(0x00200035, "DS", list(orientation))


edited(THEME, "refuse", "retired ACR-NEMA header", _acr_nema, "ImagePositionPatient|no CT")


@case(THEME, "refuse", "same place|duplicate", listed=[12])
def _two_stacks_side_by_side(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    right = slices(origin=(70.0, 12.5, -101.0))
    for ds in right:
        ds.InstanceNumber += 6
    write(right, folder, prefix="b")
