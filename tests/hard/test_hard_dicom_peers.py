"""Differential test: what this package reads equals what highdicom and dcm2niix read, wherever those are right.

Where one of them is wrong or declines stands in a table with the reason; the test fails if the table is out of date.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dicom_cases import CASES
from dicom_judge import difference, ours
from dicom_peers import by_dcm2niix, by_highdicom, dcm2niix_is_there
from dicom_phantom import Truth
from dicom_registry import Case

from ctinv.errors import SeriesError

MR_SMALL = tuple(name for name in CASES if name.startswith("MR_small") and "padded" not in name)
NO_PART_10 = "reads only files with preamble and meta header"
ONE_SERIES = "takes all files for one series, so another one stops it"
ALL_IMAGES = "converts every image of the folder and does not choose the scan"
BESIDE = " beside the scan"

HIGHDICOM: dict[str, tuple[str, ...]] = {
    NO_PART_10: ("no preamble", "no preamble and no meta header"),
    "drops the file without preamble in silence": (
        "no preamble and no meta header in one",
        "big endian without meta header in one",
    ),
    "decodes nothing without a transfer syntax": ("no transfer syntax in the meta header",),
    "knows a CT image by the class in its data set only": ("the class is missing in the data set",),
    ONE_SERIES: (
        "two series one chosen by number",
        "a colour screen save" + BESIDE,
        "a dose page without a place" + BESIDE,
        "an MR image" + BESIDE,
    ),
    "cannot choose by a file": ("two series one chosen by a file",),
    "does not tell phases apart by time": ("one of two phases chosen by number",),
    "takes copies for slices": ("the same series in two folders", "one file twice"),
    "takes rescale values at the top level for those of the frames": (
        "contradictions outside the functional groups",
    ),
    "does not leave out localizer frames": ("a localizer frame among frames",),
    "does not join concatenations": ("a concatenation of two files",),
    "compares orientations digit by digit": ("orientation noise of 2e-6",),
    "takes 1 mm for the extent of one slice": ("one slice", "J2K_pixelrep_mismatch alone", *MR_SMALL),
    "drops a small shear": ("a tilt of a quarter degree stays in the affine",),
}
DCM2NIIX: dict[str, tuple[str, ...]] = {
    "does not decode it": ("deflated", "JPEG extended 12 bits"),
    "splits a series by transfer syntax": ("every slice in another transfer syntax",),
    "does not join fragments of RLE": ("one frame in many fragments",),
    "leaves shuffled frames in the order of the file": ("frames shuffled with rescale per frame",),
    "takes elements that were not assigned for those of the frame": (
        "legacy converted with a canary in what was not assigned",
    ),
    "takes elements outside the functional groups for those of the frame": (
        "contradictions outside the functional groups",
        "private group in front of the true one",
        "referenced image with geometry of its own",
    ),
    "takes private elements for public ones": ("private sequences that repeat public elements",),
    "makes volumes of localizer frames": ("a localizer frame among frames",),
    "does not join concatenations": ("a concatenation of two files",),
    NO_PART_10: ("no preamble",),
    "ends with a segmentation fault": ("labelled implicit, written explicit",),
    "drops the file it cannot parse in silence": (
        "labelled implicit, written explicit in one",
        "big endian without meta header in one",
    ),
    "does not read numbers with a plus sign or a bare point": ("numbers with exponents and negative zero",),
    "takes the step between the first two slices for all": (
        "position jitter of 4 micrometres",
        "positions rounded to two decimals",
    ),
    "makes no image of one row": ("one row",),
    "drops a small shear": ("a tilt of a quarter degree stays in the affine",),
    "takes the couch for the normal of one tilted slice": ("J2K_pixelrep_mismatch alone",),
    "keeps slope and intercept in single precision": (
        "fractional slope and intercept",
        "slope of many digits near cancellation",
    ),
    "cannot choose": (
        "two series one chosen by number",
        "two series one chosen by a file",
    ),
    "keeps of what it takes for duplicates those that the folder lists first": (
        "one of two phases chosen by number",
        "the same series in two folders",
        "one file twice",
        "links that form loops",
        "a localizer in the series" + BESIDE,
        "a secondary capture that calls itself CT" + BESIDE,
    ),
    ALL_IMAGES: (
        *(
            name + BESIDE
            for name in (
                "a localizer of another size in the series",
                "a localizer in a series of its own",
                "a colour screen save",
                "a dose page without a place",
                "a structured report",
                "a segmentation",
                "structures",
                "a dose grid",
                "a presentation state",
                "a photograph",
                "an MR image",
                "a storage class of the future",
                "raw data of the vendor",
            )
        ),
        *(
            f"{name}.dcm beside a scan"
            for name in (
                "rtdose",
                "rtdose_expb",
                "liver_1frame",
                "SC_rgb_jls_lossy_line",
                "SC_rgb_small_odd_big_endian",
                "examples_palette",
                "chrH32",
                "chrX2",
            )
        ),
    ),
}
PEERS = {"highdicom": (by_highdicom, HIGHDICOM), "dcm2niix": (by_dcm2niix, DCM2NIIX)}


def _built(root: Path) -> Iterator[tuple[Case, Path, Truth]]:
    """Every case that has a truth and may be read."""
    for k, case in enumerate(CASES.values()):
        if case.must == "refuse":
            continue
        folder = root / f"case{k}"
        folder.mkdir()
        if (truth := case.build(folder)) is not None:
            yield case, folder / case.target, truth


@pytest.fixture
def _no_logs() -> Iterator[None]:
    """The peers log thousands of warnings about these files."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_logs")
@pytest.mark.parametrize("name", PEERS)
def test_volumes_equal_those_of_a_peer_wherever_it_is_right(tmp_path: Path, name: str) -> None:
    if name == "dcm2niix" and not dcm2niix_is_there():
        pytest.skip("dcm2niix is not installed")
    read, table = PEERS[name]
    known = {case for cases in table.values() for case in cases}
    compared, astray, differ = 0, set(), {}
    for case, path, truth in _built(tmp_path):
        try:
            hu, affine, _ = ours(path, **case.options)
        except SeriesError:
            continue  # the judged run says whether it may be refused
        try:
            theirs_hu, theirs_affine, _ = read(path)
            fault = difference(theirs_hu, theirs_affine, truth)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            astray.add(case.name)
            continue
        compared += 1
        theirs = Truth(theirs_hu, theirs_affine, 2 * truth.slack)
        if fault := difference(hu, affine, theirs):
            differ[case.name] = fault
    print(f"{name}: equal in {compared - len(differ)} of {compared} cases, astray in {len(astray)}")
    assert not differ
    assert astray == known, f"only now: {sorted(astray - known)}; no longer: {sorted(known - astray)}"
    assert compared >= 110


def test_every_reason_names_cases_that_exist() -> None:
    for _, table in PEERS.values():
        named = [case for cases in table.values() for case in cases]
        assert len(named) == len(set(named))
        assert set(named) <= set(CASES)
