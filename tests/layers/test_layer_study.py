"""The layer study: what may be called generator error and what may not, one ε for all taps, and fibres that nest."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import InputError
from ctinv.fibre.correct import QUANTUM_HU
from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene, TrainingFree
from ctinv.generators.find import GENERATORS
from ctinv.io import read
from ctinv.layer_study import LayerStudy, study_layers
from ctinv.layer_study import study as study_module
from ctinv.layer_study.one_tap import GENERATOR_ERROR, NONE_HERE, NOT_FED_BACK, RESCANS, WITHIN
from ctinv.networks import NETWORKS, NoiseSubtractionResNet
from ctinv.resources import ct_folder
from ctinv.sampler import InvarianceSampler
from ctinv.volume import Box, Volume

CUT, BOX = (
    Box(8, 140, 236, 120, 216),
    Box(0, 40, 56, 40, 56),
)  # the smaller the slice, the sooner it is re-noised
N = 25


class Loud:
    """Varies by a smooth pattern of 10 HU around the scan: far more than any tap of CNN-10 allows at T2."""

    amplitude = 10.0

    def __init__(self, scene: Scene) -> None:
        self.scan = scene.region.scan

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> Tensor:
        pattern = torch.outer(*(torch.hann_window(side) for side in self.scan.shape[-2:]))
        weights = torch.from_numpy(seeds.normal(rows, 1, CANDIDATE))
        return (
            self.scan + self.amplitude * weights[:, :, None, None] * pattern / pattern.square().mean().sqrt()
        )


class Quiet(Loud):
    """The same pattern so faint that the fibre holds it: not every generator is wrong."""

    amplitude = 0.02


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A part of the shipped CT."""
    return read(ct_folder() / "quarter_dose")[CUT]


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return load_denoiser("cnn10")


@pytest.fixture(scope="module")
def loud(denoiser: Denoiser, scan: Volume) -> LayerStudy:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GENERATORS, "loud", Loud)
        return study_layers(denoiser, scan, BOX, generator="loud", n=N, device="cpu")


def test_a_generator_that_varies_too_much_is_called_wrong_at_every_tap(loud: LayerStudy) -> None:
    assert [tap.tap for tap in loud.taps] == ["input", "conv1", "conv2", "output"]
    for tap in loud.taps:
        shown = tap.generator
        assert shown is not None
        assert shown.series is not None
        assert shown.verdict == GENERATOR_ERROR
        assert shown.excess == pytest.approx(shown.series.raw.hu / tap.allowed.hu)
        assert shown.excess > 3
        assert shown.series.raw.hu == pytest.approx(
            10.0, rel=0.4
        )  # the pattern's own, of 25 draws of one number
        assert shown.series.share_certified == 1.0
        # Corrected, it is held to the fibre: what it showed beyond was not invariance.
        assert shown.series.certified.hu < 1.5 * tap.allowed.hu


@pytest.mark.parametrize(("name", "verdict"), [("renoise", RESCANS), ("quiet", WITHIN)])
def test_what_stays_within_the_fibre_is_not_called_wrong(
    denoiser: Denoiser, scan: Volume, name: str, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GENERATORS, "quiet", Quiet)
    for tap in study_layers(denoiser, scan, BOX, generator=name, taps=["output"], n=10).taps:
        assert tap.generator is not None
        assert tap.generator.verdict == verdict
        assert not tap.generator.is_error


def test_the_fibre_is_that_of_the_sampler_and_of_linear_theory(
    loud: LayerStudy, denoiser: Denoiser, scan: Volume
) -> None:
    output = loud.taps[-1]
    samples = InvarianceSampler(denoiser, device="cpu").sample(scan, BOX, n=N)
    spread = float(np.sqrt(np.mean(samples.spread().astype(np.float64) ** 2)))
    assert output.fibre.certified.hu == pytest.approx(spread, rel=1e-5)  # the very same samples
    for tap in loud.taps:
        assert tap.fibre.share_certified == 1.0
        rounded = math.hypot(tap.theory_hu, QUANTUM_HU / math.sqrt(12))  # samples lie on a grid of 1/8 HU
        assert tap.fibre.certified.hu == pytest.approx(rounded, rel=0.1)
        assert tap.allowed.hu >= tap.fibre.certified.hu
        assert tap.fibre.error <= tap.limit
        at_tier = next(row for row in tap.tiers if row.name == "T2")
        assert at_tier.spread_hu == pytest.approx(tap.theory_hu, rel=1e-3)


