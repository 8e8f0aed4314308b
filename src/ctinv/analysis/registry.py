"""The analyses, one row each: the shell, the report and the plugin offer what stands here.

To add an analysis: write one function ``(subject, *, seed, …, progress) -> Finding`` in a file of this folder, and its row.
It tells ``progress`` where it is about once a second (`ctinv.progress`), as nothing else lets a user end it. Tests
run over all rows. Importing this module imports no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctinv.errors import CtinvError, InputError
from ctinv.progress import Progress, named, part, tell

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding
    from ctinv.analysis.subject import Subject


@dataclass(frozen=True)
class Analysis:
    """One row.

    Attributes:
        title: A few words for a menu.
        question: What it answers, in one sentence.
        unit: Unit of its leading map or figure.
        samples: Fewest certified samples it needs; 0 where the fibre alone is enough.
        function: ``module:function`` below this package.
    """

    title: str
    question: str
    unit: str
    samples: int
    function: str


ANALYSES: dict[str, Analysis] = {
    "noise-consistency": Analysis(
        "Noise consistency per band",
        "Does a sample differ from f(x) by more than noise in some band of frequencies?",
        "1",
        1,
        "bands:noise_consistency",
    ),
    "matched-filter": Analysis(
        "Scanning matched filter",
        "Where do the samples show a disc that noise does not explain?",
        "σ",
        1,
        "matched:matched_filter",
    ),
    "lesion-blindness": Analysis(
        "Lesion blindness",
        "Which discs of which contrast does the network not pass on at ε?",
        "1",
        0,
        "blindness:lesion_blindness",
    ),
    "observer": Analysis(
        "Channelised Hotelling observer",
        "How well does an observer tell samples with a lesion from samples without one?",
        "1",
        0,
        "observer:hotelling_observer",
    ),
    "eigen-invariances": Analysis(
        "Eigen-invariances",
        "What is the largest plausible anatomical change that the network does not pass on?",
        "HU",
        0,
        "eigen:eigen_invariances",
    ),
    "find-blind": Analysis(
        "Search for the largest hidden lesion",
        "Which disc does the network hide best, and how strong may it be before feeding back shows it?",
        "HU",
        0,
        "search:find_blind",
    ),
    "representatives": Analysis(
        "Six to show",
        "Which few samples stand for all, and for what share each?",
        "HU",
        6,
        "representatives:representatives",
    ),
}


def analyse(
    name: str, subject: Subject, *, seed: int = 0, progress: Progress | None = None, **options: Any
) -> Finding:
    """Run one analysis.

    Args:
        name: A key of `ANALYSES`.
        subject: The region, its C, and the samples.
        seed: Seed of the null distribution.
        progress: Called with a phrase and a finished share, NaN where it is unknown; what it raises ends the analysis.
        options: Passed to the function.

    Raises:
        InputError: There is no such analysis, or there are too few certified samples.
    """
    row = row_of(name)
    if len(subject.x_tilde) < row.samples:
        raise InputError(
            f"{row.title.lower()} needs at least {row.samples} certified samples, this study has "
            f"{len(subject.x_tilde)}; sample more."
        )
    module, function = row.function.split(":")
    found: Finding = getattr(importlib.import_module(f"ctinv.analysis.{module}"), function)(
        subject, seed=seed, progress=progress, **options
    )
    return found


def analyse_each(
    names: Sequence[str], subject: Subject, *, seed: int = 0, progress: Progress | None = None
) -> Iterator[tuple[str, Finding | CtinvError]]:
    """Run analyses one after the other; one that cannot be made stops no other.

    Args:
        names: Keys of `ANALYSES`.
        subject: The region, its C, and the samples.
        seed: Seed of the null distributions.
        progress: Called with a phrase and the finished share of them all; what it raises ends the rest.

    Yields:
        The name, and its finding or why there is none.

    Raises:
        InputError: There is no such analysis.
    """
    titles = [row_of(name).title.lower() for name in names]
    for index, (name, title) in enumerate(zip(names, titles, strict=True)):
        begin, end = index / len(names), (index + 1) / len(names)
        tell(progress, f"analysing: {title}", begin)
        told = named(part(progress, begin, end), title)
        result: Finding | CtinvError
        try:
            result = analyse(name, subject, seed=seed, progress=told)
        except CtinvError as error:
            result = error
        except np.linalg.LinAlgError as error:
            result = InputError(f"{title} cannot be computed in this region: {error}.")
        yield name, result


def row_of(name: str) -> Analysis:
    """The row of an analysis; raises InputError where there is none."""
    if name not in ANALYSES:
        raise InputError(f"there is no analysis {name!r}; choose one of {', '.join(ANALYSES)}.")
    return ANALYSES[name]
