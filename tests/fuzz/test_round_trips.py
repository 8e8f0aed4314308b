"""Scans, studies, checkpoints and records come back as they were written, whatever they are."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import corners, examples, volumes
from fuzzing import _fast_folder
from hypothesis import given
from hypothesis import strategies as st
from sampler_studies import make_batch, make_provenance, make_setting
from torch import nn

from ctinv.bundle import export_bundle
from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.io import read
from ctinv.io.dicom_write import write_series
from ctinv.io.nifti import write_nifti
from ctinv.models.card import parse_card, read_card
from ctinv.networks import NETWORKS
from ctinv.sampler import Provenance, Store
from ctinv.training.checkpoint import load_checkpoint, save_checkpoint
from ctinv.training.config import CHOICES, DenoiserConfig
from ctinv.training.fit import Ema, Turn
from ctinv.training.start import build
from ctinv.training.typed import from_table
from ctinv.volume import Box, Volume


def room() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=_fast_folder())


def right_handed(volume: Volume) -> Volume:
    """The same voxels at the same places, the slices in the order in which they come back from DICOM."""
    normal = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    if normal @ volume.affine[:3, 0] > 0:
        return volume
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (volume.shape[0] - 1)
    affine[:3, 0] *= -1
    return replace(volume, hu=volume.hu[::-1].copy(), affine=affine)


SLOPES = st.one_of(st.sampled_from((1.0, 0.125, 0.5, 2.0, 1 / 3)), st.floats(0.05, 3.0))


@pytest.mark.slow
@examples(150)
@given(data=st.data(), slope=SLOPES, compress=st.booleans())
def test_a_dicom_series_keeps_hu_within_half_a_step_and_each_voxel_in_its_place(
    data: st.DataObject, slope: float, compress: bool
) -> None:
    reach = min(32000.0, 32700 * slope)
    volume = data.draw(volumes(low=-reach, high=min(reach, 65000.0)))
    with room() as folder:
        written = write_series(volume, Path(folder, "s"), description="d", slope=slope, compress=compress)
        back = read(written)
    wanted = right_handed(volume)
    assert back.shape == wanted.shape
    # Beyond half a step only what float32 and the 16 characters of a decimal string round off.
    rounded = 0.5 * slope + 4e-7 * np.abs(wanted.hu)
    assert (np.abs(back.hu.astype(np.float64) - wanted.hu) <= rounded).all()
    assert np.abs(corners(back) - corners(wanted)).max() <= 1e-3
    scale = np.abs(wanted.affine[:3, :3]).max()
    assert np.abs(back.affine[:3, :3] - wanted.affine[:3, :3]).max() <= max(1e-6 * scale, 1e-6)


@examples(200)
@given(volume=volumes(sheared=True), name=st.sampled_from(("v.nii", "v.nii.gz")))
def test_a_nifti_file_keeps_every_value_and_the_affine_to_float32(volume: Volume, name: str) -> None:
    with room() as folder:
        back = read(write_nifti(volume, Path(folder, name)))
    np.testing.assert_array_equal(back.hu, volume.hu)
    assert np.abs(back.affine - volume.affine).max() <= 2e-7 * np.abs(volume.affine).max()


NUMBERS = ("<i1", "<u1", "<i2", ">i2", "<u2", "<i4", "<f2", "<f4", ">f4", "<f8")


@examples(60)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 9)] * 3)),
    dtype=st.sampled_from(NUMBERS),
    order=st.sampled_from("CF"),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_array_file_keeps_every_value(shape: tuple[int, ...], dtype: str, order: str, seed: int) -> None:
    numbers = np.random.default_rng(seed).integers(-30000, 30000, shape) / (8 if "f" in dtype else 1)
    array = np.asarray(numbers.astype(dtype), order=order)
    with room() as folder:
        np.save(path := Path(folder, "a.npy"), array)
        back = read(path)
    wanted = array.astype(np.float32)
    np.testing.assert_array_equal(back.hu, wanted if wanted.ndim == 3 else wanted[None])
    assert back.spacing == (1.0, 1.0, 1.0)


@st.composite
def studies(draw: st.DrawFn) -> tuple[Any, int, list[list[int]]]:
    """A setting, how many samples are asked for, and in which batches some of them come."""
    height, width = draw(st.tuples(st.integers(8, 40), st.integers(8, 140)))
    z, y0, x0 = draw(st.tuples(st.integers(0, 9), st.integers(8, 60), st.integers(8, 60)))
    setting = make_setting(
        Box(z, y0, y0 + height, x0, x0 + width),
        quantum=draw(st.sampled_from((0.0, 0.125, 0.25, 2.0**-10))),
        scan_hu=draw(st.sampled_from((40.0, -1000.0, 2900.0, 20000.0))),
    )
    n = draw(st.integers(1, 60))
    rows = draw(st.lists(st.integers(0, n - 1), unique=True, min_size=1, max_size=12))
    cuts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=12))
    batches = []
    while rows:
        batches.append(rows[: cuts[0]])
        rows, cuts = rows[cuts[0] :], cuts[1:] or [4]
    return setting, n, batches


@pytest.mark.slow
@examples(110)
@given(drawn=studies())
def test_a_study_keeps_samples_certificates_setting_and_provenance(drawn: Any) -> None:
    setting, n, parts = drawn
    provenance = make_provenance(box=str(setting.output_box), n=n)
    batches = [make_batch(rows, setting) for rows in parts]
    with room() as folder:
        path = Path(folder, "s.zarr")
        with Store.create(path, provenance, setting, n=n) as store:
            for batch in batches:
                store.append(batch)
            store.finish({"sampling": 1.0})
        back = Store.open(path)
        assert not back.verify()
        assert (back.provenance, back.provenance.key(), back.n) == (provenance, provenance.key(), n)
        assert back.rows == tuple(sorted(k for batch in batches for k in batch.rows))
        given_ones = {one.k: one for batch in batches for one in batch.certificates}
        assert back.certificates == [given_ones[k] for k in back.rows]
        for batch in batches:
            for k, image, error in zip(batch.rows, batch.x_tilde, batch.feedback_error, strict=True):
                np.testing.assert_array_equal(back.read(k), image)
                np.testing.assert_array_equal(back.read_error(k), error.astype(np.float16).astype(np.float32))
        kept = back.setting
        for name in ("fx", "fx_output", "theory_spread", "eta", "context"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(setting, name), err_msg=name)
        np.testing.assert_array_equal(kept.volume.hu, setting.volume.hu)
        np.testing.assert_array_equal(kept.volume.affine, setting.volume.affine)
        assert kept.volume.acquisition == setting.volume.acquisition
        assert (kept.output_box, kept.context_box) == (setting.output_box, setting.context_box)
        assert kept.scalars == pytest.approx(setting.scalars, rel=0, abs=0, nan_ok=True)


TYPES = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


class Tensors(nn.Module):
    """Parameters and buffers of any type and shape."""

    def __init__(self, kinds: list[tuple[tuple[int, ...], torch.dtype]], seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for index, (shape, dtype) in enumerate(kinds):
            value = (100 * torch.randn(shape, generator=generator)).to(dtype)
            if dtype == torch.float32:
                self.register_parameter(f"p{index}", nn.Parameter(value))
            else:
                self.register_buffer(f"b{index}", value)


def bits(state: dict[str, torch.Tensor]) -> dict[str, tuple[torch.dtype, torch.Size, bytes]]:
    return {
        key: (v.dtype, v.shape, v.detach().reshape(-1).view(torch.uint8).numpy().tobytes())
        for key, v in state.items()
    }


@examples(120)
@given(
    kinds=st.lists(st.tuples(SHAPES, st.sampled_from(TYPES)), max_size=6),
    step=st.integers(0, 2**40),
    seed=st.integers(0, 2**31),
    notes=st.dictionaries(
        st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=3
    ),
    stepped=st.booleans(),
)
def test_a_checkpoint_keeps_every_bit(
    kinds: list[tuple[tuple[int, ...], torch.dtype]],
    step: int,
    seed: int,
    notes: dict[str, Any],
    stepped: bool,
) -> None:
    kinds = [((2,), torch.float32), *kinds]

    def turn(seed: int, stepped: bool) -> tuple[list[Turn], Ema]:
        module = Tensors(kinds, seed)
        optimizer = torch.optim.Adam(module.parameters())
        if stepped:
            torch.stack([value.square().sum() for value in module.parameters()]).sum().backward()
            optimizer.step()
        return [Turn("net", module, optimizer, lambda *_: torch.zeros(()))], Ema(module)

    (saved, ema), (fresh, other) = turn(seed, stepped), turn(seed + 1, False)
    with room() as folder:
        path = Path(folder, "state.safetensors")
        save_checkpoint(path, saved, step=step, config={"seed": seed}, ema=ema, notes=notes)
        found = load_checkpoint(path, fresh, config={"seed": seed}, ema=other)
    assert (found.step, found.notes) == (step, notes)
    assert bits(fresh[0].module.state_dict()) == bits(saved[0].module.state_dict())
    assert bits(other.state) == bits(ema.state)
    slots = [turns[0].optimizer.state_dict() for turns in (saved, fresh)]
    assert len({json.dumps(one["param_groups"]) for one in slots}) == 1  # a pair comes back as a list
    first, second = ({index: bits(one) for index, one in each["state"].items()} for each in slots)
    assert first == second


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FINITE | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
TEXT = st.text(min_size=1, max_size=12)


@examples(120)
@given(
    noise=st.dictionaries(TEXT, JSON, max_size=4),
    affine=st.tuples(*[st.tuples(*[FINITE] * 4)] * 4),
    numbers=st.tuples(FINITE, FINITE, FINITE),
    words=st.tuples(*[TEXT] * 4),
    seed=st.integers(0, 2**63),
    n=st.integers(1, 10**6),
)
def test_a_provenance_comes_back_equal_with_its_key(
    noise: dict[str, Any], affine: Any, numbers: Any, words: Any, seed: int, n: int
) -> None:
    tolerance, window, step = numbers
    denoiser, tap, generator, unit = words
    record = make_provenance(
        **{
            "noise": noise,
            "affine": affine,
            "tolerance": tolerance,
            "window_hu": window,
            "step": step,
            "seed": seed,
        },
        **{"denoiser": denoiser, "tap": tap, "generator": generator, "tolerance_unit": unit, "n": n},
    )
    back = Provenance.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))
    assert back == record
    assert back.key() == record.key() == record.with_n(n + 1).key()
    assert not record.differences(back)
    assert record.key() != replace(record, seed=seed + 1).key()


HU = st.floats(-2000, 4000).map(lambda value: round(value, 3))


@examples(60)
@given(
    mean=HU,
    std=st.floats(0.5, 5000),
    clip=st.none() | st.tuples(HU, HU).filter(lambda pair: pair[0] < pair[1]),
    slices=st.sampled_from((1, 3, 5, 7)),
    multiple=st.none() | st.integers(1, 256),
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", fullmatch=True),
    channels=st.lists(st.integers(1, 64), min_size=2, max_size=2),
)
def test_a_card_says_the_same_as_a_table_in_json_and_in_toml(
    mean: float, std: float, clip: Any, slices: int, multiple: int | None, name: str, channels: list[int]
) -> None:
    said: dict[str, Any] = {
        "network": "CNN10",
        "mean_hu": mean,
        "std_hu": std,
        "slices": slices,
        "name": name,
    }
    said |= {
        "arguments": {"channels": channels},
        "flat_check": False,
        "predicts": "noise",
        "padding": "reflect",
    }
    said |= {} if clip is None else {"clip_hu": list(clip)}
    said |= {} if multiple is None else {"multiple": multiple}
    with room() as folder:
        (as_json := Path(folder, "c.json")).write_text(json.dumps(said))
        lines = [f"{key} = {json.dumps(value)}" for key, value in said.items() if key != "arguments"]
        (as_toml := Path(folder, "c.toml")).write_text(
            "\n".join([*lines, f"arguments.channels = {channels}"])
        )
        assert read_card(as_json, None) == read_card(as_toml, None) == parse_card(said)


@examples(60)
@given(
    chosen=st.fixed_dictionaries({key: st.sampled_from(values) for key, values in CHOICES.items()}),
    whole=st.tuples(*[st.integers(1, 10**6)] * 3),
    rate=st.floats(1e-9, 1.0),
    level=st.tuples(*[st.floats(0.1, 4)] * 2),
    photons=st.none() | st.floats(1, 1e7) | st.just("fit"),
    network=st.sampled_from(sorted(NETWORKS)),
)
def test_the_settings_of_a_training_come_back_equal(
    chosen: dict[str, str], whole: Any, rate: float, level: Any, photons: Any, network: str
) -> None:
    steps, batch, seed = whole
    config = DenoiserConfig(
        **{
            "name": "a",
            "network": network,
            "mean": -350.0,
            "std": 500.0,
            "train": ("a", "b"),
            "validate": ("c",),
        },
        **{"steps": steps, "batch": batch, "seed": seed, "learning_rate": rate, "noise_level": level},
        photons=photons,
        **chosen,
    )
    table = json.loads(json.dumps(config.to_json(), allow_nan=False))
    again = from_table(
        DenoiserConfig, {key: value for key, value in table.items() if value is not None}, where="a"
    )
    assert again.to_json() == config.to_json()
    assert replace(again, objective=config.objective) == config


@examples(30)
@given(
    channels=st.tuples(st.integers(2, 5), st.integers(2, 4)),
    mean=HU,
    std=st.floats(1, 3000),
    seed=st.integers(0, 2**31),
)
def test_an_exported_bundle_computes_the_same(
    channels: tuple[int, int], mean: float, std: float, seed: int
) -> None:
    network = build("CNN10", seed=seed, arguments={"channels": channels})
    taps = NETWORKS["CNN10"].taps
    scan = 300 * torch.randn(1, 1, 24, 20, generator=torch.Generator().manual_seed(seed))
    with room() as folder:
        path = export_bundle(
            *(Path(folder, "mine"),),
            **{"network": network, "target": "CNN10", "name": "mine", "mean": mean, "std": std, "taps": taps},
            arguments={"channels": list(channels)},
        )
        loaded = load_denoiser(str(path))
    assert (loaded.mean, loaded.std) == (mean, std)
    with torch.inference_mode():
        assert torch.equal(loaded(scan), Denoiser(network, name="mine", mean=mean, std=std, taps=taps)(scan))
