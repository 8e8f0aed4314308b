"""Networks that cannot be studied are refused when they are loaded, each with its own sentence."""

from __future__ import annotations

import pytest
import torch
from foreign import HERE
from torch import Tensor, nn

from ctinv.denoiser import Denoiser, load_denoiser
from ctinv.errors import ModelError
from ctinv.models.layers import find_taps
from ctinv.training.start import build


def with_batch_norm(*, tracked: bool) -> nn.Module:
    norm = nn.BatchNorm2d(1, affine=False, track_running_stats=tracked)
    return nn.Sequential(nn.Conv2d(1, 1, 1), norm)


class Chance(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image + 0.01 * torch.randn_like(image)


class Overflow(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.where(image < 0, image.log(), image)


class Detached(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.from_numpy(image.detach().numpy() * 1.0)


class Rounded(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.detach() * 1.0


class Several(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image, image


class Halves(nn.Module):
    """Works on even sides only, as networks with one pooling layer."""

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-1] % 2 or image.shape[-2] % 2:
            raise RuntimeError("sizes must match")
        return image * 1.0


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nn.Conv2d(1, 1, 3), r"gives \(1, 1, 62, 62\) for \(1, 1, 64, 64\); one image of the same size"),
        (nn.Conv2d(1, 2, 1), r"gives \(1, 2, 64, 64\)"),
        (nn.Conv2d(3, 1, 1), "gives an error .*: see slices"),
        (nn.Upsample(scale_factor=2), r"gives \(1, 1, 128, 128\)"),
        (Several(), "gives a tuple"),
        (Overflow(), "gives NaN or infinite values"),
        (Chance(), "another result each time"),
        (with_batch_norm(tracked=False), r"changes its result by [\d.e+]+ HU with the batch"),
        (Detached(), "cannot be differentiated"),
        (Rounded(), "cannot be differentiated"),
        (nn.Linear(64, 64), "not on larger multiples"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_each_fault_has_its_sentence(network: nn.Module, says: str):
    with pytest.raises(ModelError, match=says) as refused:
        load_denoiser(network, card=HERE)
    assert len(str(refused.value)) <= 200


def test_running_statistics_are_fine():
    """The negative control: the same layer in eval mode with running statistics does not look at the batch."""
    network = with_batch_norm(tracked=True)
    nn.init.ones_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    assert isinstance(load_denoiser(network, card=HERE), Denoiser)


def test_the_multiple_is_found_by_trying():
    found = load_denoiser(Halves(), card=HERE)
    assert any("multiple of 2 pixels, found by trying" in note for note in found.notes)
    odd = torch.randn(1, 1, 33, 35)
    assert torch.allclose(found(odd), odd, atol=1e-4)


def test_layers_that_run_twice_are_no_taps():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.relu = (
                nn.Conv2d(1, 4, 3, padding=1),
                nn.Conv2d(4, 1, 3, padding=1),
                nn.ReLU(),
            )

        def forward(self, image: Tensor) -> Tensor:
            return self.relu(self.second(self.relu(self.first(image))))

    network = Shared()
    assert find_taps(network) == {"first": "first", "second": "second"}
    assert find_taps(build("CNN10", seed=0)) == {"relu1": "relu1", "relu2": "relu2"}
    assert find_taps(nn.Identity()) == {}
    assert sum(len(part._forward_hooks) for part in network.modules()) == 0
