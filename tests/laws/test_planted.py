"""G5: a planted lesion invariance is found, and nothing is found where none was planted (method §6)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctinv.errors import InputError
from ctinv.fibre.discs import Disc
from ctinv.fibre.jacobian import LocalJacobian
from ctinv.fibre.region import Region
from ctinv.representation import Representation
from ctinv.validation.checks import Check
from ctinv.validation.planted import CROP, DIAMETER_MM, REGION, Ground, Notched, check, notch_place

SEEDS = range(3)


@pytest.fixture(scope="module")
def checks() -> list[Check]:
    return check(seeds=SEEDS)


def test_the_planted_lesion_is_found_and_nothing_else(checks: list[Check]) -> None:
    assert [str(one) for one in checks if not one.passed] == []
    names = " ".join(one.name for one in checks)
    for kind in ("lesion blindness", "search", "eigen-invariance", "false alarms"):
        assert kind in names
    alarms = [one for one in checks if "false alarms" in one.name]
    assert all(f"in {len(SEEDS) + 1} scans" in one.name for one in alarms)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return Ground.shipped()


def test_the_disc_is_off_the_grid(ground: Ground) -> None:
    disc = ground.planted
    assert min(abs(disc.y % 1.0 - offset) for offset in (0.0, 0.5, 1.0)) > 0.1
    assert min(abs(disc.x % 1.0 - offset) for offset in (0.0, 0.5, 1.0)) > 0.1
    assert DIAMETER_MM not in (3.0, 5.0, 7.0, 9.0)


def test_the_notch_takes_the_disc_out_and_leaves_the_rest() -> None:
    pattern = torch.from_numpy(Disc(3.2, 3.4, 5.0).image((7, 7), (1.0, 1.0)))
    notch = Notched(torch.nn.Identity(), pattern, torch.zeros(7, 7))
    rows, columns = notch_place((40, 41), (7, 7))
    image = torch.randn(2, 1, 40, 41, generator=torch.Generator().manual_seed(0))
    once = notch(image)
    torch.testing.assert_close(notch(once), once, rtol=1e-5, atol=1e-5)
    amount = (once[..., rows, columns] * pattern).sum((-2, -1))
    assert float(amount.abs().max()) < 1e-4
    outside = torch.ones(40, 41, dtype=torch.bool)
    outside[rows, columns] = False
    assert torch.equal(once[..., outside], image[..., outside])
    with pytest.raises(InputError, match="does not fit"):
        notch(torch.zeros(1, 1, 8, 8))


def test_the_receptive_field_of_the_notch_is_measured_whole(ground: Ground) -> None:
    """One pixel of the disc moves every output that any pixel of it can move; the context is the whole crop; Js = 0."""
    region = Region.in_slice(Representation(ground.notched()), ground.scan, REGION)
    image = ground.planted.image(REGION.shape, ground.spacing_mm)
    wide = int(image.any(axis=0).sum())
    assert region.radius == wide - 1 + 7  # cnn10 reaches 7
    assert region.context_box.shape == CROP.shape
    other = Disc(6.0, 6.0, 5.0).image(REGION.shape, ground.spacing_mm)
    columns = torch.from_numpy(np.stack([image, other]).reshape(2, -1).T.copy())
    planted, seen = LocalJacobian(region, region.scan).apply(columns).abs().amax(0)
    assert float(planted) < 1e-4
    assert float(seen) > 0.3
