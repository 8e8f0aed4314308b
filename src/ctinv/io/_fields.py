"""How the values of allow-listed DICOM elements are taken: strictly as numbers, or not at all."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from ctinv.io.identity import READ, digest

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


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
        for layer in self.layers:
            if keyword in READ and keyword in layer:
                value = layer[keyword].value
                if value is not None and value != "":
                    return value
        return None

    def text(self, keyword: str) -> str:
        try:
            value = self.raw(keyword)
            return "" if value is None else str(value).strip("\0 ")
        except Exception:
            return ""

    def digest(self, *keywords: str) -> str:
        """A short hash of texts that tell scans apart; to compare only."""
        return digest(*map(self.text, keywords))[:16]

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
        numbers = self.numbers(keyword)
        if numbers == () and default is not None:
            return default
        if numbers and len(numbers) == 1 and numbers[0] == int(numbers[0]):
            return int(numbers[0])
        self.fail(f"its {keyword} is {'missing' if numbers == () else 'invalid'}")
        return 0

    def optional(self, keyword: str) -> float | None:
        """One positive number of a technical fact that may be absent."""
        numbers = self.numbers(keyword)
        return numbers[0] if numbers and len(numbers) == 1 and numbers[0] > 0 else None
