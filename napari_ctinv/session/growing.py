"""A study that grows on the screen while it is sampled, each step in a turn of the event loop of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ctinv.errors import StoreError
from napari_ctinv.arrival import add_layers
from napari_ctinv.engine.messages import Outcome
from napari_ctinv.layers import LayerTuple, fx_layer, map_layers, sample_stack, samples_layer
from napari_ctinv.work.sample import Grown

if TYPE_CHECKING:
    from napari.layers import Layer

    from ctinv.sampler import Store
    from napari_ctinv.session.invariances import InvariancesModel

T = TypeVar("T")

TOGETHER = 25
"""Samples that are computed at once where memory allows."""
SHORT = (
    f"memory was short, so {{}} instead of {TOGETHER} samples are computed at once: it takes longer, and the samples are "
    "the same but for rounding."
)


class GrowingStudy:
    """Puts the samples of one run on the screen as they come, and the maps at its end.

    Args:
        model: Holds what is on the screen.
        window: Contrast limits of the scan.
        outline: The layer with the drawn region, which stays on top of its results.
    """

    def __init__(
        self, model: InvariancesModel, window: tuple[float, float] | None, outline: Layer | None
    ) -> None:
        self._model, self._window, self._outline = model, window, outline
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="study")
        self._opening: Future[Store | None] | None = None

    def grow(self, item: Grown) -> None:
        """More samples are finished."""
        if item.together is not None and item.together < TOGETHER:
            self._model.notice = SHORT.format(item.together)
        if self._model.study is not None:
            self._refresh(self._model.study)
            self._show(self._model.study)
        elif self._opening is None:
            # In a thread of its own: a study proves its files when it is opened.
            self._opening = self._read(partial(_open, item), lambda _opening: self._take())

    def finish(self, _outcome: Outcome) -> None:
        """The run has ended: the maps go below the samples."""
        if self._opening is not None:
            self._take()
        elif self._model.study is not None:
            self._refresh(self._model.study)
        study = self._model.study
        if study is None or not study.certificates:
            self._model.complete = True
            return
        self._show(study)
        self._read(
            lambda: [*map_layers(study, window=self._window)],
            lambda maps: self._next_map(iter(self._result(maps) or ())),
        )

    def _read(self, read: Callable[[], T], call: Callable[[Future[T]], None]) -> Future[T]:
        """Read in a thread, then have this called as by `_later`."""
        session, model = self._model.session, self._model
        work = self._reader.submit(read)
        session.follow(work, lambda done: call(done) if model.growing is self else None)
        return work

    def _result(self, work: Future[T]) -> T | None:
        """What a thread has read; None, with the reason told, where the study is damaged."""
        try:
            return work.result()
        except StoreError as error:
            self._model.notice = str(error)
            return None

    def _later(self, call: Callable[[], None]) -> None:
        """Have this called in a turn of its own, unless another run has begun by then."""
        model = self._model
        model.session.later(lambda: call() if model.growing is self else None)

    def _take(self) -> None:
        """The study is open; it is waited for where it is not yet."""
        opening, self._opening = self._opening, None
        study = self._result(opening) if opening is not None else None
        if study is not None and self._model.study is None:
            self._model.study = study
            self._refresh(study)
            self._show(study)

    def _refresh(self, study: Store) -> None:
        """Take in what was committed; why that cannot be is told, and what is on the screen stays."""
        try:
            study.refresh()
        except StoreError as error:
            self._model.notice = str(error)

    def _show(self, study: Store) -> None:
        model = self._model
        if not study.certificates:
            return
        if model.samples is None:
            self._add(samples_layer(study, window=self._window), below=self._outline)
            model.samples = model.results[-1]
            model.session.shown.show(0)
            self._later(lambda: self._add(fx_layer(study, window=self._window), below=model.samples))
        elif len(model.samples.data) < len(study.rows):
            model.samples.data = sample_stack(study)
        model.finished = len(study.rows)

    def _next_map(self, maps: Iterator[LayerTuple]) -> None:
        layer = next(maps, None)
        if layer is not None:
            self._add(layer, below=self._model.samples)
            self._later(lambda: self._next_map(maps))
            return
        layers = self._model.session.viewer.layers
        if self._model.samples in layers:
            layers.selection.active = self._model.samples
        self._model.complete = True

    def _add(self, layer: LayerTuple, *, below: Layer | None) -> None:
        self._model.results = (
            *self._model.results,
            *add_layers(self._model.session.viewer, [layer], below=below),
        )


def _open(item: Grown) -> Store | None:
    """The study; None where it was there before and is being prepared for more samples at this moment."""
    from ctinv.sampler import Store

    try:
        return Store.open(item.study)
    except StoreError:
        if item.rows:
            raise
        return None
