"""The shell: ``ctinv demo | info | trust | simulate | denoise | sample | certify | verify | repair | dimension | analyse |
find-blind | compare | population | report | export | layers | train | bench | validate | view``.

Every command takes ``--json`` and then prints exactly one JSON object on standard output, whatever happens:
the result, or an object with ``"error"``. Progress goes to standard error. Exit codes: 0 success, 1 an error
said in one sentence, 2 wrong usage, 130 interrupted by Ctrl-C, 143 ended by SIGTERM.

To add a command: write a function that returns a `ctinv.cli.outcome.Outcome`, decorate it with `command` in a
file of this package and name the file in `_GROUPS`. Heavy imports belong inside the function: showing the
help loads neither torch nor MONAI.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

_GROUPS = (
    "demo",
    "scan",
    "trust",
    "study",
    "mend",
    "analyse",
    "find_blind",
    "compare",
    "population",
    "report",
    "export",
    "layers",
    "train",
    "bench",
    "validate",
    "view",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: Words after ``ctinv``; those of the process by default.
    """
    from ctinv.cli.app import run

    for group in _GROUPS:
        importlib.import_module(f"ctinv.cli.{group}")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))
