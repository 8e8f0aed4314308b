"""Raw and corrected side by side, with the real engine, on napari's model of a viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_studies import make_store, make_volume, sample_cnn10

from ctinv.errors import InputError
from ctinv.sampler import Store
from ctinv.volume import Box
from napari_ctinv.arrival import add_layers
from napari_ctinv.layers import study_layers
from napari_ctinv.session import session_of
from napari_ctinv.session.compare import RAW

BOX = Box(8, 180, 196, 160, 178)


def test_candidates_are_drawn_where_the_slider_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))
    store = Store.open(sample_cnn10(tmp_path / "study.zarr", BOX, n=3))
    viewer = ViewerModel()
    session = session_of(viewer)
    try:
        add_layers(viewer, study_layers(store))
        before = [(layer.name, layer.visible) for layer in viewer.layers]
        session.compare.enter(RAW)
        raw, errors = session.raw.layers
        delivery = session.engine().delivery
        for place in (0, 2):
            session.shown.show(place)
            known = store.certificates[place].rmse_hu_raw
            told = f"k = {place}: the raw candidate misses f(x) by {known:.2f} HU RMSE."
            assert delivery.wait(lambda told=told: session.raw.line == told, 120)  # type: ignore[misc]
            assert np.isfinite(raw.data[place]).all()
            box = store.setting.output_box
            inside = np.s_[BOX.y0 - box.y0 : BOX.y1 - box.y0, BOX.x0 - box.x0 : BOX.x1 - box.x0]
            assert np.sqrt(np.mean(errors.data[place, 0][inside] ** 2)) == pytest.approx(known, rel=0.3)
        assert np.isnan(raw.data[1]).all(), "what nobody looked at was not drawn"
        assert [layer.name for layer in viewer.layers if layer.visible] == [
            "x˜ raw renoise",
            "x˜ cnn10 output",
            "f(x˜ raw) − f(x) [HU]",
            "f(x˜) − f(x) [HU]",
        ]
        session.compare.leave()
        kept = {layer.name: layer.visible for layer in viewer.layers}
        assert all(kept[name] == visible for name, visible in before)
    finally:
        session.close()


def test_what_has_no_candidates_is_one_sentence(tmp_path: Path) -> None:
    viewer = ViewerModel()
    session = session_of(viewer)
    with pytest.raises(InputError, match="stored study of samples that are fed back"):
        session.compare.enter(RAW)
    add_layers(viewer, study_layers(make_store(tmp_path / "s.zarr", make_volume(), rows=2)))
    session.network.name = ""
    with pytest.raises(InputError, match="no denoiser is chosen"):
        session.compare.enter(RAW)
    session.close()
