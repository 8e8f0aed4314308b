"""One training at a time in an output folder; what a killed one leaves is no obstacle."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import GENERATOR, outcome, train, write_data

from ctinv.errors import StoreError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("kind", ["average", GENERATOR])
def test_a_second_training_is_refused_and_the_first_is_not_disturbed(
    data: Path, tmp_path: Path, kind: str
) -> None:
    said: list[str] = []

    def second(event: Any) -> None:
        if not said and event.step == 3:
            with pytest.raises(StoreError) as told:
                train(kind, data, tmp_path / "run")
            said.append(str(told.value))

    train(kind, data, tmp_path / "run", callback=second)
    assert f"run is being written by process {os.getpid()} on {socket.gethostname()} since 20" in said[0]
    assert len(said[0]) <= 200
    train(kind, data, tmp_path / "alone")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "alone")


def test_what_a_killed_training_leaves_is_taken_over_and_cleared(data: Path, tmp_path: Path) -> None:
    stale = {"pid": 999_999_999, "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    (tmp_path / "writer.lock").write_text(json.dumps(stale))
    (tmp_path / ".checkpoint.safetensors.0a1b2c3d.part").write_bytes(b"half")
    (tmp_path / ".tiny.0a1b2c3d.part" / "models").mkdir(parents=True)
    train("average", data, tmp_path)
    assert not list(tmp_path.glob(".*"))
