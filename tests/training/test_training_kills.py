"""SIGKILL at fifty points of trainings: nothing committed is lost, nothing torn is read, the weights come out the same."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS = {"average": 24, "duel": 16, "generator": 10}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_fifty_kills_change_nothing_and_leave_no_unreadable_checkpoint(tmp_path: Path) -> None:
    search = os.pathsep.join([str(HERE), *sys.path])
    ran = subprocess.run(
        [sys.executable, str(HERE / "kill_harness.py"), str(tmp_path), "0", json.dumps(KILLS)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"},
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    report = json.loads(ran.stdout)
    kinds = collections.Counter(kind for kind, *_ in report["kills"])
    assert kinds == KILLS
    assert {way for _, way, *_ in report["kills"]} == {"event", "file", "row", "time"}
    # what is written in place does not live through it, so that the kills do come at bad moments
    assert report["control"] >= 4
