"""Which patients a network learns from, which choose its best state, and which it is judged on.

Three rules. ``named``: the settings list names, ``"NAME"`` or ``"NAME[0:40]"`` for some slices of it. ``random``: 70, 20
and 10 % of the patients, by seed. ``ldct-benchmark``: the split of that benchmark, for the collection only, as far as its
patients are in the folder. Whatever the rule, no patient is in two sets: a network recognises anatomy it has seen.

References:
    E. Eulig et al., Benchmarking deep learning-based low-dose CT image denoising algorithms, Medical Physics 51, 2024.
    https://arxiv.org/abs/2401.04661
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from ctinv.errors import InputError
from ctinv.training.sources.find import PUBLIC_ID, PairSource, key_of

RULES = ("named", "random", "ldct-benchmark")
SUBSETS = {"chest": "C", "abdomen": "L", "neuro": "N"}
SETS = ("train", "validate", "test")
VALIDATE_SHARE, TEST_SHARE = 0.2, 0.1
_RANGE = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<first>\d+):(?P<last>\d+)\])?")


@dataclass(frozen=True)
class Part:
    """A source, or its slices `first` up to but without `last`."""

    source: PairSource
    first: int | None = None
    last: int | None = None


class Split(NamedTuple):
    """The three sets."""

    train: tuple[Part, ...]
    validate: tuple[Part, ...]
    test: tuple[Part, ...]


def split(
    sources: Sequence[PairSource],
    *,
    rule: str = "named",
    train: Sequence[str] = (),
    validate: Sequence[str] = (),
    test: Sequence[str] = (),
    seed: int = 0,
) -> Split:
    """Divide sources by patient.

    Args:
        sources: From `find_pairs`.
        rule: One of `RULES`.
        train, validate, test: Names for the rule ``named``, empty for the others.
        seed: Decides the rule ``random``; adding a patient moves few of the others.

    Raises:
        InputError: There is one patient only, a name is unknown, a set that is needed is empty, or a patient is in two.
    """
    if rule not in RULES:
        raise InputError(f"the split {rule!r} is unknown; choose one of {', '.join(RULES)}.")
    if len({source.patient for source in sources}) < 2:
        raise InputError(
            "the data are of one patient only, and no error on a patient that was trained on says anything about others; "
            "add scans of a second patient."
        )
    names = dict(zip(SETS, (train, validate, test), strict=True))
    if rule == "named":
        made = Split(*(tuple(_part(sources, name) for name in names[which]) for which in SETS))
    elif any(names.values()):
        raise InputError(f"the split {rule} chooses the patients itself; leave train, validate and test out.")
    else:
        made = _benchmark(sources) if rule == "ldct-benchmark" else _random(sources, seed)
    _refuse_leaks(made)
    return made


def of_subset(sources: Sequence[PairSource], subset: str) -> list[PairSource]:
    """The sources of one region of the collection, all for ``""``.

    Raises:
        InputError: The subset is unknown, no source is of it, or the sources are not of the collection.
    """
    if not subset:
        return list(sources)
    if subset not in SUBSETS:
        raise InputError(
            f"the subset {subset!r} is unknown; choose one of {', '.join(SUBSETS)}, or none for all."
        )
    chosen = [s for s in sources if PUBLIC_ID.fullmatch(s.name) and s.name[0] == SUBSETS[subset]]
    if not chosen:
        raise InputError(
            f"the data folder has no {subset} scan of the LDCT-and-Projection-data collection; leave subset out."
        )
    return chosen


def benchmark_patients() -> dict[str, list[str]]:
    """Ids of ldct-benchmark's patients by set."""
    text = resources.files("ctinv.training.sources").joinpath("ldct_benchmark_split.json").read_text("utf-8")
    table = json.loads(text)
    return {which: list(table[which]) for which in SETS}


def _part(sources: Sequence[PairSource], text: str) -> Part:
    match = _RANGE.fullmatch(text)
    name = match["name"] if match else text
    found = [source for source in sources if source.key == key_of(name)]
    if match is None or len(found) != 1:
        raise InputError(f"the data folder has no pair {text}; it has {_listed(sources)}.")
    if match["first"] is None:
        return Part(found[0])
    return Part(found[0], int(match["first"]), int(match["last"]))


def _listed(sources: Sequence[PairSource], most: int = 8) -> str:
    names = [source.name for source in sources]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _benchmark(sources: Sequence[PairSource]) -> Split:
    patients = benchmark_patients()
    sets = [tuple(Part(s) for s in sources if s.name in patients[which]) for which in SETS]
    if not sets[0] or not sets[1]:
        raise InputError(
            f"ldct-benchmark's split leaves {len(sets[0])} scans to train on and {len(sets[1])} to validate on; add "
            "patients of its list, or use another split."
        )
    return Split(*sets)


def _random(sources: Sequence[PairSource], seed: int) -> Split:
    """Patients in an order of their own, by hash, cut at the shares; at least one to validate on."""
    keys: dict[str, str] = {}
    for source in sources:
        keys[source.patient] = min(source.key, keys.get(source.patient, source.key))
    order = sorted(keys, key=lambda patient: hashlib.sha256(f"{seed} {keys[patient]}".encode()).digest())
    validate = max(1, round(VALIDATE_SHARE * len(order)))
    tested = round(TEST_SHARE * len(order))
    sets = order[validate + tested :], order[:validate], order[validate : validate + tested]
    return Split(*(tuple(Part(s) for s in sources if s.patient in one) for one in sets))


def _refuse_leaks(made: Split) -> None:
    if not made.train or not made.validate:
        raise InputError("a training needs at least one pair to train on and one to validate on; name them.")
    sets = [{part.source.patient for part in parts} for parts in made]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        both = sorted(sets[first] & sets[second])
        if both:
            raise InputError(
                f"the patient {both[0]} is in {SETS[first]} and in {SETS[second]}, also if the slices differ; put all scans "
                "of a patient into one set."
            )
