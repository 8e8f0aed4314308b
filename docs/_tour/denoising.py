"""Station 2: f(x) of the scan."""

from __future__ import annotations

from typing import Any

from _tour.scans import places, the_scan
from _tour.stage import Stage


def denoise(stage: Stage) -> None:
    """The whole scan by CNN-10, in the quick tour the visible slice; its noise before and after."""
    ct = the_scan(stage)
    stage.section("Denoise", "Network").name.value = "cnn10"
    section = stage.section("Denoise", "Denoising")
    section.slices.value = section.slices.choices[1 if stage.quick else 0]
    with stage.watched("denoising"):
        stage.run(section, stage.session.denoise.activity)
    stage.section("Denoise", "Network")
    stage.picture("denoise", places=places(stage, ct))
    noise(stage)


def noise(stage: Stage) -> None:
    """Standard deviation and noise power spectrum of x and f(x) in the same squares."""
    section: Any = stage.section("Denoise", "Noise")
    section.unfold()
    with stage.watched("measuring the noise"):
        stage.run(section, stage.session.noise.activity)
        stage.pause(0.5)
    stage.section("Denoise", "Noise")
    stage.picture("noise")
