"""Real odd files that pydicom's wheel carries, alone and beside a scan.

The truth of uncompressed ones is taken from their bytes by hand, that of compressed ones from their uncompressed twin.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
from dicom_phantom import Truth, grid, slices, truth, write
from dicom_registry import Build, Case, Must, add

THEME = "files of pydicom"
DATA = Path(pydicom.__file__).parent / "data"


def _copy(name: str, folder: Path) -> Path:
    source = next(path for part in ("test_files", "charset_files") if (path := DATA / part / name).exists())
    if source.is_dir():
        shutil.copytree(source, folder / "tree")
    else:
        shutil.copy(source, folder / name)
    return source


def _tail(name: str, dtype: str, rows: int, columns: int, behind: int = 0) -> np.ndarray:
    """The last pixels of an uncompressed file, with this many bytes behind them."""
    size = rows * columns * np.dtype(dtype).itemsize
    data = (DATA / "test_files" / name).read_bytes()
    return np.frombuffer(data[len(data) - behind - size : len(data) - behind], dtype).reshape(
        1, rows, columns
    )


def _ct_small() -> Truth:
    values = _tail("CT_small.dcm", "<i2", 128, 128, behind=138)
    place = grid(step=5.0, spacing=(0.661468, 0.661468), origin=(-158.135803, -179.035797, -75.699997))
    return Truth(values.astype(float) - 1024, place)


def _alone(name: str, made: Truth | None) -> Build:
    def build(folder: Path) -> Truth | None:
        _copy(name, folder)
        return made

    return build


def _beside(name: str) -> Build:
    def build(folder: Path) -> Truth:
        write(slices(), folder)
        _copy(name, folder)
        return truth()

    return build


MR_PLACE = grid(step=0.8, spacing=(0.3125, 0.3125), origin=(-83.9063, -91.2, 6.6406))
for _name in (
    "MR_small",
    "MR_small_RLE",
    "MR_small_bigendian",
    "MR_small_expb",
    "MR_small_implicit",
    "MR_small_jp2klossless",
    "MR_small_jpeg_ls_lossless",
):
    _mr = Truth(_tail("MR_small.dcm", "<i2", 64, 64, behind=138).astype(float), MR_PLACE)
    add(Case(f"{_name} alone", THEME, "read", _alone(f"{_name}.dcm", _mr), listed=(1,)))
add(Case("MR_small_padded alone", THEME, "either", _alone("MR_small_padded.dcm", _mr), "header says", (1,)))


def _turned() -> Truth:
    """A real CT under a tilted gantry whose coder knew no sign; Pillow takes the stream as it is."""
    from io import BytesIO

    from PIL import Image
    from pydicom.encaps import get_frame

    ds = pydicom.dcmread(DATA / "test_files" / "J2K_pixelrep_mismatch.dcm")
    stream = bytes(get_frame(ds.PixelData, 0, number_of_frames=1))
    pattern = np.array(Image.open(BytesIO(stream)), dtype=np.int64)[None] >> 3  # it scales 13 bits to 16
    orientation = (1.0, 0.0, 0.0, 0.0, 0.9272, -0.3746)
    place = grid(orientation, 5.0, (0.431, 0.431), (-110.2153, -98.1898, 72.1446))
    return Truth(np.where(pattern >= 4096, pattern - 8192, pattern).astype(float), place)


add(
    Case(
        "J2K_pixelrep_mismatch alone",
        THEME,
        "read",
        _alone("J2K_pixelrep_mismatch.dcm", _turned()),
        listed=(1,),
    )
)
add(Case("CT_small", THEME, "read", _alone("CT_small.dcm", _ct_small()), listed=(1,)))

ALONE: tuple[tuple[str, Must, str], ...] = (
    ("rtplan.dcm", "refuse", "no CT slice"),
    ("rtstruct.dcm", "refuse", "no CT slice"),
    ("rtdose_rle.dcm", "refuse", "no CT slice"),
    ("badVR.dcm", "refuse", "no CT slice"),
    ("UN_sequence.dcm", "refuse", "no CT slice|cut off"),
    ("no_meta.dcm", "refuse", "no CT slice"),
    ("meta_missing_tsyntax.dcm", "refuse", "no CT slice"),
    ("ExplVR_BigEndNoMeta.dcm", "refuse", "no CT slice"),
    ("MR_truncated.dcm", "refuse", "truncated|pixels"),
    ("zipMR.gz", "refuse", "no CT slice"),
    ("JPEG2000-embedded-sequence-delimiter.dcm", "refuse", "no CT slice"),
)
for _name, _must, _cause in ALONE:
    add(Case(f"{_name} alone", THEME, _must, _alone(_name, None), _cause))
for _name in (
    "rtdose.dcm",
    "rtdose_expb.dcm",
    "rtplan_truncated.dcm",
    "liver_1frame.dcm",
    "reportsi_with_empty_number_tags.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
    "nested_priv_SQ.dcm",
    "empty_charset_LEI.dcm",
    "no_meta_group_length.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "JPGExtended.dcm",
    "image_dfl.dcm",
    "examples_palette.dcm",
    "chrH32.dcm",
    "chrX2.dcm",
    "chrKoreanMulti.dcm",
    "chrSQEncoding1.dcm",
    "dicomdirtests",
):
    _must = "refuse" if _name == "dicomdirtests" else "read"  # that tree holds CT series of its own
    add(Case(f"{_name} beside a scan", THEME, _must, _beside(_name), "series" if _must == "refuse" else ""))  # type: ignore[arg-type]
