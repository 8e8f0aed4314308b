"""A network's definition taken out of a bundle's config as plain data.

MONAI's config language can run code. Of it only this is understood: numbers, texts, lists and mappings of them, and
``@id`` and ``%id`` that lead to such data inside the same file. ``$`` expressions, macros that read files, and every key
with an underscore but ``_target_`` and ``_desc_`` are refused, wherever the definition leads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ctinv.errors import CodeError, ModelError

MAX_NUMBER = (
    65_536  # more channels, layers or pixels than any network here; a bound on what a config can cost
)
MAX_DEPTH, MAX_VALUES = 20, 5_000
_FETCHING = {"pretrained", "weights", "cache", "url", "download", "hub", "file", "filename", "dir"}

_TARGET, _DESCRIPTION = "_target_", "_desc_"
_REFERENCE = re.compile(r"[@%]([A-Za-z_][A-Za-z0-9_]*(?:(?:::|#)[A-Za-z0-9_]+)*)")


class Definition:
    """Reads ``network_def``, or another definition, of a config.

    Args:
        config: The whole file; references lead into it.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._values = 0

    def read(self, key: str = "network_def") -> tuple[str, dict[str, Any]]:
        """Target and literal arguments of the network under a key.

        Raises:
            ModelError: The definition is missing, or asks for more than data.
        """
        found = self._follow(self._config.get(key), depth=0)
        if not isinstance(found, Mapping) or not isinstance(found.get(_TARGET), str):
            raise ModelError("the config has no network_def with a class; nothing can be loaded from it.")
        rest = {key: value for key, value in found.items() if key != _TARGET}
        return found[_TARGET], self._mapping(rest, depth=1)

    def _mapping(self, values: Mapping[str, Any], *, depth: int) -> dict[str, Any]:
        read = {}
        for key, value in values.items():
            if key == _DESCRIPTION:
                continue
            if not isinstance(key, str) or key.startswith("_"):
                raise CodeError(
                    f"network_def has the key {str(key)[:40]!r}, which only a bundle that runs code needs",
                    "; write a class and literals",
                )
            read[key] = self._literal(key, value, depth=depth)
        return read

    def _literal(self, key: str, value: Any, *, depth: int) -> Any:
        value = self._follow(value, depth=depth)
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise ModelError("network_def is nested too deep or too long for a network; refused.")
        if isinstance(value, Mapping):
            return self._mapping(value, depth=depth + 1)
        if isinstance(value, list):
            return tuple(self._literal(key, part, depth=depth + 1) for part in value)
        if value is None or isinstance(value, str | bool):
            return value
        if isinstance(value, int | float) and math.isfinite(value):
            if abs(value) > MAX_NUMBER:
                raise ModelError(f"the argument {key[:40]!r} of network_def is larger than {MAX_NUMBER:,}.")
            return value
        raise ModelError(
            f"the argument {key[:40]!r} of network_def is no literal; only numbers, texts and lists are read."
        )

    def _follow(self, value: Any, *, depth: int) -> Any:
        """The data that a reference leads to, or the value itself."""
        for _ in range(MAX_DEPTH):
            if not isinstance(value, str) or not any(mark in value for mark in "$@%"):
                return value
            match = _REFERENCE.fullmatch(value)
            if match is None:
                raise CodeError(
                    f"network_def holds {value[:40]!r}, an expression or a file macro, which would have to run",
                    "; write a literal",
                )
            value = self._look_up(match[1])
        raise ModelError("the references in network_def lead in a circle; write literals.")

    def _look_up(self, reference: str) -> Any:
        found: Any = self._config
        for part in re.split(r"::|#", reference):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                raise ModelError(f"network_def refers to {reference[:50]!r}, which the file does not hold.")
        return found


def can_fetch(name: str, value: object) -> bool:
    """Whether an argument of this name and value could make a class fetch or read a file; switched off it cannot."""
    words = set(name.lower().split("_"))
    return bool(words & _FETCHING and value) or ("path" in words and isinstance(value, str) and value != "")


def refuse_fetching(arguments: Mapping[str, Any]) -> None:
    """Raise ModelError if an argument, at any depth, could fetch or read something."""
    for key, value in arguments.items():
        if can_fetch(key, value):
            raise ModelError(
                f"network_def sets {key[:40]!r}, which can fetch or read files; leave it out or set it to false."
            )
        if isinstance(value, Mapping):
            refuse_fetching(value)
