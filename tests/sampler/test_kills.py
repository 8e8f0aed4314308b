"""kill -9 at random moments of real sampling runs: nothing promised is lost, nothing torn counts, the end is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS, SEED = 50, 20


@pytest.mark.slow
def test_fifty_kills_lose_nothing_and_the_resumed_study_is_the_uninterrupted_one(tmp_path: Path) -> None:
    words = [sys.executable, str(HERE / "kill_runs.py"), str(tmp_path), str(KILLS), str(SEED)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    told = f"seed {SEED}, killed after {found['moments']} s: {found}"
    assert len(found["moments"]) == KILLS
    assert found["runs"] >= 1, told
    assert (found["lost"], found["torn"]) == (0, 0), told
    assert (found["faults"], found["unequal"]) == ([], []), told