def test_one_relative_tolerance_serves_all_taps(loud: LayerStudy) -> None:
    for tap in loud.taps:
        assert [row.share for row in tap.dimension] == [0.01, 0.05, 0.10]
        fixed = [row.d_eff for row in tap.dimension]
        assert fixed == sorted(fixed, reverse=True)  # a wider tolerance fixes less
        for row in tap.dimension:
            assert row.eps == pytest.approx(row.share * tap.response)
            assert row.free_share == pytest.approx(1 - row.d_eff / 256)
            # Samples of the law have an error of ε at most, so the ε that gives them an error of ρ is no smaller.
            assert row.free_share_at_rms >= row.free_share - 1e-9
    at_input = loud.taps[0]
    assert at_input.response == pytest.approx(loud.sigma_noise_hu)
    assert at_input.dimension[1].spread_at_rms_hu == pytest.approx(
        at_input.dimension[1].eps, rel=1e-3
    )  # Φ is x itself


def test_a_tap_of_many_channels_is_not_stricter_for_them(loud: LayerStudy) -> None:
    """At the tolerance of one output conv1 leaves a tenth of the spread that its RMS error over all 64 channels leaves."""
    conv1, output = loud.taps[1], loud.taps[-1]
    assert conv1.channels == 64
    assert conv1.dimension[1].spread_at_rms_hu > 5 * conv1.dimension[1].spread_hu
    assert output.dimension[1].spread_at_rms_hu == pytest.approx(output.dimension[1].spread_hu, rel=0.05)


def test_fibres_of_a_chain_nest(loud: LayerStudy) -> None:
    nested = loud.nested
    assert nested.passed_by == ()
    for row, tap in enumerate(loud.taps):
        assert all(math.isnan(value) for value in nested.error[row][:row])
        assert nested.error[row][row] == pytest.approx(tap.fibre.error, rel=1e-4)  # fed back twice, two ways
        assert all(value <= 1 for value in nested.ratio[row][row:])
        assert nested.nfe_at_output[row] == pytest.approx(tap.fibre.nfe, rel=1e-3)
        assert nested.nfe_at_output[row] < 0.1


def test_a_network_with_a_skip_says_that_its_taps_are_passed_by(scan: Volume) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NoiseSubtractionResNet(channels=16, blocks=1)
    spec = NETWORKS["NoiseSubtractionResNet"]
    skipping = Denoiser(network, name="skipping", std=500.0, taps={"block1": spec.taps["block1"]})
    nested = study_layers(skipping, scan, BOX, n=2, device="cpu").nested
    assert nested.passed_by == ("block1",)
    assert "pass block1 by" in nested.notes[0]


def test_a_generator_is_looked_at_where_there_is_one(
    denoiser: Denoiser, scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: object, representation: object) -> TrainingFree:
        if representation.tap != "output":  # type: ignore[attr-defined]
            raise InputError("no such generator here.")
        return TrainingFree("loud", Loud, "target", {"model.safetensors": "ab"})

    monkeypatch.setattr(study_module, "find_generator", find)
    inner, output = study_layers(denoiser, scan, BOX, generator="loud", taps=["output", "conv2"], n=2).taps
    assert inner.generator is not None
    assert (inner.generator.verdict, inner.generator.why) == (NONE_HERE, "no such generator here.")
    assert inner.generator.series is None
    assert output.generator is not None
    assert output.generator.series is not None
    assert (
        output.generator.verdict == NOT_FED_BACK
    )  # images as f should make them: they vary, no more is claimed
    assert output.generator.series.raw.hu > 0
    assert math.isnan(output.generator.series.share_certified)
    assert output.generator.weights_sha256 == {"model.safetensors": "ab"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n": 1}, "at least two"),
        ({"generator": "magic"}, "magic"),
        ({"taps": ["conv9"]}, "conv9"),
        ({"shares": (0.05, 5.0)}, "shares"),
        ({"seed": -1}, "seed"),
        ({"tier": "T9"}, "T9"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    denoiser: Denoiser, scan: Volume, wrong: dict[str, object], said: str
) -> None:
    def never(phrase: str, share: float) -> None:
        raise AssertionError(phrase)

    with pytest.raises(InputError, match=said):
        study_layers(denoiser, scan, BOX, progress=never, **wrong)  # type: ignore[arg-type]


def test_raising_in_progress_stops_the_study(denoiser: Denoiser, scan: Volume) -> None:
    def stop(phrase: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study_layers(denoiser, scan, BOX, n=N, progress=stop)


def test_the_page_names_its_sources_and_no_patient(loud: LayerStudy, scan: Volume, tmp_path: Path) -> None:
    text = json.dumps(loud.to_json(), allow_nan=False)
    page = json.loads(text)
    provenance = page["provenance"]
    assert {
        "series",
        "box",
        "denoiser",
        "weights_sha256",
        "noise",
        "seed",
        "n",
        "versions",
    } <= provenance.keys()
    assert "tolerance" not in provenance  # each tap has its own
    assert len(provenance["series"]) == 64
    assert scan.uid not in text
    assert page["voxels"] == 256
    assert all({"eps", "share", "limit", "response", "jacobian"} <= tap.keys() for tap in page["taps"])
