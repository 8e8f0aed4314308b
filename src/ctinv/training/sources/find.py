"""A data folder to its sources, in one of four layouts.

``ldct-and-projection``
    The collection as it is downloaded: ``C121/<date>/1.000000-Low Dose Images-00959`` beside ``…Full Dose Images-92811``.
``paired-folders``
    A folder ``low``, ``low_dose`` or ``quarter_dose`` beside a folder ``full`` or ``full_dose``, with scans of equal names.
``paired-files``
    ``NAME_low.nii.gz`` beside ``NAME_full.nii.gz``, or any other format of whole files; arrays are mapped where they lie.
``full-dose``
    One scan per sub-folder or file; the low dose is simulated. Nothing marks such a folder, so this must be said.

References:
    C. McCollough et al., Low Dose CT Image and Projection Data, The Cancer Imaging Archive, 2020.
    https://doi.org/10.7937/9NPB-2637
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ctinv.errors import InputError
from ctinv.names import bare, is_neutral
from ctinv.training.sources.scans import Entry, Facts, facts_of, identity_of, scans_in, stem_of, visible

_logger = logging.getLogger(__name__)

LOW_NAMES, FULL_NAMES = ("low", "low_dose", "quarter_dose"), ("full", "full_dose")
_DOSE_IMAGES = re.compile(r"(?:[\d.]+-)?(low|full) dose images(?:-\d+)?", re.IGNORECASE)
PUBLIC_ID = re.compile(r"[CLN]\d{3}")
_DEPTH = 5


def key_of(name: str) -> str:
    """The hash of a neutral name, whose number changes when scans are added or removed; any other name as it is."""
    neutral = re.fullmatch(r"patient\d+-([0-9a-f]{8})", name)
    return neutral[1] if neutral else name


@dataclass(frozen=True)
class PairSource:
    """One scan at two doses, not yet read.

    Attributes:
        name: Neutral name.
        patient: What the split goes by; a neutral name too.
        layout: Layout it was found in, a key of `LAYOUTS`.
        full: What to read for the full dose.
        low: The same for the low dose, None if it is to be simulated.
        facts: What is known beside the scan.
    """

    name: str
    patient: str
    layout: str
    full: Path = field(repr=False)
    low: Path | None = field(default=None, repr=False)
    facts: Facts = field(default_factory=Facts, repr=False)

    @property
    def key(self) -> str:
        """What stays of the name when scans are added or removed; see `key_of`."""
        return key_of(self.name)


@dataclass(frozen=True)
class _Found:
    """A source before it has its neutral name; `name` is a public or chosen one."""

    full: Path
    low: Path | None = None
    name: str = ""
    facts: Facts = field(default_factory=Facts)


def find_pairs(folder: Path, layout: str = "auto") -> list[PairSource]:
    """The sources of a data folder, in order of names; no image is read.

    Args:
        folder: The data folder.
        layout: A key of `LAYOUTS`, or ``"auto"`` to recognise one by its signs.

    Raises:
        InputError: The layout is unknown, not recognised, or a scan lacks its partner.
    """
    if not folder.is_dir():
        raise InputError(f"there is no data folder {bare(folder)!r}; check the path.")
    folder = folder.resolve()  # names of folders above count too
    if layout == "auto":
        layout = _recognised(folder)
    if layout not in LAYOUTS:
        raise InputError(f"the layout {layout!r} is unknown; choose auto or one of {', '.join(LAYOUTS)}.")
    found = LAYOUTS[layout](folder)
    if not found:
        raise InputError(f"the data folder holds no scan in the layout {layout}; see docs/training_data.md.")
    return _named(found, layout)


def _recognised(folder: Path) -> str:
    """The layout whose signs the folder bears."""
    signs = {
        "ldct-and-projection": next(_dose_images(folder), None) is not None,
        "paired-folders": bool(_dose_folders(folder, LOW_NAMES) and _dose_folders(folder, FULL_NAMES)),
        "paired-files": all(_dose_files(folder, side) for side in ("low", "full")),
    }
    seen = [name for name, there in signs.items() if there]
    if len(seen) != 1:
        what = f"is both {' and '.join(seen)}" if seen else "bears no sign of a layout"
        raise InputError(
            f"the data folder {what}; set layout to {', '.join([*signs])}, or to full-dose if the low dose is to be "
            "simulated."
        )
    return seen[0]


def _named(found: list[_Found], layout: str) -> list[PairSource]:
    """Neutral names and patients; scans with the same patient in their DICOM tags share one."""
    numbers: dict[str, int] = {}
    sources: list[PairSource] = []
    for one in found:
        name, patient = one.name or one.facts.name, one.facts.patient
        if not (name and patient):
            identity = identity_of(one.full)
            known = identity.patient or f"scan {len(sources)}"
            number = numbers.setdefault(known, len(numbers) + 1)
            patient = patient or one.name or f"patient{number}"
            name = name or f"patient{number}-{identity.scan}"
        sources.append(PairSource(name, patient, layout, one.full, one.low, one.facts))
    names = [source.key for source in sources]
    twice = next((source.name for source in sources if names.count(source.key) > 1), None)
    if twice:
        raise InputError(
            f"two scans of the data folder are {twice}; remove one, or name them apart in NAME.json."
        )
    return sources


def _dose_images(folder: Path, depth: int = _DEPTH) -> Iterator[tuple[str, Path]]:
    """``("low" | "full", folder)`` of the collection's image folders, at most `depth` levels below."""
    for path in visible(folder):
        if not path.is_dir():
            continue
        match = _DOSE_IMAGES.fullmatch(path.name)
        if match:
            yield match[1].lower(), path
        elif depth > 1:
            yield from _dose_images(path, depth - 1)


