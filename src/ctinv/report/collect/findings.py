"""What the analyses say of a study, each with what is said where it cannot be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ctinv.analysis.registry import ANALYSES, analyse_each
from ctinv.errors import CtinvError, InputError
from ctinv.jsonable import plain
from ctinv.progress import Progress
from ctinv.report.arrays import pack

if TYPE_CHECKING:
    from ctinv.analysis.finding import Finding
    from ctinv.analysis.subject import Subject


def check_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """The analyses that are asked, all by default and in the registry's order; refuses what does not exist.

    Raises:
        InputError: A name is unknown.
    """
    known = tuple(ANALYSES)
    for name in names or ():
        if name not in known:
            raise InputError(f"there is no analysis {name!r}; choose one of {', '.join(known)}, or none.")
    return known if names is None else tuple(name for name in known if name in names)


def findings(
    subject: Subject | None, names: Sequence[str], *, absent: str, seed: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Every analysis that is asked, by name.

    Args:
        subject: What to analyse; None where it is not at hand.
        names: Which analyses.
        absent: Why there is no subject.
        seed: Seed of the null distributions.
        progress: Called with a phrase and a finished share.

    Returns:
        For each name the finding as JSON values, or ``absent`` with one sentence.
    """
    if subject is None:
        return {name: {"absent": absent} for name in names}
    each = analyse_each(names, subject, seed=seed, progress=progress)
    return {
        name: {"absent": str(result)} if isinstance(result, CtinvError) else as_json(result)
        for name, result in each
    }


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding with its maps packed."""
    maps: Mapping[str, Any] = {
        name: {"values": pack(one.values), "unit": one.unit, "title": one.title}
        for name, one in finding.maps.items()
    }
    return {
        "title": ANALYSES[finding.name].title,
        "sentence": finding.sentence,
        "interesting": bool(finding.interesting),
        "figures": plain(finding.figures),
        "maps": dict(maps),
        "curves": plain(finding.curves),
    }
