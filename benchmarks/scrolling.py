"""How long one step of the sample slider takes in a real viewer, and how long a pixel's histogram, from a study on disk.

Prints one JSON object: ms per step, from setting the slider until the picture has been drawn, over 250 samples of
512 x 512: the first pass from a cold cache, the second, backwards, and random jumps; then ms for the values of a pixel. The
bars are 60 ms per step by the median and 100 ms per pixel; the largest step is what a user may feel, and must stay below the
100 ms for which the window may be busy. With ``--evict`` the study's files leave the system's cache first.

    OMP_NUM_THREADS=2 xvfb-run -a -s "-screen 0 1280x720x24" python benchmarks/scrolling.py
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from peak import peak_mib
from store_memory import write

from ctinv.sampler import Store

BAR_STEP_MS, BAR_PROBE_MS = 60.0, 100.0


def evict(folder: Path) -> None:
    """Ask the system to forget the files, so that they come from the disk."""
    for file in folder.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def figures(milliseconds: Iterable[float]) -> dict[str, float]:
    """Median, 95th percentile and largest."""
    values = np.array(list(milliseconds))
    return {
        "median_ms": round(float(np.median(values)), 2),
        "p95_ms": round(float(np.percentile(values, 95)), 2),
        "max_ms": round(float(values.max()), 2),
    }


class Screen:
    """A viewer with the layers of a study; knows when a picture has been drawn."""

    def __init__(self, path: Path) -> None:
        import napari

        from napari_ctinv.arrival import add_layers
        from napari_ctinv.layers import study_layers

        self.viewer = napari.Viewer(show=True)
        self.layers = add_layers(self.viewer, study_layers(Store.open(path)))
        self._canvas = self.viewer.window._qt_viewer.canvas._scene_canvas
        self._drawn = 0
        self._canvas.events.draw.connect(self._count, position="last")
        self.settle()

    def _count(self, _event: Any) -> None:
        self._drawn += 1

    def settle(self, seconds: float = 1.0) -> None:
        """Let everything that waits be done."""
        from qtpy.QtWidgets import QApplication

        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()

    def step(self, k: int) -> float:
        """ms from setting the slider to sample k until it has been drawn."""
        from qtpy.QtWidgets import QApplication
        from vispy.gloo import gl

        before, begin = self._drawn, time.perf_counter()
        self.viewer.dims.set_current_step(0, k)
        while self._drawn == before and time.perf_counter() < begin + 5:
            QApplication.processEvents()
        self._canvas.set_current()
        gl.glFinish()
        return 1e3 * (time.perf_counter() - begin)


def measure(path: Path, *, cold: bool) -> dict[str, Any]:
    """All passes over one study."""
    if cold:
        evict(path)
    screen = Screen(path)
    n = screen.layers[-1].data.shape[0]
    rng = np.random.default_rng(0)
    walk = [*range(1, n), 0]

    def lap(order: Iterable[int]) -> dict[str, float]:
        return figures(screen.step(int(k)) for k in order)

    found: dict[str, Any] = {"first": lap(walk), "second": lap(walk), "back": lap(range(n - 1, -1, -1))}
    found["jumps"] = lap(rng.permutation(n)[:100])
    found["probe"] = probe(path, rng)
    screen.viewer.close()
    return found


def probe(path: Path, rng: np.random.Generator) -> dict[str, float]:
    """ms for the values of all samples at a pixel."""
    store = Store.open(path)
    height, width = store.setting.region
    places = [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(30)]
    return figures(timed(store.probe, *place) for place in places)


def timed(call: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    call(*arguments)
    return 1e3 * (time.perf_counter() - begin)


def main() -> None:
    """Make a study, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n", type=int, default=250)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--study", type=Path, help="an existing study instead of a made one")
    parser.add_argument("--evict", action="store_true", help="drop the files from the system's cache first")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = asked.study or Path(folder) / "study.zarr"
        if asked.study is None:
            write(path, asked.n, asked.side)
        found = measure(path, cold=asked.evict)
    passes = ("first", "second", "back", "jumps")
    page = {
        "study": f"{asked.n} x {asked.side} x {asked.side}",
        "bars_ms": {"step": BAR_STEP_MS, "probe": BAR_PROBE_MS},
        "met": all(found[name]["median_ms"] <= BAR_STEP_MS for name in passes)
        and found["probe"]["max_ms"] <= BAR_PROBE_MS,
        "peak_mib": round(peak_mib()),
        **found,
    }
    print(json.dumps(page, indent=1))


if __name__ == "__main__":
    main()
