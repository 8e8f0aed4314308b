"""Laws of the estimate: more work is never estimated at less, and what is there already costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, ResourceError
from ctinv.io.dicom import read_series
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler
from ctinv.sampler.cost import ABSENT, KEPT, READY, Cost
from ctinv.sampler.estimate import estimate
from ctinv.volume import Box, Volume


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTINV_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def scan() -> Volume:
    return read_series(ct_folder() / "quarter_dose")


def square(edge: int) -> Box:
    return Box(10, 200, 200 + edge, 150, 150 + edge)


def cost(sampler: InvarianceSampler, scan: Volume, edge: int, n: int = 50) -> Cost:
    return estimate(sampler, scan, square(edge), n=n)


@pytest.mark.parametrize("edges", [(16, 48), (112, 144)])
def test_more_pixels_take_more_memory_and_time(scan: Volume, edges: tuple[int, int]) -> None:
    """Among regions with a dense factor, and among those that are too large for one."""
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    fewer, more = (cost(sampler, scan, edge) for edge in edges)
    assert [one.shape for one in (fewer, more)] == [(edge, edge) for edge in edges]
    assert more.memory_bytes > fewer.memory_bytes
    assert more.seconds > fewer.seconds
    assert fewer.factor == more.factor == ABSENT
    small = edges[0] < 96
    assert all(("surroundings" in one.stages) == small for one in (fewer, more))
    # At least the factor in float64, twice; or J with its indices.
    least = [2 * 8 * edge**4 if small else 8 * 15**2 * edge**2 for edge in edges]
    assert all(one.memory_bytes > bound for one, bound in zip((fewer, more), least, strict=True))


def test_an_inner_tap_of_many_channels_takes_more(scan: Volume) -> None:
    denoiser = load_denoiser("cnn10")
    output, inner = (
        cost(InvarianceSampler(denoiser, tap=tap, device="cpu"), scan, 32) for tap in ("output", "conv1")
    )
    assert inner.memory_bytes > output.memory_bytes
    assert inner.stages["factor"] > output.stages["factor"]


def test_more_samples_take_longer_and_none_take_nothing(scan: Volume) -> None:
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    few, many, none = (cost(sampler, scan, 16, n) for n in (25, 2500, 0))
    assert many.stages["samples"] > 10 * few.stages["samples"]
    assert none.stages["samples"] == 0


def test_what_is_there_already_is_not_built_again(scan: Volume) -> None:
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    absent = cost(sampler, scan, 24)
    sampler.prepare(scan, square(24))
    ready = cost(sampler, scan, 24)
    kept = cost(InvarianceSampler(load_denoiser("cnn10"), device="cpu"), scan, 24)
    assert (absent.factor, kept.factor, ready.factor) == (ABSENT, KEPT, READY)
    setting_up = [one.seconds - one.stages["samples"] for one in (absent, kept, ready)]
    assert setting_up[0] > setting_up[1] > setting_up[2] == 0
    assert set(kept.stages) == {"cache", "maps", "samples"}
    assert absent.prepared().factor == READY
    assert set(absent.prepared().stages) == {"samples"}


def test_another_tolerance_has_no_factor_yet(scan: Volume) -> None:
    InvarianceSampler(load_denoiser("cnn10"), device="cpu").prepare(scan, square(24))
    other = InvarianceSampler(load_denoiser("cnn10"), device="cpu", tier="T0")
    assert cost(other, scan, 24).factor == ABSENT


def test_a_wide_network_is_probed_as_far_as_it_will_be(scan: Volume) -> None:
    """RED-CNN sees 20 pixels: the estimate takes the radius that preparing chooses."""
    sampler = InvarianceSampler(load_denoiser("redcnn32"), device="cpu")
    found = cost(sampler, scan, 16)
    assert found.factor == ABSENT
    assert sampler.prepare(scan, square(16)).jacobian.of > 8
    assert found.stages["jacobian"] > 0


def test_a_request_that_cannot_be_met_says_so(scan: Volume) -> None:
    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu", memory_budget=2**20)
    with pytest.raises(ResourceError, match="choose a smaller box"):
        cost(sampler, scan, 64)
    with pytest.raises(InputError, match="at least 8 x 8"):
        cost(sampler, scan, 4)


def test_progress_may_stop_it(scan: Volume) -> None:
    def stop(text: str, _share: float) -> None:
        if text.startswith("estimating"):
            raise KeyboardInterrupt

    sampler = InvarianceSampler(load_denoiser("cnn10"), device="cpu")
    with pytest.raises(KeyboardInterrupt):
        estimate(sampler, scan, square(16), n=5, progress=stop)
    assert cost(sampler, scan, 16).seconds > 0
