"""ProbeModel: all samples at one pixel. The values are read in a thread, so that the viewer never waits for a disk."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from psygnal import SignalGroupDescriptor

from ctinv.errors import CtinvError, InputError
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import probe_layer
from napari_ctinv.placement import place
from napari_ctinv.viewing.clicks import Clicks

if TYPE_CHECKING:
    from napari.layers import Points

    from ctinv.sampler import Samples, Store
    from napari_ctinv.session import Session

PERCENTILES = (5, 25, 50, 75, 95)
MOST_BINS = 40


@dataclass(frozen=True, eq=False)
class Probed:
    """One pixel.

    Attributes:
        pixel: Row and column in the region.
        values: (n,) HU, every finished sample there.
        x: The scan there, HU.
        fx: f(x) there, HU.
        unit: Unit of the values.
        failed: How many of the samples did not reach their tier; they are among the values.
        quantum: Step of the stored values, 0 if there is none.
    """

    pixel: tuple[int, int]
    values: NDArray[np.float32]
    x: float
    fx: float
    unit: str
    failed: int
    quantum: float

    @property
    def histogram(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Edges (b + 1,) in HU and counts (b,); no bin is narrower than the step of the values."""
        low, high = float(self.values.min()), float(self.values.max())
        width = _bin_width(self.values, self.quantum)
        first = np.floor(low / width) * width
        edges = first + width * np.arange(int((high - first) / width) + 2)
        counts, _ = np.histogram(self.values, edges)
        return edges, counts

    @property
    def lines(self) -> str:
        """Number, mean ± standard deviation, percentiles, x and f(x) in words."""
        values, unit = self.values.astype(np.float64), self.unit
        spread = f"{values.std(ddof=1):.1f}" if len(values) > 1 else "unknown"
        among = f", {self.failed} of them not reached" if self.failed else ""
        levels = " · ".join(f"{value:.1f}" for value in np.percentile(values, PERCENTILES))
        names = "/".join(str(one) for one in PERCENTILES)
        return (
            f"row {self.pixel[0]}, column {self.pixel[1]} of the region; {len(values)} samples{among}\n"
            f"x̃: {values.mean():.1f} ± {spread} {unit}\n"
            f"percentiles {names}: {levels} {unit}\n"
            f"x: {self.x:.1f} {unit}, f(x): {self.fx:.1f} {unit}"
        )


def _bin_width(values: NDArray[np.float32], quantum: float) -> float:
    """After Freedman and Diaconis, a whole number of steps, and so wide that there are not too many bins."""
    quarter, three = np.percentile(values, [25, 75])
    width = 2 * float(three - quarter) / len(values) ** (1 / 3)
    width = max(width, float(np.ptp(values)) / MOST_BINS, 1e-6)
    return float(np.ceil(width / quantum) * quantum) if quantum else width


