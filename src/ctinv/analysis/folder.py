"""Findings as files that other programs read: figures as JSON, curves as CSV, maps as NIfTI in their true place."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ctinv.analysis.finding import Finding
from ctinv.atomic import write_atomic
from ctinv.io.nifti import write_nifti
from ctinv.jsonable import dumps
from ctinv.volume import Volume

FINDINGS = "findings.json"


def write_findings(
    folder: Path, findings: Mapping[str, Finding], region: Volume, *, facts: Mapping[str, Any]
) -> list[str]:
    """Write findings into a folder; files of an earlier run with the same names are replaced, each as a whole.

    Args:
        folder: Made if it is missing.
        findings: Name to finding.
        region: (1, h, w) the scan on the region: its geometry is that of the maps.
        facts: What the JSON says of the study.

    Returns:
        The names of the files, ``findings.json`` last: where it stands, all others do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, finding in findings.items():
        for key, curve in finding.curves.items():
            files.append(f"{name}_{key}.csv")
            write_atomic(folder / files[-1], _csv(curve).encode())
        for key, found in finding.maps.items():
            files.append(f"{name}_{key}.nii.gz")
            write_nifti(region.with_hu(np.ascontiguousarray(found.values[None])), folder / files[-1])
    page = {**facts, "findings": {name: to_json(finding) for name, finding in findings.items()}}
    write_atomic(folder / FINDINGS, (dumps(page, indent=1) + "\n").encode())
    return [*files, FINDINGS]


def to_json(finding: Finding) -> dict[str, Any]:
    """A finding without the pixels of its maps."""
    return {
        "sentence": finding.sentence,
        "interesting": finding.interesting,
        "figures": finding.figures,
        "curves": dict(finding.curves),
        "maps": {name: {"title": one.title, "unit": one.unit} for name, one in finding.maps.items()},
    }


def _csv(curve: Mapping[str, list[float]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(curve)
    writer.writerows(zip(*curve.values(), strict=True))
    return text.getvalue()
