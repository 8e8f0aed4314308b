"""The journal of a study: what committing costs does not grow with what stands there already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sampler_studies import make_certificate

from ctinv.sampler.journal import Journal, Record


def record(k: int) -> Record:
    return Record(f"{k:064x}", f"{k + 1:064x}", make_certificate(k, np.zeros((2, 2), dtype=np.float32)))


def test_committing_encodes_new_samples_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the cost of a study grows with the square of its samples."""
    path = tmp_path / "journal.jsonl"
    path.touch()
    journal = Journal(path)
    journal.append([record(k) for k in range(500)])
    encoded: list[int] = []
    line = Record.line

    def counted(self: Record) -> bytes:
        encoded.append(self.certificate.k)
        return line(self)

    monkeypatch.setattr(Record, "line", counted)
    new = [record(k) for k in range(500, 525)]
    assert journal.adds(new)
    journal.append(new)
    assert set(encoded) == set(range(500, 525))
    assert not journal.adds(new)
    assert not journal.adds([record(3)])
    assert journal.adds([Record("f" * 64, record(3).error_sha256, record(3).certificate)])
    assert set(encoded) == {3, *range(500, 525)}
    assert Journal(path).records == journal.records
