"""A full disk, Ctrl-C and the end of the process at each single write of a run: the study opens, is sound, and goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["error", "interrupt", "kill"])
def test_a_break_at_any_write_leaves_a_sound_study_that_ends_the_same(tmp_path: Path, mode: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    words = [sys.executable, str(HERE / "write_faults.py"), str(tmp_path), mode]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["writes"] > 200
    assert found["bad"] == []
