"""The problems with known answers, by name. The problems themselves are imported when one is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ctinv.errors import InputError

if TYPE_CHECKING:
    from ctinv.validation.problems.contract import Problem


def _linear() -> Problem:
    from ctinv.validation.problems.linear import linear_problem

    return linear_problem()


def _wiener() -> Problem:
    from ctinv.validation.problems.wiener import wiener_problem

    return wiener_problem()


def _mixture() -> Problem:
    from ctinv.validation.problems.mixture import mixture_problem

    return mixture_problem()


def _circle() -> Problem:
    from ctinv.validation.problems.sphere import sphere_problem

    return sphere_problem(2)


def _sphere() -> Problem:
    from ctinv.validation.problems.sphere import sphere_problem

    return sphere_problem(3)


def _null_space() -> Problem:
    from ctinv.validation.problems.nullspace import null_space_problem

    return null_space_problem()


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "G1": _linear,
    "G1b": _wiener,
    "G2": _mixture,
    "G3-circle": _circle,
    "G3-sphere": _sphere,
    "G4": _null_space,
}
"""Name of a problem to the function that makes it."""


def make_problem(name: str) -> Problem:
    """The problem of a name.

    Raises:
        InputError: There is no such problem; the message lists those there are.
    """
    if name not in PROBLEMS:
        raise InputError(f"there is no problem {name!r}; choose one of {', '.join(PROBLEMS)}.")
    return PROBLEMS[name]()
