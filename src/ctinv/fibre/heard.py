"""What long computations call as they go, so that they can be ended from outside: what it raises is not caught."""

from __future__ import annotations

from collections.abc import Callable

Heard = Callable[[], None]


def unheard() -> None:
    """Nobody listens."""
