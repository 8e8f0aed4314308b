"""What a command hands back, and how it is printed: one JSON object, or words for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Outcome:
    """The result of a command.

    Attributes:
        data: The JSON object of ``--json``.
        show: Prints the same for people; called only without ``--json``.
        problem: One sentence where the work was done and its result is bad; the exit code is then 1.
        afterwards: What is done once the result has been printed, such as opening a window.
    """

    data: Mapping[str, Any]
    show: Callable[[Console], None]
    problem: str | None = None
    afterwards: Callable[[], None] | None = None


class Stopped(Exception):
    """A run the user ended; the text says what is kept and how to go on.

    Args:
        message: One sentence for the user.
        exit_code: 130 after Ctrl-C, 143 after SIGTERM.
        data: Further keys of the JSON object, for example how many samples are kept.
    """

    def __init__(self, message: str, *, exit_code: int, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.data = dict(data or {})
