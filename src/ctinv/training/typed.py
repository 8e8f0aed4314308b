"""Settings from TOML tables into frozen dataclasses, with names and types checked."""

from __future__ import annotations

import dataclasses
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ctinv.errors import InputError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        InputError: It is none.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError, RecursionError) as error:  # no TOML, no UTF-8, brackets without end
        raise InputError(
            f"expected {path.name[:60]} to be a readable TOML file with the settings of a training."
        ) from error


def from_table(cls: type[T], table: dict[str, Any], *, where: str) -> T:
    """A dataclass whose fields are the keys of a table.

    Raises:
        InputError: A key is unknown or missing, or a value has the wrong type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            near = get_close_matches(key, fields, n=1, cutoff=0.0)
            known = f"the nearest known one is {near[0]!r}" if near else "there is none to set"
            raise InputError(f"{where[:60]} has the unknown key {key[:40]!r}; {known}.")
        values[key] = _checked(key, value, hints[key], where)
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
        and name not in values
    ]
    if missing:
        raise InputError(f"{where[:60]} lacks {', '.join(missing)}.")
    return cls(**values)


_KINDS: dict[Any, tuple[str, tuple[type, ...]]] = {
    float: ("a finite number", (int, float)),
    int: ("a whole number", (int,)),
    str: ("a text", (str,)),
    bool: ("true or false", (bool,)),
    dict[str, Any]: ("a table", (dict,)),
}


def _checked(key: str, value: Any, kind: Any, where: str) -> Any:
    """The value as its field wants it; ``true`` is no number here, and a whole number is a float where one is wanted."""
    if kind in _KINDS:
        words, types = _KINDS[kind]
        if kind is float and _is_number(value):
            return float(value)
        if kind is not float and isinstance(value, types) and (kind is bool or not isinstance(value, bool)):
            return value
    elif kind == tuple[str, ...]:
        words = "a list of texts"
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
    elif kind == tuple[float, float]:
        words = "a list of two numbers"
        if isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)):
            return (float(value[0]), float(value[1]))
    elif kind == float | str | None:
        words = "a number or a text"
        if isinstance(value, str) or _is_number(value):
            return value
    else:
        raise TypeError(f"no rule for a setting of type {kind}")
    raise InputError(f"{where[:60]}: {key} must be {words}, got {str(value)[:40]!r}.")


def _is_number(value: Any) -> bool:
    """A finite number; TOML knows others."""
    return type(value) in (int, float) and abs(value) < 1e300


def to_table(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as JSON-able values."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(settings).items()
    }
