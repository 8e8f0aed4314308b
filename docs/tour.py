"""Drives the whole plugin on the shipped CT, as a user does, and takes the pictures of the user guide.

    python docs/tour.py --out docs/img/tour

The folder receives the pictures and `tour.json`: how long the window's thread did not answer while samples were drawn and
networks trained, how long the first certified sample took, and what lies where in each picture. Needs a screen; `make tour`
starts a virtual one. Settings, studies and caches of the user are neither read nor changed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Runs the tour, and says what each station took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--quick", action="store_true", help="compute as little as possible, as the tests do")
    parser.add_argument("--only", nargs="*", default=None, metavar="STATION", help="stations, in their order")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        _move_in(Path(home))
        return _tour(chosen.out, quick=chosen.quick, only=chosen.only, home=Path(home))


def _move_in(home: Path) -> None:
    """Settings, studies and caches of the tour are its own; nothing has been computed yet."""
    for variable in ("CTINV_CACHE", "CTINV_CONFIG", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        os.environ[variable] = str(home / variable.lower())
    os.environ["NAPARI_CONFIG"] = str(home / "napari" / "settings.yaml")


def _tour(out: Path, *, quick: bool, only: list[str] | None, home: Path) -> int:
    from _tour.opening import opened
    from _tour.stations import STATIONS

    seconds: dict[str, float] = {}
    with opened(out, quick=quick, home=home) as stage:
        for name in STATIONS if only is None else only:
            begin = time.perf_counter()
            with stage.no_errors():
                STATIONS[name](stage)
            seconds[name] = round(time.perf_counter() - begin, 2)
            print(f"{name}: {seconds[name]:.1f} s", file=sys.stderr, flush=True)
            _write(out, {"quick": quick, "seconds": seconds, **stage.record()})
    return 0


def _write(out: Path, record: dict[str, Any]) -> None:
    """The figures so far, so that a tour that is stopped has those of the stations it has passed."""
    record["threads"] = os.environ.get("OMP_NUM_THREADS", "")
    (out / "tour.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
