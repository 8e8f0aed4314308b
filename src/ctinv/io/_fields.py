"""How the values of allow-listed DICOM elements are taken: strictly as numbers, or not at all."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.tag import BaseTag, Tag

from ctinv.io.identity import READ

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@cache
def _tag(keyword: str) -> BaseTag | None:
    """The tag of a listed keyword; looked up once, since it is asked for in every slice."""
    return Tag(keyword) if keyword in READ else None


class Fields:
    """Look a keyword up in the nested functional groups of a frame first, then in the file's own elements.

    Remembers the first problem, so that a slice can still be listed.
    """

    def __init__(self, layers: list[Dataset]) -> None:
        self.layers = layers
        self.problem: str | None = None

    def fail(self, problem: str) -> None:
        self.problem = self.problem or problem

    def raw(self, keyword: str) -> Any:
        """The value of an element that `ctinv.io.identity` lists; any other counts as absent."""
        tag = _tag(keyword)
        for layer in self.layers:
            if tag is not None and tag in layer:
                value = layer[tag].value
                if value is not None and value != "":
                    return value
        return None

    def text(self, keyword: str) -> str:
        try:
            value = self.raw(keyword)
            return "" if value is None else str(value).strip("\0 ")
        except Exception:
            return ""

    def words(self, keyword: str) -> tuple[str, ...]:
        try:
            value = self.raw(keyword)
            return (
                () if value is None else tuple(str(v) for v in ([value] if isinstance(value, str) else value))
            )
        except Exception:
            return ()

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """Values as finite floats, () when absent, None when one of them is no plain number."""
        try:
            value = self.raw(keyword)
            if value is None:
                return ()
            if isinstance(value, (bytes, bytearray)):  # the bytes of an unknown representation are no numbers
                return None
            parts = (
                [value]
                if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__")
                else list(value)
            )
            # Python reads "1_0" and "infinity" as numbers; a comma must never become a decimal point.
            texts = [str(part).strip("\0 ") for part in parts]
            if not all(_NUMBER.fullmatch(text) for text in texts):
                return None
            numbers = tuple(float(text) for text in texts)
        except Exception:
            return None
        return numbers if all(map(math.isfinite, numbers)) else None

    def need(self, keyword: str, count: int, what: str) -> NDArray[np.float64]:
        """Exactly `count` numbers; otherwise NaNs and a remembered problem."""
        numbers = self.numbers(keyword)
        if numbers is not None and len(numbers) == count:
            return np.array(numbers)
        self.fail(f"its {keyword} is {'missing' if numbers == () else 'invalid'}; {what} needed")
        return np.full(count, np.nan)

    def integer(self, keyword: str, default: int | None = None) -> int:
        """One whole number of a binary element or an integer string; decoders take no other text for one either."""
        try:
            value = self.raw(keyword)
        except Exception:
            value = ""
        if value is None and default is not None:
            return default
        if isinstance(value, int) and abs(value) < 2**32:
            return int(value)
        self.fail(f"its {keyword} is {'missing' if value is None else 'invalid'}")
        return 0

    def optional(self, keyword: str) -> float | None:
        """One positive number of a technical fact that may be absent."""
        numbers = self.numbers(keyword)
        return numbers[0] if numbers and len(numbers) == 1 and numbers[0] > 0 else None
