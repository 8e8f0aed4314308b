"""A generator that sees f(x) is allowed only where f(x) is a function of the tapped representation."""

from __future__ import annotations

import pytest

from ctinv.denoiser import load_denoiser
from ctinv.errors import InputError
from ctinv.generators.kinds import check_condition
from ctinv.representation import Representation


@pytest.mark.parametrize("tap", ["input", "conv1", "conv2", "output"])
def test_a_plain_stack_carries_everything_through_each_tap(tap: str) -> None:
    assert Representation(load_denoiser("cnn10"), tap).determines_output()
    check_condition(Representation(load_denoiser("cnn10"), tap))


@pytest.mark.parametrize(("name", "tap"), [("redcnn32", "conv3"), ("resnet32", "block2")])
def test_skips_that_pass_a_tap_by_are_found(name: str, tap: str) -> None:
    denoiser = load_denoiser(name)
    assert not Representation(denoiser, tap).determines_output()
    assert Representation(denoiser, "output").determines_output()
    with pytest.raises(InputError, match="pass that tap by"):
        check_condition(Representation(denoiser, tap))


def test_a_tap_at_a_whole_image_between_two_stages_carries_everything() -> None:
    assert Representation(load_denoiser("t_net"), "stage1").determines_output()
