"""Draw a report again from its record, and compare every byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ctinv.report.build import Report, draw
from ctinv.report.record import Record, sha256, versions


@dataclass(frozen=True)
class Replay:
    """What drawing a report again has shown.

    Attributes:
        report: The report as it is drawn now; None where the record was changed and nothing is drawn of it.
        intact: Whether the content of the record is what was sealed.
        different: Pictures that came out differently, that are new, or that are gone.
        same_page: Whether the page is the same, byte for byte.
        drawn_with: Versions when the record was made.
        drawn_now: Versions now.
    """

    report: Report | None
    intact: bool
    different: tuple[str, ...]
    same_page: bool
    drawn_with: dict[str, str]
    drawn_now: dict[str, str]

    @property
    def problem(self) -> str | None:
        """One sentence where anything differs, None where all is the same."""
        if self.report is None:
            return (
                "the figures in this record were changed after it was written: their sha256 is not the one sealed "
                "with it; do not trust it."
            )
        if not self.different and self.same_page:
            return None
        count = f"{len(self.different)} of {len(self.report.pictures)} pictures differ"
        named = (
            f"{count} from the record ({', '.join(self.different[:5])})"
            if self.different
            else "the page differs"
        )
        return f"{named}; {self._versions()}."

    def _versions(self) -> str:
        changed = [name for name, version in self.drawn_with.items() if self.drawn_now.get(name) != version]
        if not changed:
            listed = ", ".join(f"{name} {version}" for name, version in self.drawn_with.items())
            return f"it was drawn with the same versions ({listed}), so the record's hashes were changed"
        then = ", ".join(f"{name} {self.drawn_with[name]}" for name in changed)
        now = ", ".join(f"{name} {self.drawn_now.get(name, 'absent')}" for name in changed)
        return f"it was drawn with {then}, here are {now}"


def replay(path: Path) -> Replay:
    """Draw the pictures and the page of a record again.

    Args:
        path: A report.json.

    Raises:
        InputError: It is not a record.
    """
    record = Record.read(path)
    if not record.intact:
        return Replay(None, False, (), False, record.drawn_with, versions())
    report = draw(record.content, drawn_with=record.drawn_with)
    now = report.record.pictures
    names = sorted(set(now) | set(record.pictures))
    different = tuple(name for name in names if now.get(name) != record.pictures.get(name))
    return Replay(report, True, different, sha256(report.html) == record.page, record.drawn_with, versions())
