"""Every hard DICOM case by name: how its files are made, what must come of them, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dicom_phantom import Edit, Truth, slices, truth, write

Must = Literal["read", "refuse", "either"]
Build = Callable[[Path], Truth | None]


@dataclass(frozen=True)
class Case:
    """One odd folder.

    Attributes:
        name: What is odd about it.
        theme: The table it stands in.
        must: Whether it must be read, must be refused, or may be either as long as nothing read is wrong.
        build: Write the files into an empty folder and return the truth, None where there is no right reading.
        cause: What a refusal must name, as a regular expression.
        listed: Slices of each series that a listing must count, in ascending order; None where there is no listing.
        target: What is handed to the reader: a path below the folder, the folder itself by default.
        options: Further arguments of the reader.
    """

    name: str
    theme: str
    must: Must
    build: Build
    cause: str = ""
    listed: tuple[int, ...] | None = None
    target: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


CASES: dict[str, Case] = {}


def case(
    theme: str,
    must: Must,
    cause: str = "",
    listed: Sequence[int] | None = None,
    target: str = "",
    **options: Any,
) -> Callable[[Build], Build]:
    """Register the function below as a case under its own name."""
    if must != "read" and not cause:
        raise ValueError("a case that may be refused names the cause that the sentence must hold.")

    def register(build: Build) -> Build:
        name = build.__name__.strip("_").replace("_", " ")
        add(Case(name, theme, must, build, cause, None if listed is None else tuple(listed), target, options))
        return build

    return register


def edited(
    theme: str,
    must: Must,
    name: str,
    edit: Edit,
    cause: str = "",
    listed: Sequence[int] | None = None,
    **place: Any,
) -> None:
    """Register the phantom's slices with this edit."""

    def build(folder: Path) -> Truth | None:
        write(slices(edit=edit, **place), folder)
        return None if must == "refuse" else truth(**place)

    add(Case(name, theme, must, build, cause, None if listed is None else tuple(listed)))


def add(new: Case) -> None:
    """Register a case; two of one name are an error."""
    if new.name in CASES:
        raise ValueError(f"there are two cases called {new.name!r}.")
    CASES[new.name] = new
