"""Where samples come from: JSON both ways, no identity, a key that means "the same sample k"."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from sampler_studies import UID, make_provenance

from ctinv.errors import InputError
from ctinv.sampler import Provenance

OTHER = {
    "series": "0" * 64,
    "box": "3,20:52,30:55",
    "volume_shape": (17, 512, 512),
    "affine": ((0.0, 0.0, 0.7, 0.0), (0.0, 0.7, 0.0, 0.0), (2.5, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
    "denoiser": "wganvgg",
    "weights_sha256": {"model.safetensors": "cd" * 32},
    "tap": "conv2",
    "generator": "cvae",
    "generator_sha256": {"flow_output.safetensors": "ef" * 32},
    "tier": "T1",
    "tolerance": 0.289,
    "tolerance_unit": "relative",
    "window_hu": 1500.0,
    "slices": 3,
    "unit": "a.u.",
    "step": 0.25,
    "domain": "target",
    "noise": {"source": "residual"},
    "seed": 8,
}
FREE = {
    "n": 250,
    "device": "cuda",
    "window_source": "header",
    "versions": {"ctinv": "9", "torch": "9", "numpy": "9", "method": "1"},
}


def test_every_field_is_known_to_decide_or_not() -> None:
    assert set(OTHER) | set(FREE) == {field.name for field in fields(Provenance)}


@pytest.mark.parametrize("name", OTHER)
def test_what_decides_a_sample_changes_the_key(name: str) -> None:
    other = make_provenance(**{name: OTHER[name]})
    assert other.key() != make_provenance().key()
    assert list(make_provenance().differences(other)) == [name]


@pytest.mark.parametrize("name", FREE)
def test_the_key_does_not_hang_on_n_device_and_library_versions(name: str) -> None:
    assert make_provenance(**{name: FREE[name]}).key() == make_provenance().key()


def test_another_sampling_rule_changes_the_key() -> None:
    versions = {**make_provenance().versions, "method": "2"}
    assert make_provenance(versions=versions).key() != make_provenance().key()


def test_rounding_of_a_fitted_number_does_not_change_the_key() -> None:
    noise = make_provenance().noise
    nudged = {**noise, "sigma_hu": noise["sigma_hu"] * (1 + 1e-7)}
    moved = {**noise, "sigma_hu": noise["sigma_hu"] * (1 + 1e-3)}
    assert make_provenance(noise=nudged).key() == make_provenance().key()
    assert make_provenance(noise=moved).key() != make_provenance().key()


def test_json_round_trip_is_exact() -> None:
    record = make_provenance()
    again = Provenance.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False)))
    assert again == record
    assert again.key() == record.key()


def test_numpy_numbers_and_tuples_become_plain() -> None:
    noise = {"sigma_hu": np.float32(31.5), "bands": (np.int64(1), 2)}
    record = make_provenance(noise=noise, seed=np.int64(7), affine=np.array(OTHER["affine"]))
    assert record == Provenance.from_json(json.loads(json.dumps(record.to_json())))
    assert record.noise == {"sigma_hu": 31.5, "bands": [1, 2]}


def test_key_is_the_same_in_another_process() -> None:
    code = "from sampler_studies import make_provenance; print(make_provenance().key())"
    env = {"PYTHONPATH": str(__import__("pathlib").Path(__file__).parent), "PYTHONHASHSEED": "11"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == make_provenance().key()


def test_a_raw_uid_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="hash_series") as caught:
        make_provenance(series=UID)
    assert UID not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.zeros(3), object(), {1: 2}])
def test_values_without_json_are_refused(value: object) -> None:
    with pytest.raises(InputError):
        make_provenance(noise={"value": value})


def test_a_missing_or_unknown_field_is_named() -> None:
    data = make_provenance().to_json()
    del data["tap"]
    with pytest.raises(InputError, match="tap"):
        Provenance.from_json({**data})
    with pytest.raises(InputError, match="colour"):
        Provenance.from_json({**make_provenance().to_json(), "colour": 1})
