"""A page as `ctinv.layer_study` writes it, made up: what the picture must show does not need a network."""

from __future__ import annotations

from typing import Any

import pytest

TAPS = ("input", "conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "conv7", "output")


def tap_row(name: str, index: int, *, generator: bool) -> dict[str, Any]:
    """One tap: the raw spread is 8 HU, the fibre allows 1.5 HU; at conv2 there is no generator."""
    inner = name not in ("input", "output")
    spread = lambda hu: {"hu": hu, "error": 0.02 * hu}  # noqa: E731
    series = {"raw": spread(8.0), "certified": spread(0.3), "share_certified": 1.0}
    shown: dict[str, Any] = {
        "verdict": "generator error",
        "why": "raw spread 8",
        "excess": 8.0 / 1.5,
        "series": series,
    }
    if name == "conv2":
        shown = {"verdict": "no such generator for this tap", "why": "none", "excess": None, "series": None}
    dimension = [
        {
            "name": f"{share} %",
            "free_share": share * (index + 1) / 500,
            "free_share_at_rms": share * (index + 2) / 400,
        }
        for share in (1, 5, 10)
    ]
    return {
        "tap": name,
        "channels": 32 if inner else 1,
        "share": 0.04 if inner else 0.02,
        "theory_hu": 0.2 + 0.1 * index,
        "allowed": spread(1.5),
        "fibre": {"certified": spread(0.2 + 0.1 * index)},
        "dimension": dimension,
        "generator": shown if generator else None,
    }


@pytest.fixture(params=[(9, True), (4, True), (9, False)], ids=["nine taps", "four taps", "no generator"])
def page(request: pytest.FixtureRequest) -> dict[str, Any]:
    count, generator = request.param
    taps = (*TAPS[: count - 1], "output")
    ratio = [[0.5 * 3.0 ** (c - r) if c >= r else None for c in range(count)] for r in range(count)]
    note = "samples of conv1 leave the fibre of output (4.5 times its limit): the layers between amplify what is left"
    return {
        "denoiser": "wganvgg",
        "generator": "cvae_cinn" if generator else None,
        "box": "8,160:224,136:200",
        "n": 250,
        "tier": "T2",
        "unit": "HU",
        "sigma_noise_hu": 28.3,
        "taps": [tap_row(name, index, generator=generator) for index, name in enumerate(taps)],
        "nested": {"ratio": ratio, "nfe_at_output": [0.0123] * count, "notes": [note] * 12},
    }
