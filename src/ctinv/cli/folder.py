"""What a folder of several DICOM series holds, to choose one by its number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def several_series(source: Path, modality: str | None) -> list[dict[str, Any]]:
    """Facts of each series where a folder holds more than one, else nothing; a series appears as a hash only.

    Raises:
        InputError: There is no such modality.
        SeriesError: A file or a folder cannot be opened.
    """
    if not source.is_dir():
        return []
    from ctinv.io.dicom import list_series
    from ctinv.sampler.provenance import hash_series

    infos = list_series(source, modality=modality)
    if len(infos) < 2:
        return []
    return [
        {
            "number": f"#{info.number}",
            "slices": info.slices,
            "matrix": info.matrix,
            "spacing_mm": info.spacing,
            "kernel": info.kernel,
            "minutes": info.minutes,
            "warnings": info.warnings,
            "series_sha256": hash_series(info.uid) if info.uid else None,
        }
        for info in infos
    ]


def show_series(console: Console, title: str, series: list[dict[str, Any]]) -> None:
    """One row for each series, and how to choose one."""
    from rich.table import Table

    from ctinv.cli.tables import number

    table = Table(title=title, title_justify="left", box=None, caption="choose one with --uid and its number")
    for heading in ("", "slices", "matrix", "spacing, mm", "kernel", "time, min", "what speaks against it"):
        table.add_column(heading, overflow="fold")
    for one in series:
        table.add_row(
            one["number"],
            str(one["slices"]),
            " x ".join(str(size) for size in one["matrix"]),
            " x ".join(number(value) for value in one["spacing_mm"]),
            one["kernel"] or "-",
            "-" if one["minutes"] is None else f"+{one['minutes']:.1f}",
            "; ".join(one["warnings"]),
        )
    console.print(table)
