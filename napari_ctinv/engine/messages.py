"""The few messages between the viewer and its computing process, and what a piece of work is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["done", "cancelled", "failed", "abandoned"]

LIMIT = 1 << 40
"""Bytes of one message; both ends are ours."""


class Stopped(Exception):
    """Raised inside work, through its progress report, when the user asked to stop."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: ``"done"``, ``"cancelled"``, ``"failed"``, or ``"abandoned"`` when nobody looks any more.
        message: One sentence for the user, only after a failure.
        result: What the work returned, only when it is done.
    """

    state: State
    message: str = ""
    result: Any = None
