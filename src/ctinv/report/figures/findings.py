"""Why a finding that a figure shows is not there."""

from __future__ import annotations

from ctinv.report.words import Content


def why_missing(content: Content, name: str) -> str:
    """One sentence on a finding that is not there."""
    found, title = content["findings"].get(name), name[:1].upper() + name[1:].replace("-", " ")
    return f"{title}: not asked for." if found is None else f"{title}: {found['absent']}"
