"""Names of the user's files as they may be shown: ``SMITH_JOHN_19700102_0007.dcm`` reads ``…_0007.dcm``.

A file or folder of a scan is often called by the patient's name, number or day of birth. What is shown of such a name is
an allow-list: words of `WORDS`, single letters and short numbers. Names that were chosen for an output are not shown
through here: they are the user's own words.
"""

from __future__ import annotations

import re
from pathlib import PurePath

HIDDEN = "…"
LONGEST = 40
"""Characters of a shown name at most."""
DIGITS = 4
"""Digits in a row that stay."""

_WORDS = """
im img image images slice slices frame frames series study scan scans volume vol stack pair pairs held part patch region box
plane mask map seg label labels projection projections sinogram
ct cbct ldct ndct mr mri pt pet dicom dicomdir localizer scout topogram report chest head brain neuro neck abdomen pelvis
liver lung lungs bone body knee spine thorax heart axial coronal sagittal ax cor sag hfs ffs phantom water catphan
low high full half quarter dose doses noise noisy clean denoised denoise simulated simulation original derived input
output target train training validate validation val test tests demo example sample samples result results out in config
card metadata facts data dataset public patient patients subject case entry folder file files array arrays kernel soft
hard standard smooth sharp recon reconstruction phase contrast arterial venous native thin thick mm hu kv
new old copy other small large padded truncated absent missing empty broken damaged text notes first second last one two
three none nan zero all
lidc idri tcia aapm ts
dcm ima nii gz hdr nrrd nhdr mha mhd raw zraw npy npz zarr json jsonl toml yaml yml html htm png pdf md csv txt docx zip tar
tgz pth onnx safetensors ckpt bin
"""
WORDS = frozenset(_WORDS.split())
"""Words for what a file holds; a person whose name is one of them (Head, Low) is not told from it."""

_YEAR, _MONTH, _DAY, _GAP = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])", r"[-._ ]"
_DATES = re.compile(
    "|".join(
        rf"(?<!\d){pattern}(?!\d)"
        for pattern in (
            r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])",
            r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|[12]\d|3[01])(?:19|20)\d\d",
            r"(?!00)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])",
            r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d",
            rf"{_YEAR}{_GAP}{_MONTH}{_GAP}{_DAY}",
            rf"{_DAY}{_GAP}{_DAY}{_GAP}(?:{_YEAR}|\d\d)",
        )
    ),
    re.ASCII,
)
# A UID, a telephone or an insurance number: groups of digits with one separator between any two.
_GROUPS = re.compile(r"\d+(?:[-._ ]\d+){2,}", re.ASCII)
_PIECES = re.compile(r"[^\W\d_]+|\d+")
_PLAIN = frozenset(" -_.,+()[]#=@~'")


def bare(path: PurePath | str) -> str:
    """What may be shown of the name of an input; tells the files of one folder apart in the usual cases.

    1. Dates become ``…``. Of three and more groups of digits in a row (UIDs, telephone numbers), and of every longer
       number, the last `DIGITS` digits stay, after ``…``. A year alone stays.
    2. A run of letters stays if it is one letter or one of `WORDS`, whatever its case, also where such words are written
       together as in ``LowDose``; every other one becomes ``…``. So does a run that mixes letters and digits more than
       twice, such as ``A12B34C5``.
    3. What is neither an ASCII letter or digit nor one of a few signs counts as a letter.
    4. Of a name beyond `LONGEST` characters the end stays.

    Args:
        path: A path, of which only the last part is looked at, or that part.

    Returns:
        Printable, 1 to 40 characters. A name of `WORDS` and short numbers comes out unchanged.
    """
    name = PurePath(path).name if isinstance(path, PurePath) else path
    text = "".join(map(_sign, name))
    text = _GROUPS.sub(lambda found: _end(found[0]), _DATES.sub(HIDDEN, text))
    shown = re.sub(rf"[^\W_{HIDDEN}]+", lambda found: _word(found[0]), text)
    shown = re.sub(rf"{HIDDEN}(?:[-_. ,]*{HIDDEN})+", HIDDEN, shown).strip() or HIDDEN
    if len(shown) <= LONGEST:
        return shown
    return HIDDEN + re.sub(r"^[A-Za-z0-9]+", "", shown[1 - LONGEST :]).lstrip(HIDDEN)  # no word is cut in two


def is_neutral(name: str) -> bool:
    """Whether a name is shown as it is."""
    return bare(name) == name


def _sign(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in _PLAIN):
        return character
    return character if character == HIDDEN else "\u00df"  # a letter that no word of the list has


def _end(digits: str) -> str:
    """The last digits of the last group, unless the whole is short."""
    return HIDDEN + re.split(r"\D", digits)[-1][-DIGITS:]


def _word(word: str) -> str:
    """One run of letters and digits without what could name somebody."""
    pieces = _PIECES.findall(word)
    if len(pieces) > 3:
        return HIDDEN + (pieces[-1][-DIGITS:] if pieces[-1].isdigit() else "")
    return "".join(map(_piece, pieces))


def _piece(piece: str) -> str:
    if piece.isdigit():
        return piece if len(piece) <= DIGITS else HIDDEN + piece[-DIGITS:]
    return piece if _is_known(piece) else HIDDEN


def _is_known(letters: str) -> bool:
    """One letter, a word of the list, or several of them set apart by capitals."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", letters)
    if len(letters) == 1 or letters.lower() in WORDS:
        return letters.isascii()
    return "".join(parts) == letters and all(len(part) > 1 and part.lower() in WORDS for part in parts)
