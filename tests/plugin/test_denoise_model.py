"""f(x) grows over the scan slice by slice, and what is finished stays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ctinv.arrival import add_layers
from napari_ctinv.sample_data import quarter_dose
from napari_ctinv.selection import volume_of
from napari_ctinv.session import Session, session_of


@pytest.fixture
def session() -> Iterator[Session]:
    viewer = ViewerModel()  # a session does not keep its viewer
    session = session_of(viewer)
    add_layers(session.viewer, quarter_dose())
    yield session
    session.close()


def test_the_whole_scan_lies_over_the_scan_and_is_a_volume_of_its_own(session: Session) -> None:
    scan, model = session.scan.volume(), session.denoise
    seen: list[tuple[int, int]] = []
    model.events.finished.connect(
        lambda done: seen.append((done, sum("f(x)" in layer.name for layer in session.viewer.layers)))
    )
    assert model.run().wait(300).state == "done"
    assert seen == [(done, 1) for done in range(1, len(scan.hu) + 1)], "one layer from the first slice on"
    removed, fx = model.added
    assert fx.data.shape == removed.data.shape == scan.shape
    assert np.isfinite(fx.data).all()
    np.testing.assert_allclose(removed.data + fx.data, scan.hu, atol=1e-3)
    found = volume_of(fx)
    assert found.uid == scan.with_hu(np.asarray(fx.data)).uid
    assert found.acquisition.photons is None, "the noise of the scan no longer applies"
    for layer in model.added:
        np.testing.assert_allclose(
            layer.data_to_world([3, 5, 7]), session.scan.layer.data_to_world([3, 5, 7])
        )
    names = [layer.name for layer in session.viewer.layers]
    assert names.index(removed.name) == names.index(fx.name) - 1


def test_a_run_that_is_stopped_leaves_the_finished_slices(session: Session) -> None:
    scan, model = session.scan.volume(), session.denoise

    def stop(done: int) -> None:
        if done == 2:
            model.activity.cancel()

    model.events.finished.connect(stop)
    assert model.run().wait(300).state == "cancelled"
    model.events.finished.disconnect(stop)
    removed, fx = model.added
    done = model.finished
    assert 2 <= done < len(scan.hu)
    assert fx.data.shape == removed.data.shape == (done, *scan.shape[1:])
    assert np.isfinite(fx.data).all()
    np.testing.assert_allclose(removed.data + fx.data, scan.hu[:done], atol=1e-3)
    np.testing.assert_allclose(fx.data_to_world([1, 5, 7]), session.scan.layer.data_to_world([1, 5, 7]))
    assert volume_of(fx).uid == scan[:done].with_hu(np.asarray(fx.data)).uid
    assert model.run().wait(300).state == "done", "the next one works"
