"""Looking anew at a study whose manifest a writer changes: as long as it changes, and no more than three times."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctinv.sampler import manifest


@pytest.mark.parametrize(("changes", "turns"), [(0, 1), (1, 2), (2, 3), (9, 3)])
def test_a_study_is_looked_at_anew_while_its_manifest_changes(
    tmp_path: Path, changes: int, turns: int
) -> None:
    root = tmp_path / manifest.ROOT
    root.write_text("0")
    seen = []
    for turn, _ in enumerate(manifest.looks(tmp_path)):
        seen.append(root.read_text())
        if turn < changes:
            root.write_text(str(turn + 1))
    assert seen == [str(turn) for turn in range(turns)]


def test_a_study_without_a_manifest_is_looked_at_once(tmp_path: Path) -> None:
    assert len(list(manifest.looks(tmp_path))) == 1
