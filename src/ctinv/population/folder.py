"""The patients of a folder: one per sub-folder or file, opened one at a time, never named.

A file or folder name may be that of a person, so a scan is called ``patient2-8807a8bd``: a number in the order of names and
a hash of its series. Scans whose DICOM tags, or whose ``NAME.json``, say that they are of one patient share the number. What
cannot be read is listed with its reason, in which names of files are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctinv.errors import CtinvError, InputError
from ctinv.io import from_array, read
from ctinv.io._files import regular_files
from ctinv.names import bare
from ctinv.sampler.provenance import hash_series
from ctinv.training.sources.scans import Facts, facts_of, identity_of, is_dicom, visible
from ctinv.volume import Volume

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".npy")
_COMPANIONS = (".json", ".raw", ".zraw", ".raw.gz")
_HASH = 8


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan that could be read.

    Attributes:
        name: ``patient<number>-<hash of the series>``.
        patient: ``patient<number>``; scans of one patient share it.
        volume: The scan.
    """

    name: str
    patient: str
    volume: Volume = field(repr=False)


@dataclass(frozen=True)
class Unreadable:
    """An entry of the folder that is left out.

    Attributes:
        name: ``entry <number>``, in the order of names.
        reason: One sentence without the name of a file.
    """

    name: str
    reason: str


def scans_of(folder: Path, *, uids: Sequence[str] = ()) -> Iterator[Scan | Unreadable]:
    """Open the entries of a folder one by one, in the order of names.

    Args:
        folder: One sub-folder or file per scan.
        uids: SeriesInstanceUIDs or neutral numbers (``"#2"``): in a sub-folder of several series, the one to read.

    Raises:
        InputError: There is no such folder, it holds nothing, or it is itself one series of DICOM files.
    """
    entries = entries_of(folder)
    numbers: dict[str, int] = {}
    seen: dict[str, str] = {}
    for index, entry in enumerate(entries, start=1):
        try:
            volume, patient = _open(entry, uids)
        except CtinvError as error:
            yield Unreadable(f"entry {index}", without_names(str(error), entry))
            continue
        series = hash_series(volume.uid)
        if series in seen:
            yield Unreadable(f"entry {index}", f"it is the same scan as {seen[series]}.")
            continue
        number = numbers.setdefault(patient or series, len(numbers) + 1)
        seen[series] = f"patient{number}-{series[:_HASH]}"
        yield Scan(seen[series], f"patient{number}", volume)


def entries_of(folder: Path) -> list[Path]:
    """What counts as a scan: sub-folders and files, without what belongs to another file.

    Raises:
        InputError: As for `scans_of`.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {bare(folder)!r}; give one with a sub-folder or file per patient."
        )
    listed = visible(folder)
    stems = {_stem(path) for path in listed if path.is_file() and path.name.lower().endswith(ENDINGS)}
    stems |= {path.name for path in listed if path.is_dir()}
    entries = [
        path
        for path in listed
        if not (path.is_file() and path.name.lower().endswith(_COMPANIONS) and _stem(path) in stems)
    ]
    slices = [path for path in entries if path.is_file() and not _is_whole(path) and is_dicom(path)]
    if len(slices) > 1:
        raise InputError(
            f"the folder holds {len(slices)} DICOM files itself; one sub-folder per patient was expected, so give the "
            "folder above."
        )
    if not entries:
        raise InputError("the folder holds no scan; a sub-folder or file per patient was expected.")
    return entries


def without_names(text: str, entry: Path) -> str:
    """A sentence in which the names of the entry and of all files below it read ``a file``."""
    paths = [entry, *(regular_files(entry) if entry.is_dir() else [])]
    names = {name for path in paths for name in (path.name, bare(path), _stem(path))}
    names |= {part for path in paths[1:] for part in path.relative_to(entry).parts}
    telling = (name for name in names if re.search(r"[^\W\d_]{2}|\d{5}", name))
    for name in sorted(telling, key=len, reverse=True):
        text = re.sub(rf"(?<!\w)'?{re.escape(name)}'?(?!\w)", "a file", text)
    return text


def _open(entry: Path, uids: Sequence[str]) -> tuple[Volume, str | None]:
    """The volume of an entry, and what tells its patient from others in this folder, if anything does."""
    path = entry if entry.is_file() else _below(entry)
    facts = facts_of(entry.with_name(f"{_stem(entry)}.json"))
    volume = _read(path, facts, uids)
    told = facts.patient or (identity_of(path).patient if path.is_dir() or not _is_whole(path) else None)
    return volume, told


def _below(folder: Path) -> Path:
    """What to read of a sub-folder: its one file of a whole scan, or the folder itself for DICOM."""
    files = regular_files(folder)
    whole = [path for path in files if _is_whole(path)]
    if len(whole) > 1 or (whole and any(is_dicom(path) for path in files if not _is_whole(path))):
        raise InputError("it holds several scans; one scan per sub-folder was expected.")
    return whole[0] if whole else folder


def _read(path: Path, facts: Facts, uids: Sequence[str]) -> Volume:
    """Read; where a folder holds several series, the first of the wanted ones that it has."""
    if path.name.lower().endswith(".npy"):
        if facts.spacing_mm is None:
            raise InputError(
                "an array does not tell its spacing; write spacing_mm: [z, y, x] into a JSON file of its name beside it."
            )
        plain = read(path)
        return replace(from_array(plain.hu, facts.spacing_mm), acquisition=facts.acquisition)
    try:
        return read(path)
    except CtinvError:
        for uid in uids:
            try:
                return read(path, uid=uid)
            except CtinvError:
                continue
        raise


def _is_whole(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS)


def _stem(path: Path) -> str:
    """The name of a file without the ending of its format; of a folder as it is."""
    if path.is_dir():
        return path.name
    ending = next((one for one in (*ENDINGS, *_COMPANIONS) if path.name.lower().endswith(one)), "")
    return path.name[: len(path.name) - len(ending)]
