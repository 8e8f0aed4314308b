"""How long one step of the sample slider takes in a real viewer, and how long a pixel's histogram, from a study on disk.

Prints one JSON object: ms per step, from setting the slider until the picture has been drawn, over 250 samples of 512 x
512, with the dock open on the certificate table, which follows, and the stamp: the first pass from a cold cache, the
second, backwards, random jumps, and the grid of x, f(x), x̃ and f(x̃) - f(x); then ms for the values of a pixel, bare and
from the click until the histogram has been drawn, at the first pixel and at those after it. The bars are 60 ms per step
by the median and 100 ms per pixel; the largest step is what a user may feel, and shall stay below the 100 ms for which
the window may be busy. Beside the time that passes stands that of the processors, all threads together: a step of an
otherwise idle machine takes no longer than that. With ``--evict`` the study's files leave the system's cache first.

    OMP_NUM_THREADS=2 xvfb-run -a -s "-screen 0 1280x720x24" python benchmarks/scrolling.py
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

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


Moment = tuple[float, float]
"""Seconds of the clock, and of the processors."""


def now() -> Moment:
    """This moment."""
    return time.perf_counter(), time.process_time()


def figures(calls: Iterable[Callable[[], Moment | None]]) -> dict[str, dict[str, float]]:
    """Median, 95th percentile and largest of ms that pass, and of ms of the processors.

    Args:
        calls: A call may tell when it had done what is measured.
    """
    wall, busy = [], []
    for call in calls:
        begin = now()
        end = call() or now()
        wall.append(1e3 * (end[0] - begin[0]))
        busy.append(1e3 * (end[1] - begin[1]))
    return {
        name: {
            "median_ms": round(float(np.median(values)), 2),
            "p95_ms": round(float(np.percentile(values, 95)), 2),
            "max_ms": round(float(np.max(values)), 2),
        }
        for name, values in (("wall", wall), ("cpu", busy))
    }


def paintings(widget: Any) -> list[Moment]:
    """When a widget is painted from now on."""
    from qtpy.QtCore import QEvent, QObject

    class Painted(QObject):
        moments: ClassVar[list[Moment]] = []

        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                self.moments.append(now())
            return False

    widget.installEventFilter(Painted(widget))
    return Painted.moments


class Screen:
    """A viewer with the layers of a study; knows when a picture has been drawn."""

    def __init__(self, path: Path) -> None:
        import napari

        from napari_ctinv.arrival import add_layers
        from napari_ctinv.dock import CtInvariances
        from napari_ctinv.layers import study_layers

        self.viewer = napari.Viewer(show=True)
        self.dock = CtInvariances(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="CT Invariances", area="right")
        self.dock.show_tab("Invariances", "Certificates")
        self.session = self.dock.session
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

    def step(self, k: int) -> None:
        """Set the slider to sample k and wait until it has been drawn."""
        from qtpy.QtWidgets import QApplication
        from vispy.gloo import gl

        before, begin = self._drawn, time.perf_counter()
        self.viewer.dims.set_current_step(0, k)
        while self._drawn == before and time.perf_counter() < begin + 5:
            QApplication.processEvents()
        self._canvas.set_current()
        gl.glFinish()

    def probe(self, y: int, x: int) -> Moment:
        """Ask for a pixel and wait until its histogram is drawn; the window is alive meanwhile."""
        from qtpy.QtWidgets import QApplication

        shown: list[float] = []
        listener = self.session.probe.events.probed.connect(lambda _probed: shown.append(time.perf_counter()))
        begin = time.perf_counter()
        self.session.probe.at(y, x)
        while time.perf_counter() < begin + 5:
            QApplication.processEvents()
            drawn = [moment for moment in self._paintings if shown and moment[0] > shown[-1]]
            if drawn:
                self.session.probe.events.probed.disconnect(listener)
                return drawn[0]
        raise TimeoutError("the histogram is not drawn")

    def probes(self, places: Iterable[tuple[int, int]]) -> Iterable[Callable[[], Moment]]:
        """One after the other, with time in between for what comes after the histogram."""
        self.dock.show_tab("Invariances", "Probe")
        self._paintings = paintings(self.dock.section("Probe").plot.canvas.viewport())
        for place in places:
            self.settle()
            yield partial(self.probe, *place)


def measure(path: Path, *, cold: bool) -> dict[str, Any]:
    """All passes over one study."""
    if cold:
        evict(path)
    screen = Screen(path)
    n = screen.layers[-1].data.shape[0]
    rng = np.random.default_rng(0)
    walk = [*range(1, n), 0]

    def lap(order: Iterable[int]) -> dict[str, dict[str, float]]:
        return figures(partial(screen.step, int(k)) for k in order)

    found: dict[str, Any] = {"first": lap(walk), "second": lap(walk), "back": lap(range(n - 1, -1, -1))}
    found["jumps"] = lap(rng.permutation(n)[:100])
    screen.session.compare.enter("grid")
    screen.settle()
    found["grid_first"], found["grid_second"] = lap(walk[:100]), lap(walk[:100])
    screen.session.compare.leave()
    height, width = Store.open(path).setting.region
    places = [(int(rng.integers(height)), int(rng.integers(width))) for _ in range(30)]
    store = Store.open(path)

    def read(y: int, x: int) -> None:
        store.probe(y, x)

    found["probe"] = figures(partial(read, *place) for place in places)
    found["first_click_to_histogram"] = figures(screen.probes(places[:1]))
    found["click_to_histogram"] = figures(screen.probes(places[1:]))
    screen.session.close()
    screen.viewer.close()
    return found


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
        "met": all(found[name]["wall"]["median_ms"] <= BAR_STEP_MS for name in passes)
        and all(
            found[name]["wall"]["median_ms"] <= BAR_PROBE_MS
            for name in ("first_click_to_histogram", "click_to_histogram")
        ),
        "load_average": os.getloadavg()[0],
        "peak_mib": round(peak_mib()),
        **found,
    }
    print(json.dumps(page, indent=1))


if __name__ == "__main__":
    main()
