"""Writing 250 samples of a whole slice takes far less memory than the samples themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "store_memory.py"
LIMIT_MIB = 2048


def peak_mib(folder: Path, *, stage: str, n: int) -> float:
    command = [sys.executable, BENCHMARK, "--stage", stage, "--folder", folder, "--n", str(n)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["peak_mib"])


@pytest.mark.slow
def test_a_whole_slice_is_written_and_checked_within_two_gib_and_independent_of_n(tmp_path: Path) -> None:
    few, many = (tmp_path / "few", tmp_path / "many")
    few.mkdir()
    many.mkdir()
    written = peak_mib(many, stage="write", n=250)
    assert written < LIMIT_MIB
    assert peak_mib(many, stage="resume", n=250) < LIMIT_MIB
    # 200 more planes of 512 x 512 would be 200 MiB as float32, and as much again for their errors
    assert written - peak_mib(few, stage="write", n=50) < 60
