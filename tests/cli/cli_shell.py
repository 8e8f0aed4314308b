"""What the tests of the command line share: how to run it and what a run leaves."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
BOX = "1,40:56,36:52"


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object it must be."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def sentence(self) -> str:
        """The one sentence on standard error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("error: ")


def command_line(*arguments: object) -> list[str]:
    """The words of a process that runs ctinv."""
    return [sys.executable, "-m", "ctinv.cli", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """The environment of such a process."""
    return {**os.environ, **ONE_CORE, **more}
