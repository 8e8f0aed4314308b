from __future__ import annotations

from pathlib import Path

import pytest
from plugin_studies import make_store, make_volume

from ctinv.sampler import Store
from ctinv.volume import Volume


@pytest.fixture
def volume() -> Volume:
    return make_volume()


@pytest.fixture
def store(tmp_path: Path, volume: Volume) -> Store:
    return make_store(tmp_path / "study.zarr", volume, rows=7)