def _collection(folder: Path) -> list[_Found]:
    """Pairs of the collection; both doses of a patient lie in one folder."""
    studies: dict[Path, dict[str, list[Path]]] = {}
    for side, path in _dose_images(folder):
        studies.setdefault(path.parent, {"low": [], "full": []})[side].append(path)
    found = []
    for number, (study, sides) in enumerate(studies.items(), start=1):
        above = [path.name for path in (study, study.parent)]
        public = next((name for name in above if PUBLIC_ID.fullmatch(name)), "")
        counts = len(sides["low"]), len(sides["full"])
        if counts != (1, 1):
            raise InputError(
                f"{public or f'study {number}'} has {counts[0]} folders of low and {counts[1]} of full dose images; one "
                "of each is expected, so complete the download or remove it."
            )
        found.append(_Found(sides["full"][0], sides["low"][0], public))
    return found


def _dose_folders(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """Sub-folders with one of the names; blanks, hyphens and capitals do not matter."""
    return [
        path for path in visible(folder) if path.is_dir() and re.sub("[ -]", "_", path.name.lower()) in names
    ]


def _paired_folders(folder: Path) -> list[_Found]:
    """Scans of equal file or folder names below the folders of the two doses."""
    sides = {}
    for side, names in (("low", LOW_NAMES), ("full", FULL_NAMES)):
        there = _dose_folders(folder, names)
        if len(there) != 1:
            raise InputError(
                f"expected one folder for the {side} dose, named {' or '.join(names)}, got {len(there)}; see "
                "docs/training_data.md."
            )
        sides[side] = there[0], _scans(there[0])
    low, (full_root, full) = sides["low"][1], sides["full"]
    _refuse_single(low, full)
    return [
        _Found(full[name].path, low[name].path, facts=facts_of(full_root / f"{full[name].name}.json"))
        for name in sorted(full)
    ]


def _scans(folder: Path) -> dict[str, Entry]:
    """Scans by the name that its partner must share: with the suffix for files, so that both have one format."""
    entries, rest = scans_in(folder)
    if rest:
        _logger.info("%d sub-folders of the data hold no scan and are left out", rest)
    return {entry.path.name if entry.path.parent == folder else entry.name: entry for entry in entries}


def _refuse_single(low: dict[str, Entry], full: dict[str, Entry]) -> None:
    """Raise InputError if a scan has no partner; it is counted, since its name may be that of a patient."""
    for side, scans, others in (("low", low, full), ("full", full, low)):
        for number, name in enumerate(sorted(scans), start=1):
            if name not in others:
                raise InputError(
                    f"scan {number} of the {side} dose, in order of names, has no partner of the same name and format at "
                    "the other dose; add or remove it."
                )


def _dose_files(folder: Path, side: str) -> dict[str, Entry]:
    """Files ``NAME_low`` or ``NAME_full`` by name and suffix without the dose."""
    ending = f"_{side}"
    files = {}
    for path in visible(folder):
        stem = stem_of(path) if path.is_file() else None
        if stem and stem.endswith(ending) and len(stem) > len(ending):
            name = stem.removesuffix(ending)
            files[name + path.name[len(stem) :]] = Entry(name, path)
    return files


def _paired_files(folder: Path) -> list[_Found]:
    """Pairs of files; a neutral NAME of an array was chosen for a training, any other one may be a patient's."""
    low, full = _dose_files(folder, "low"), _dose_files(folder, "full")
    _refuse_single(low, full)
    found = []
    for name in sorted(full):
        entry = full[name]
        facts = facts_of(folder / f"{entry.name}.json")
        public = entry.name if entry.path.suffix == ".npy" and is_neutral(entry.name) else ""
        found.append(_Found(entry.path, low[name].path, public, facts))
    return found


def _full_dose(folder: Path) -> list[_Found]:
    """Scans whose low dose is to be simulated."""
    return [
        _Found(entry.path, facts=facts_of(folder / f"{entry.name}.json"))
        for _, entry in sorted(_scans(folder).items())
    ]


LAYOUTS: dict[str, Callable[[Path], list[_Found]]] = {
    "ldct-and-projection": _collection,
    "paired-folders": _paired_folders,
    "paired-files": _paired_files,
    "full-dose": _full_dose,
}
"""The layouts by name, as the setting `layout` has them."""