@dataclass(eq=False)
class ProbeModel:
    """Click a pixel, see its samples.

    Attributes:
        session: The session.
        on: Whether a click on the canvas probes.
        pixel: Row and column in the region of the study; None before the first click.
        probed: What was read last.
        message: Why nothing could be read, in one sentence.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    session: Session = field(repr=False)
    on: bool = False
    pixel: tuple[int, int] | None = None
    probed: Probed | None = None
    message: str = ""

    def __post_init__(self) -> None:
        self._delivery = self.session.engine().delivery
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="ctinv-probe")
        self._busy = self._again = self._mark_is_due = False
        self._mark: Points | None = None
        self._clicks = Clicks(self._click)
        self.events.on.connect(lambda on: self._clicks.listen(self.session.viewer, on))
        self.session.shown.events.samples.connect(self._forget)
        self.session.shown.events.finished.connect(self._read)

    def at(self, y: int, x: int) -> None:
        """Probe a pixel of the region; the values arrive as `probed`.

        Raises:
            InputError: No study is shown, or the pixel lies outside its region.
        """
        study = self._study()
        height, width = study.setting.region
        if not (0 <= y < height and 0 <= x < width):
            raise InputError(
                f"pixel ({y}, {x}) lies outside the region of {height} x {width} voxels; click into it."
            )
        self.pixel = (y, x)
        self._mark_is_due = not self._move_mark()
        self._read()

    def wait(self, timeout_s: float = 10.0) -> Probed:
        """Keep the interface alive until the values are there, for scripts and tests.

        Raises:
            TimeoutError: They are not there after this time.
        """
        if not self._delivery.wait(lambda: not self._busy, timeout_s) or self.probed is None:
            raise TimeoutError(f"the pixel was not read within {timeout_s:g} s.")
        return self.probed

    def _study(self) -> Store | Samples:
        study = self.session.shown.study
        if study is None:
            raise InputError("there are no samples to probe; sample a region or open a study first.")
        return study

    def _click(self, position: tuple[float, ...]) -> None:
        try:
            self.at(*self._pixel_at(position))
        except CtinvError as error:
            self.message = ""
            self.message = str(error)

    def _pixel_at(self, position: Any) -> tuple[int, int]:
        """Row and column, in the axes of the scan, of a position in the viewer's world."""
        study, samples = self._study(), self.session.shown.samples
        assert samples is not None
        seen = np.rint(samples.world_to_data([0.0, *position[-3:]])[-3:]).astype(int)
        volume = study.setting.volume
        index = np.empty(3, dtype=int)
        index[list(place(volume.affine, volume.shape).order)] = seen
        return int(index[1]), int(index[2])

    def _move_mark(self) -> bool:
        """Whether there is a mark, which is at the pixel then."""
        if self._mark is None or self._mark not in self.session.viewer.layers:
            return False
        self._mark.data = self._place()
        return True

    def _add_mark(self) -> None:
        if self.pixel is None:  # another study is shown by now
            return
        viewer = self.session.viewer
        active = viewer.layers.selection.active
        (self._mark,) = add_layers(viewer, [probe_layer(self._place())])
        viewer.layers.selection.active = active  # the tools stay those of the image

    def _place(self) -> NDArray[np.float64]:
        """(1, 2) mm, the pixel in the plane that is seen."""
        samples = self.session.shown.samples
        assert samples is not None
        assert self.pixel is not None
        volume = self._study().setting.volume
        seen = [(0, *self.pixel)[axis] for axis in place(volume.affine, volume.shape).order]
        return np.array([samples.data_to_world([0, *seen])[-2:]])

    def _forget(self, _samples: Any) -> None:
        """The pixel belonged to another study."""
        self.pixel, self.probed, self._mark_is_due = None, None, False
        if self._mark is not None and self._mark in self.session.viewer.layers:
            self.session.viewer.layers.remove(self._mark)

    def _read(self, _count: Any = None) -> None:
        if self.pixel is None or self.session.shown.study is None:
            return
        if self._busy:
            self._again = True
            return
        self._busy = True
        # A copy keeps the journal and the arrays of this moment, while the viewer takes in what is committed next.
        reading = self._reader.submit(read, copy.copy(self._study()), self.pixel)
        self._delivery.follow(reading, self._take)

    def _take(self, done: Any) -> None:
        self._busy = False
        error = done.exception()
        if self._again:
            self._again = False
            self._read()
        if error is not None:
            self.message = str(error) if isinstance(error, CtinvError) else "the pixel could not be read."
        elif self.pixel == done.result().pixel:
            self.message = ""
            self.probed = done.result()
        if self._mark_is_due:
            self._mark_is_due = False
            # The first points that napari draws take a while: the histogram is laid out and drawn in two turns before.
            self.session.later(lambda: self.session.later(self._add_mark))


def read(study: Store | Samples, pixel: tuple[int, int]) -> Probed:
    """All samples of a study at a pixel.

    Raises:
        StoreError: The study is damaged.
    """
    setting, certificates = study.setting, study.certificates
    target = study.provenance.domain == "target"
    return Probed(
        pixel,
        study.probe(*pixel),
        float(setting.volume.hu[0][pixel]),
        float(setting.fx[pixel]),
        setting.volume.unit,
        0 if target else sum(not certificate.passed for certificate in certificates),
        setting.quantum,
    )
