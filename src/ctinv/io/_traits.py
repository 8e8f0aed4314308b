"""What all slices of one volume share, and when each was taken.

Kinds of identity are kept as hashes only, to compare; moments only to be subtracted from one another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from ctinv.io._fields import Fields
from ctinv.io.identity import digest

Traits = tuple[tuple[str, Any], ...]
Moment = tuple[int | None, float]
"""Day of the calendar, None if it is not stated, and seconds of that day."""

# In the order in which they tell scans apart for a reader: when the patient was scanned, then when it was computed.
CLOCKS = ("Acquisition", "Series", "Content")
_DATE = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_TIME = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(\.\d{1,6})?)?)?")
_PATIENT = ("PatientID", "PatientBirthDate", "PatientSex")  # and the name, in any spelling
_HASHED = {
    "study": ("StudyInstanceUID",),
    "frame of reference": ("FrameOfReferenceUID",),
    "series description": ("SeriesDescription",),
    "patient position": ("PatientPosition",),
    "scanner": ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "StationName"),
    "reconstruction kernel": ("ConvolutionKernel",),
    "filter": ("FilterType",),
    "contrast agent": ("ContrastBolusAgent",),
    "corrections": ("CorrectedImage",),
    "acquisition number": ("FrameAcquisitionNumber", "AcquisitionNumber"),
    "stack": ("StackID",),
}
_UID = re.compile(r"\d+(\.\d+)*", re.ASCII)
_LONGEST_UID = 64
_NUMBERS = {
    "series number": ("SeriesNumber",),
    "time point": ("TemporalPositionIdentifier", "TemporalPositionIndex", "TemporalPositionTimeOffset"),
    "cardiac phase": ("NominalPercentageOfCardiacPhase",),
    "tube voltage": ("KVP",),
    "field of view": ("ReconstructionDiameter",),
    "slice thickness": ("SliceThickness",),
    "echo time": ("EchoTime", "EffectiveEchoTime"),
    "echo number": ("EchoNumbers",),
    "inversion time": ("InversionTime", "InversionTimes"),
    "flip angle": ("FlipAngle",),
    "diffusion weighting": ("DiffusionBValue",),
}


def traits_of(fields: Fields, rows: int, columns: int) -> Traits:
    """Named values that every slice of one volume shares; two slices that differ in one are of two scans."""
    image_type = fields.words("FrameType") or fields.words("ImageType")
    return (
        (
            "patient",
            _digest([_name(fields.text("PatientName")), *(fields.text(k) for k in _PATIENT)]),
        ),
        *((name, _digest([fields.text(k) for k in words])) for name, words in _HASHED.items()),
        ("series UID", "" if uid_of(fields) else _digest([fields.text("SeriesInstanceUID")])),
        ("image matrix", (rows, columns)),
        ("image type", _digest([word.strip().upper() for word in image_type])),
        *((name, tuple(_rounded(fields, k) for k in words)) for name, words in _NUMBERS.items()),
    )


def uid_of(fields: Fields) -> str:
    """SeriesInstanceUID, "" where it is none: another text could be a name, and its hash guessed."""
    text = fields.text("SeriesInstanceUID")
    return text if _UID.fullmatch(text) and len(text) <= _LONGEST_UID else ""


def _rounded(fields: Fields, keyword: str) -> tuple[float, ...] | None:
    """Numbers to four digits, so that the same fact written by two programs stays one."""
    numbers = fields.numbers(keyword)
    return numbers and tuple(float(f"{number:.4g}") for number in numbers)


def _name(text: str) -> str:
    """A name without the separators and capitals in which programs differ."""
    return " ".join(re.split(r"[\^=\s]+", text)).strip().casefold()


def _digest(words: Sequence[str]) -> str:
    return digest(*words)[:16]


def moments_of(fields: Fields) -> tuple[Moment | None, ...]:
    """When a slice was taken by each of the clocks, None where it does not say."""
    whole = fields.text("FrameAcquisitionDateTime") or fields.text("AcquisitionDateTime")
    first = _moment(whole[:8], whole[8:].split("+")[0].split("-")[0])
    stated = [_moment(fields.text(f"{clock}Date"), fields.text(f"{clock}Time")) for clock in CLOCKS]
    return (first or stated[0], *stated[1:])


def trigger_of(fields: Fields) -> Moment | None:
    """Delay after the trigger of a gated scan, as a moment without a day."""
    numbers = fields.numbers("TriggerTime")
    return (None, numbers[0] / 1000) if numbers and len(numbers) == 1 else None


def _moment(day: str, time: str) -> Moment | None:
    clock = _TIME.fullmatch(time)
    if clock is None:
        return None
    hours, minutes, seconds, fraction = (float(part or 0) for part in clock.groups())
    calendar = _DATE.fullmatch(day)
    try:
        number = date(*(int(part) for part in calendar.groups())).toordinal() if calendar else None
    except ValueError:
        number = None
    return number, 3600 * hours + 60 * minutes + seconds + fraction


def seconds_between(moments: Sequence[Moment | None]) -> list[float] | None:
    """Seconds since the first of these moments; None if one is not known. Days count only where all are stated."""
    known = [moment for moment in moments if moment is not None]
    if not known or len(known) < len(moments):
        return None
    dated = all(day is not None for day, _ in known)
    seconds = [time + (86400.0 * day if dated and day is not None else 0.0) for day, time in known]
    return [value - seconds[0] for value in seconds]
