"""Several scans in one folder or under one series UID: listed to choose from, never merged, never picked in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from dicom_cases_enhanced import enhanced, item
from dicom_phantom import CANARY, STEP, Edit, Truth, phantom, raw_text, slices, store, truth, write
from dicom_registry import Build, Case, add, case
from pydicom import Dataset
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

THEME = "several scans"
HALF = (-30.0, 12.5, -101.0 + STEP / 2)


def _set(keyword: str, text: str) -> Edit:
    return lambda z, ds: raw_text(ds, keyword, text)


def _time(keyword: str, start: int) -> Edit:
    """Times that run on from slice to slice, as reconstructors write them."""
    return lambda z, ds: raw_text(ds, keyword, f"{start + z}.25")


# Where only a clock tells two scans apart there is no trait to name.
CLOCKS = {"trigger time": "time", "content time only": "time", "acquisition time only": "time"}
NAMES = {
    "kernel": "reconstruction kernel",
    "temporal position": "time point",
    "temporal index": "time point",
    "last value of image type": "image type",
    "echo": "echo time",
    "date of birth": "patient",
}
SPLITS: dict[str, tuple[Edit, Edit]] = {
    "kernel": (_set("ConvolutionKernel", "B30f"), _set("ConvolutionKernel", "B70f")),
    "acquisition number": (_set("AcquisitionNumber", "1"), _set("AcquisitionNumber", "2")),
    "temporal position": (_set("TemporalPositionIdentifier", "1"), _set("TemporalPositionIdentifier", "2")),
    "temporal index": (_set("TemporalPositionIndex", "1"), _set("TemporalPositionIndex", "2")),
    "cardiac phase": (
        _set("NominalPercentageOfCardiacPhase", "40"),
        _set("NominalPercentageOfCardiacPhase", "75"),
    ),
    "trigger time": (_set("TriggerTime", "300"), _set("TriggerTime", "610")),
    "content time only": (_time("ContentTime", 120010), _time("ContentTime", 120120)),
    "acquisition time only": (_time("AcquisitionTime", 120010), _time("AcquisitionTime", 120120)),
    "image type": (
        _set("ImageType", "ORIGINAL\\PRIMARY\\AXIAL"),
        _set("ImageType", "DERIVED\\PRIMARY\\AXIAL"),
    ),
    "last value of image type": (
        _set("ImageType", "DERIVED\\PRIMARY\\AXIAL\\DUAL\\MONO 40"),
        _set("ImageType", "DERIVED\\PRIMARY\\AXIAL\\DUAL\\MONO 190"),
    ),
    "tube voltage": (_set("KVP", "80"), _set("KVP", "140")),
    "echo": (_set("EchoTime", "2.3"), _set("EchoTime", "4.6")),
    "slice thickness": (_set("SliceThickness", "5"), _set("SliceThickness", "0.6")),
    "series number": (_set("SeriesNumber", "3"), _set("SeriesNumber", "4")),
    "contrast agent": (_set("ContrastBolusAgent", ""), _set("ContrastBolusAgent", "ULTRAVIST 370")),
    "filter": (_set("FilterType", "HEAD"), _set("FilterType", "BODY")),
    "patient": (_set("PatientID", f"{CANARY}-7"), _set("PatientID", f"{CANARY}-8")),
    "date of birth": (_set("PatientBirthDate", "19700101"), _set("PatientBirthDate", "19800101")),
    "series description": (_set("SeriesDescription", "arterial"), _set("SeriesDescription", "venous")),
    "patient position": (_set("PatientPosition", "HFS"), _set("PatientPosition", "FFS")),
    "study": (_set("StudyInstanceUID", "1.2.3"), _set("StudyInstanceUID", "1.2.99")),
    "frame of reference": (_set("FrameOfReferenceUID", "1.2.9"), _set("FrameOfReferenceUID", "1.2.90")),
}


def _same_places(first: Edit, second: Edit) -> Build:
    """Two scans under one series UID at the same places."""

    def build(folder: Path) -> None:
        write(slices(edit=first), folder, prefix="a")
        again = slices(phantom() + 9, edit=second)
        for ds in again:
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.7"
        write(again, folder, prefix="b")

    return build


def _between(first: Edit, second: Edit) -> Build:
    """The second scan lies half a step higher: whoever sorts by z sees one perfect stack of half the spacing."""

    def build(folder: Path) -> None:
        write(slices(edit=first), folder, prefix="a")
        again = slices(phantom() + 9, edit=second, origin=HALF)
        for ds in again:
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.7"
            ds.InstanceNumber += 6
        write(again, folder, prefix="b")

    return build


def _last_two(first: Edit, second: Edit) -> Build:
    """The two topmost slices are of the other scan."""

    def build(folder: Path) -> None:
        write(slices(edit=lambda z, ds: (second if z > 3 else first)(z, ds)), folder)

    return build


for _name, (_first, _second) in SPLITS.items():
    add(
        Case(
            f"two scans of one UID by {_name}",
            THEME,
            "refuse",
            _same_places(_first, _second),
            f"differ in {CLOCKS.get(_name) or NAMES.get(_name, _name)}",
            (6, 6),
        )
    )
for _name in ("kernel", "cardiac phase", "content time only", "slice thickness", "last value of image type"):
    add(
        Case(
            f"two scans of one UID half a step apart by {_name}",
            THEME,
            "refuse",
            _between(*SPLITS[_name]),
            "run 2 times" if _name in CLOCKS else f"differ in {NAMES.get(_name, _name)}",
        )
    )
for _name in ("patient", "study", "frame of reference", "kernel"):
    add(
        Case(
            f"last slices of another {_name}",
            THEME,
            "refuse",
            _last_two(*SPLITS[_name]),
            f"differ in {NAMES.get(_name, _name)}",
            (2, 4),
        )
    )


@case(THEME, "refuse", "run 2 times")
def _two_scans_half_a_step_apart_told_only_by_their_numbers(folder: Path) -> None:
    _between(lambda z, ds: None, lambda z, ds: None)(folder)


@case(THEME, "refuse", "day apart", listed=[6])
def _the_last_slice_of_a_scan_a_year_before(folder: Path) -> None:
    write(slices(edit=lambda z, ds: raw_text(ds, "AcquisitionDate", f"{2020 - z // 5}0101")), folder)


@case(THEME, "refuse", "run 2 times")
def _two_scans_half_a_step_apart_numbered_against_each_other(folder: Path) -> None:
    first = slices()
    for ds in first:
        ds.InstanceNumber = 13 - ds.InstanceNumber
    write(first, folder, prefix="a")
    write(slices(phantom() + 9, origin=HALF), folder, prefix="b")


@case(THEME, "refuse", "run 2 times")
def _two_scans_half_a_step_apart_of_the_same_numbers(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    write(slices(phantom() + 9, origin=HALF), folder, prefix="b")


@case(THEME, "refuse", "run 2 times")
def _two_scans_end_to_end_of_the_same_numbers(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    write(slices(phantom() + 9, origin=(-30.0, 12.5, -101.0 + 6 * STEP)), folder, prefix="b")


@case(THEME, "read", listed=[6])
def _a_name_written_by_two_programs(folder: Path) -> Truth:
    write(slices(edit=lambda z, ds: raw_text(ds, "PatientName", ("A^B", "a^B^^^")[z % 2])), folder)
    return truth()


@case(THEME, "refuse", "duplicate|same place")
def _two_enhanced_files_of_one_UID(folder: Path) -> None:
    write([enhanced()], folder, prefix="a")
    other = enhanced(phantom() + 9)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.99"
    write([other], folder, prefix="b")


@case(THEME, "refuse", "duplicate")
def _two_scans_at_the_same_places_told_by_nothing(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    write(slices(phantom() + 9), folder, prefix="b")


@case(THEME, "refuse", "differ in time", listed=[6, 6, 6, 6])
def _four_time_points(folder: Path) -> None:
    for t in range(4):
        made = slices(phantom() + t, edit=_time("AcquisitionTime", 120100 + 15 * t))
        write(made, folder, prefix=f"t{t}")


def _of_uid(uid: str, edit: Edit | None = None, shift: float = 9.0, count: int = 6) -> list[Dataset]:
    return slices(phantom(count) + shift, uid=uid, edit=edit)


@case(THEME, "refuse", "2 CT series.*#1: 6 slices.*#2: 6 slices", listed=[6, 6])
def _two_series(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    write(_of_uid("1.2.3.8"), folder, prefix="b")


@case(THEME, "read", listed=[4, 6], uid="#1")
def _two_series_one_chosen_by_number(folder: Path) -> Truth:
    write(slices(), folder, prefix="a")
    write(_of_uid("1.2.3.8", count=4), folder, prefix="b")
    return truth()


@case(THEME, "read", listed=[4, 6], target="b001.dcm")
def _two_series_one_chosen_by_a_file(folder: Path) -> Truth:
    write(slices(phantom(4) + 50), folder, prefix="a")
    write(slices(uid="1.2.3.8"), folder, prefix="b")
    return truth()


@case(THEME, "read", listed=[6, 6], uid="#2")
def _one_of_two_phases_chosen_by_number(folder: Path) -> Truth:
    write(slices(phantom() + 9, edit=_time("ContentTime", 120010)), folder, prefix="a")
    write(slices(edit=_time("ContentTime", 120120)), folder, prefix="b")
    return truth()


@case(THEME, "refuse", "does not hold", listed=[6, 6], uid="#3")
def _a_series_that_is_not_there(folder: Path) -> None:
    write(slices(), folder, prefix="a")
    write(_of_uid("1.2.3.8"), folder, prefix="b")


@case(THEME, "refuse", "does not hold", listed=[6], uid=f"{CANARY}^Ada")
def _a_series_asked_for_by_a_name(folder: Path) -> None:
    write(slices(), folder)


@case(THEME, "refuse", "40 CT series", listed=[2] * 40)
def _forty_series(folder: Path) -> None:
    for k in range(40):
        write(_of_uid(f"1.2.3.{100 + k}", count=2), folder, prefix=f"n{k:02d}")


@case(THEME, "refuse", "2 CT series", listed=[5, 6])
def _series_in_folders_named_after_patients(folder: Path) -> None:
    write(slices(), folder / f"{CANARY}_Ada")
    write(_of_uid("1.2.3.8", count=5), folder / f"{CANARY}_Eva")


@case(THEME, "read", listed=[6])
def _the_same_series_in_two_folders(folder: Path) -> Truth:
    write(slices(), folder / "one")
    shutil.copytree(folder / "one", folder / "two")
    return truth()


@case(THEME, "read", listed=[6])
def _one_file_twice(folder: Path) -> Truth:
    write(slices(), folder)
    shutil.copy(folder / "s003.dcm", folder / "copy.dcm")
    return truth()


@case(THEME, "either", "duplicate", listed=[7])
def _a_slice_sent_again_under_a_new_UID(folder: Path) -> Truth:
    write(slices(), folder)
    again = slices()[2]
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.77"
    write([again], folder, prefix="again")
    return truth()


@case(THEME, "refuse", "duplicate", listed=[7])
def _a_slice_sent_again_with_other_pixels(folder: Path) -> None:
    write(slices(), folder)
    again = slices(phantom() + 1)[2]
    write([again], folder, prefix="again")


@case(THEME, "either", "UID|duplicate", listed=[6])
def _all_slices_of_one_instance_UID(folder: Path) -> Truth:
    write(slices(edit=_set("SOPInstanceUID", "1.2.3.4.1")), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _no_series_UID(folder: Path) -> Truth:
    write(slices(edit=_set("SeriesInstanceUID", "")), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _times_that_run_on_within_one_scan(folder: Path) -> Truth:
    """A helical scan: every slice has its own time, trigger and content time."""

    def edit(z: int, ds: Dataset) -> None:
        for keyword in ("AcquisitionTime", "ContentTime"):
            raw_text(ds, keyword, f"1201{10 + z}.5")
        raw_text(ds, "TriggerTime", str(37 * z))
        ds.Exposure, ds.XRayTubeCurrent = 80 + z, 200 + 3 * z

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _content_times_in_no_order(folder: Path) -> Truth:
    """Parallel reconstruction finishes slices in any order."""
    write(slices(edit=lambda z, ds: raw_text(ds, "ContentTime", f"1200{(7, 3, 9, 1, 8, 2)[z]:02d}")), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _times_that_are_no_times(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        for keyword in ("SeriesTime", "AcquisitionTime", "ContentTime", "AcquisitionDate", "SeriesDate"):
            raw_text(ds, keyword, f"{CANARY} noon")

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _a_scan_over_midnight(folder: Path) -> Truth:
    def edit(z: int, ds: Dataset) -> None:
        ds.AcquisitionDate, ds.AcquisitionTime = (
            ("20200101", f"23595{z + 5}") if z < 4 else ("20200102", f"00000{z - 4}")
        )

    write(slices(edit=edit), folder)
    return truth()


@case(THEME, "read", listed=[6])
def _the_class_is_missing_in_the_data_set(folder: Path) -> Truth:
    """The meta header and the modality still say what the files are."""
    write(slices(), folder)
    for path in folder.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x08\x00\x16\x00UI")
        path.write_bytes(data[:at] + data[at + 8 + int.from_bytes(data[at + 6 : at + 8], "little") :])
    return truth()


@case(THEME, "refuse", "of another class")
def _one_slice_of_class_MR_in_its_data_set_only(folder: Path) -> None:
    write(slices(), folder)
    path = folder / "s001.dcm"
    head, _, tail = path.read_bytes().rpartition(b"1.2.840.10008.5.1.4.1.1.2\0")
    path.write_bytes(head + b"1.2.840.10008.5.1.4.1.1.4\0" + tail)


def _skipped(change: Callable[[Dataset], None], name: str, *, other_series: bool = True) -> None:
    """A whole series with one more image that is no slice of it."""

    def build(folder: Path) -> Truth:
        write(slices(), folder)
        extra = slices(uid="1.2.3.60" if other_series else "1.2.3.4")[3]
        change(extra)
        write([extra], folder, prefix="x")
        return truth()

    add(Case(name, THEME, "read", build, listed=(6,)))


def _localizer(ds: Dataset) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def _large_localizer(ds: Dataset) -> None:
    _localizer(ds)
    store(ds, phantom(1, 60, 20)[0] + 1024)
    raw_text(ds, "ImageOrientationPatient", "1\\0\\0\\0\\0\\-1")


def _of_class(uid: str, modality: str = "") -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uid
        ds.Modality = modality or ds.Modality

    return change


def _screen_save(ds: Dataset) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.PixelData = ds.PixelData * 3


def _dose_page(ds: Dataset) -> None:
    """GE stores its dose report as a CT image without a place in a series of its own."""
    ds.ImageType = ["DERIVED", "SECONDARY", "PROT"]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"):
        delattr(ds, keyword)


for _name, _change, _other in (
    ("a localizer in the series", _localizer, False),
    ("a localizer of another size in the series", _large_localizer, False),
    ("a localizer in a series of its own", _localizer, True),
    ("a secondary capture that calls itself CT", _of_class(SecondaryCaptureImageStorage), False),
    ("a colour screen save", _screen_save, True),
    ("a dose page without a place", _dose_page, True),
    ("a structured report", _of_class("1.2.840.10008.5.1.4.1.1.88.67", "SR"), True),
    ("a segmentation", _of_class("1.2.840.10008.5.1.4.1.1.66.4", "SEG"), True),
    ("structures", _of_class("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT"), True),
    ("a dose grid", _of_class("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"), True),
    ("a presentation state", _of_class("1.2.840.10008.5.1.4.1.1.11.1", "PR"), True),
    ("a photograph", _of_class("1.2.840.10008.5.1.4.1.1.77.1.4", "XC"), True),
    ("an MR image", _of_class(MRImageStorage, "MR"), True),
    ("a storage class of the future", _of_class("1.2.840.10008.5.1.4.1.1.999", "CT"), True),
    ("raw data of the vendor", _of_class("1.3.12.2.1107.5.9.1", "CT"), True),
):
    _skipped(_change, f"{_name} beside the scan", other_series=_other)


@case(THEME, "refuse", "no CT slice.*6 localizers", listed=[])
def _localizers_only(folder: Path) -> None:
    write(slices(edit=lambda z, ds: _localizer(ds)), folder)


@case(THEME, "refuse", "no CT slice|ImagePositionPatient")
def _a_dose_page_only(folder: Path) -> None:
    write(slices(edit=lambda z, ds: _dose_page(ds)), folder)


@case(THEME, "refuse", "position|place|ImagePositionPatient|series")
def _the_last_slice_has_lost_its_place(folder: Path) -> None:
    """Left out in silence, the rest would be a shorter, regular series."""
    write(slices(edit=lambda z, ds: _dose_page(ds) if z == 5 else None), folder)


@case(THEME, "refuse", "no CT image")
def _one_slice_that_calls_itself_MR(folder: Path) -> None:
    made = slices()
    made[5].SOPClassUID = MRImageStorage
    write(made, folder)


@case(THEME, "refuse", "differ in|matrix|series|colour")
def _a_colour_save_of_the_same_series(folder: Path) -> None:
    """It has a place and the series' UID; only its colours tell."""
    made = slices()
    extra = slices()[3]
    extra.ImagePositionPatient = ["-30", "12.5", "-86"]
    _screen_save(extra)
    extra.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    write([*made, extra], folder)


@case(THEME, "either", "acquisition number|series")
def _one_acquisition_number_per_slice(folder: Path) -> Truth:
    """Step-and-shoot scanners count every rotation."""
    write(slices(edit=lambda z, ds: raw_text(ds, "AcquisitionNumber", str(z + 1))), folder)
    return truth()


def _private_copy(z: int, ds: Dataset) -> None:
    ds.add_new(0x00190010, "LO", "ACME")
    ds.add_new(
        0x00191001, "SQ", item(SeriesInstanceUID="9.9", Rows=3, PixelSpacing=["7", "7"], RescaleSlope="8")
    )


@case(THEME, "read", listed=[6])
def _private_sequences_that_repeat_public_elements(folder: Path) -> Truth:
    write(slices(edit=_private_copy), folder)
    return truth()
