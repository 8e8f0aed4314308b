"""How long work says where it is: at every natural step, so that who listens can also end it by raising from there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

Progress = Callable[[str, float], None]
"""Called with a short phrase and the finished share, 0 to 1 and never less than before, NaN where it is unknown. What it
raises is not caught and ends the work."""

T = TypeVar("T")


def tell(progress: Progress | None, phrase: str, share: float = math.nan) -> None:
    """Say what is being done, if anybody listens."""
    if progress is not None:
        progress(phrase, share)


def part(progress: Progress | None, begin: float, end: float, phrase: str = "") -> Progress | None:
    """Progress of a part of something longer.

    Args:
        progress: That of the whole.
        begin: Share of the whole at which the part begins.
        end: Share at which it ends.
        phrase: Stands for all phrases of the part, if given.

    Returns:
        For the part: its 0 to 1 are told as begin to end, never less than before. Where its share is unknown, the last known
        one stays.
    """
    if progress is None:
        return None
    reached = begin

    def told(text: str, share: float) -> None:
        nonlocal reached
        if not math.isnan(share):
            reached = min(max(reached, begin + share * (end - begin)), end)
        progress(phrase or text, reached)

    return told


def named(progress: Progress | None, name: str) -> Progress | None:
    """Progress that says of what it speaks: ``"name: phrase"``."""
    if progress is None:
        return None
    return lambda phrase, share: progress(f"{name}: {phrase}", share)


def each(progress: Progress | None, phrase: str, items: Sequence[T]) -> Iterator[tuple[Progress | None, T]]:
    """Items one after the other, each told of as it begins, and beside it the progress of the item itself.

    The phrase stands for what is said within an item too: a loop is one phase.
    """
    for index, item in enumerate(items):
        begin, end = index / len(items), (index + 1) / len(items)
        tell(progress, phrase, begin)
        yield part(progress, begin, end, phrase), item


def blocks(count: int, most: int) -> list[range]:
    """0 to count in runs of at most so many, as equal as can be: products of such runs are bit for bit those of all at
    once, which those with a short rest are not."""
    parts = -(-count // most)
    ends = [count * index // parts for index in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(ends)]
