"""Images of the target domain are shown as what they are, all the way: never fed back, never counted as failures."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from sampler_studies import make_batch, make_provenance, make_setting

from ctinv.cli.tables import show_study
from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError, StoreError
from ctinv.fibre.rows import CANDIDATE, RowSeeds
from ctinv.generators.contract import Scene, TrainingFree
from ctinv.io.dicom import read_series
from ctinv.report import overview
from ctinv.resources import ct_folder
from ctinv.sampler import Batch, InvarianceSampler, Samples, Store
from ctinv.sampler.certify import recertify
from ctinv.sampler.run import sample_into
from ctinv.volume import Box
from napari_ctinv.layers import layer_info, map_layers, samples_layer

BOX = Box(10, 210, 226, 150, 166)
N = 7


class Smooth:
    """f(x) a little brighter or darker as a whole: an image as f should make it."""

    def __init__(self, scene: Scene) -> None:
        self.patch = scene.patch

    def candidates(self, rows: Sequence[int], seeds: RowSeeds) -> torch.Tensor:
        return self.patch + torch.from_numpy(seeds.normal(rows, 1, CANDIDATE))[:, :, None, None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Samples, Store]:
    with pytest.MonkeyPatch.context() as patch:
        proposer = TrainingFree("smooth", Smooth, domain="target")
        patch.setattr("ctinv.sampler.sampler.find_generator", lambda *_: proposer)
        sampler = InvarianceSampler(load_denoiser("cnn10"), generator="smooth", device="cpu")
    scan = read_series(ct_folder() / "quarter_dose")
    path = tmp_path_factory.mktemp("target") / "study.zarr"
    list(sample_into(path, sampler, scan, BOX, n=N))
    return sampler.sample(scan, BOX, n=N), Store.open(path)


def test_samples_are_the_generators_images(run: tuple[Samples, Store]) -> None:
    samples, store = run
    fx = samples.setting.fx
    for k in range(N):
        offset = samples.read(k) - fx
        assert np.ptp(offset) <= 0.125 + 1e-3  # one number for all pixels, rounded to the stored step
        assert np.array_equal(store.read(k), samples.read(k))
        assert np.isnan(store.read_error(k)).all()
    assert np.abs(samples.read(0) - samples.read(1)).max() > 0.1


def test_nothing_is_claimed_of_them(run: tuple[Samples, Store]) -> None:
    for study in run:
        for certificate in study.certificates:
            assert (certificate.tier, certificate.passed, certificate.is_invariance) == (
                "target",
                False,
                False,
            )
            assert (certificate.reached, certificate.passes, certificate.in_band) == ("not fed back", 0, None)
            assert np.isnan(
                [certificate.nfe, certificate.nfe_raw, certificate.rmse_hu, certificate.chi2_per_n]
            ).all()
        summary = study.summary()
        assert (summary["n"], summary["domain"]) == (N, "target")
        for name in (
            "passed",
            "not_reached",
            "tiers",
            "reached",
            "nfe",
            "chi2_per_n",
            "passes",
            "implausible",
        ):
            assert summary[name] is None, name
        assert summary["spread_hu"] > 0.1
        json.dumps(summary, allow_nan=False)


def test_the_journal_is_strict_json(run: tuple[Samples, Store]) -> None:
    lines = (run[1].path / "journal.jsonl").read_text().splitlines()

    def refuse(word: str) -> None:
        raise AssertionError(word)

    records = [json.loads(line, parse_constant=refuse) for line in lines]
    assert len(records) == N
    assert records[0]["certificate"]["nfe"] is None


def test_provenance_tells_the_domain_and_older_records_are_of_the_input(run: tuple[Samples, Store]) -> None:
    provenance = run[1].provenance
    assert provenance.domain == "target"
    record = make_provenance().to_json()
    del record["domain"]
    assert type(provenance).from_json(record) == make_provenance()
    assert type(provenance).from_json(record).key() == make_provenance().key()


def test_tables_layers_and_pictures_say_so(run: tuple[Samples, Store], tmp_path: Path) -> None:
    store = run[1]
    told = io.StringIO()
    show_study(Console(file=told, width=200), store.summary(), store.certificates)
    assert f"{N} images of the target domain, not fed back" in told.getvalue()
    assert not any(word in told.getvalue() for word in ("passed", "NFE", "NO", "certificates", "nan"))
    _, arguments, _ = samples_layer(store)
    assert "target domain, not fed back" in arguments["name"]
    assert layer_info(arguments["metadata"])["domain"] == "target"
    names = [layer[1]["name"] for layer in map_layers(store)]
    assert not any("feed-back" in name for name in names)
    page = overview(store, tmp_path / "page.png")
    assert page["table"]["samples"] == "target domain, not fed back"
    assert "passed" not in page["table"]


def test_there_is_nothing_to_certify(run: tuple[Samples, Store]) -> None:
    with pytest.raises(InputError, match="nothing to feed back"):
        recertify(run[1], load_denoiser("cnn10"))


def test_only_a_whole_missing_error_is_stored(tmp_path: Path) -> None:
    """A single NaN in a feed-back error is a fault, as is a NaN in a sample."""
    setting = make_setting()
    good = make_batch([0], setting)
    with Store.create(tmp_path / "study.zarr", make_provenance(), setting, n=2) as store:
        torn, lost = good.feedback_error.copy(), np.full_like(good.x_tilde, np.nan)
        torn[0, 3, 3] = np.nan
        for batch in (
            Batch(good.rows, good.x_tilde, torn, good.certificates),
            Batch(good.rows, lost, good.feedback_error, good.certificates),
        ):
            with pytest.raises(StoreError, match="finite values only"):
                store.append(batch)
