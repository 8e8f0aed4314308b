"""The MONAI transforms give what the core functions give, at the same place in the patient."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from ctinv.denoiser import Denoiser
from ctinv.errors import InputError
from ctinv.simulate import simulate_low_dose
from ctinv.training.start import build
from ctinv.volume import Box, Volume

with warnings.catch_warnings():  # MONAI's own imports warn about libraries that are not there
    warnings.simplefilter("ignore")
    from monai.data import MetaTensor
    from monai.transforms import Compose, Invertd, Orientationd

    from ctinv.transforms import Denoised, SampleInvariancesd, SimulateLowDosed, from_volume, to_volume

OBLIQUE = np.array([[0.1, -0.2, 0.7, 5.0], [0.0, 0.8, 0.1, -7.0], [2.5, 0.0, 0.0, 11.0], [0, 0, 0, 1.0]])


@pytest.fixture
def volume() -> Volume:
    hu = np.random.default_rng(0).normal(0, 100, size=(3, 16, 20)).astype(np.float32)
    return Volume(hu=hu, affine=OBLIQUE, uid="1.2.3")


@pytest.fixture
def image(volume: Volume) -> MetaTensor:
    """The same scan as MONAI would hold it: axes (1, x, y, z), affine to RAS."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ OBLIQUE[:, [2, 1, 0, 3]]
    data = torch.from_numpy(volume.hu.transpose(2, 1, 0).copy())[None]
    return MetaTensor(data, affine=torch.from_numpy(to_ras), meta={"filename_or_obj": "a"})


def denoiser() -> Denoiser:
    return Denoiser(build("CNN10", seed=0), name="d", mean=0.0, std=100.0, taps={})


def test_every_voxel_keeps_its_value_and_its_place_in_the_patient(volume: Volume, image: MetaTensor):
    found = to_volume(image)
    assert np.array_equal(found.hu, volume.hu)
    for z, y, x in ((0, 0, 0), (2, 15, 19), (1, 3, 7)):
        lps = found.affine @ [z, y, x, 1]
        ras = image.affine.numpy() @ [x, y, z, 1]
        assert lps * [-1, -1, 1, 1] == pytest.approx(ras)
        assert found.hu[z, y, x] == image[0, x, y, z]
    back = from_volume(found, image)
    assert isinstance(back, MetaTensor)
    assert torch.equal(back.as_tensor(), image.as_tensor())
    assert torch.allclose(back.affine, image.affine)
    assert back.meta["filename_or_obj"] == "a"


@pytest.mark.parametrize("shape", [(1, 9, 7), (1, 2, 9, 7)])
def test_plain_images_keep_the_axes_of_numpy(shape: tuple[int, ...]):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.array_equal(to_volume(array).hu.reshape(shape), array)
    for like in (array, torch.from_numpy(array)):
        back = from_volume(to_volume(like), like)
        assert type(back) is type(like)
        assert np.array_equal(np.asarray(back), array)


def test_an_image_of_two_axes_with_an_affine_comes_back_the_same():
    image = MetaTensor(torch.rand(1, 5, 7), affine=torch.diag(torch.tensor([-0.7, -0.8, 1.0, 1.0]).double()))
    found = to_volume(image)
    assert found.shape == (1, 7, 5)
    assert found.spacing == pytest.approx((1.0, 0.8, 0.7))
    assert torch.equal(from_volume(found, image).as_tensor(), image.as_tensor())


@pytest.mark.parametrize("shape", [(2, 5, 7), (5, 7), (1, 1, 2, 5, 7)])
def test_other_shapes_get_one_sentence(shape: tuple[int, ...]):
    with pytest.raises(InputError, match="expected one channel"):
        to_volume(torch.zeros(shape))


def test_denoised_is_the_denoiser_slice_by_slice(volume: Volume, image: MetaTensor):
    data = {"image": image, "other": 3}
    output = Denoised("image", denoiser(), batch_size=2)(data)
    with torch.no_grad():
        expected = denoiser()(torch.from_numpy(volume.hu)[:, None])[:, 0].numpy()
    assert np.allclose(to_volume(output["image"]).hu, expected, atol=1e-3)
    assert not np.allclose(expected, volume.hu, atol=1.0)
    assert torch.allclose(output["image"].affine, image.affine)
    assert output["other"] == 3
    assert data["image"] is image  # the input stays


def test_denoised_leaves_the_history_for_invertd(image: MetaTensor):
    upright = Orientationd("image", axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))
    chain = Compose([upright, Denoised("image", nn.Identity())])
    output = chain({"image": image})
    back = Invertd("image", transform=upright, orig_keys="image")(output)
    assert torch.equal(back["image"].as_tensor(), image.as_tensor())


def test_simulate_is_the_core_function():
    hu = np.full((1, 24, 20), 40, dtype=np.float32)
    image = MetaTensor(torch.from_numpy(hu.transpose(0, 2, 1).copy()), affine=torch.eye(4).double())
    simulate = SimulateLowDosed("image", dose=0.25, seed=3, photons=1e4)
    output, again = (simulate({"image": image})["image"] for _ in range(2))
    core = simulate_low_dose(to_volume(image), dose=0.25, seed=3, photons=1e4)
    assert np.array_equal(to_volume(output).hu, core.hu)
    assert torch.equal(output.as_tensor(), again.as_tensor())
    assert (output - image).abs().max() > 1


@dataclass
class Drawn:
    x_tilde: np.ndarray
    certificates: list[str]


class CountingSampler:
    """Sample k is the region plus k HU: what the transform does with samples, without the fibre engine."""

    def sample(self, volume: Volume, box: Box, *, n: int, seed: int) -> Drawn:
        region = volume[box].hu
        rows = [region + seed + k for k in range(n)]
        return Drawn(np.stack(rows), [f"row {k}" for k in range(n)])


def test_samples_lie_where_the_region_lies(volume: Volume, image: MetaTensor):
    box = Box(1, 2, 10, 4, 17)
    output = SampleInvariancesd("image", CountingSampler(), box, n=3, seed=100)({"image": image})
    assert output["image"] is image
    samples = output["image_invariances"]
    assert samples.shape == (3, 13, 8, 1)  # sample, x, y, z
    for k in range(3):
        assert torch.allclose(samples[k, 2, 5, 0].as_tensor(), image[0, 6, 7, 1].as_tensor() + 100 + k)
    place = samples.affine.numpy() @ [2, 5, 0, 1]
    assert place == pytest.approx(image.affine.numpy() @ [6, 7, 1, 1])
    assert output["image_invariances_certificates"] == ("row 0", "row 1", "row 2")
    plain = SampleInvariancesd("image", CountingSampler(), box, n=3, seed=100)({"image": volume.hu[None]})
    assert np.array_equal(plain["image_invariances"][2], volume[box].hu + 102)


def test_missing_keys_are_an_error_unless_allowed():
    with pytest.raises(KeyError):
        Denoised("image", nn.Identity())({})
    assert Denoised("image", nn.Identity(), allow_missing_keys=True)({"a": 1}) == {"a": 1}
