"""Station 2: f(x) of the scan."""

from __future__ import annotations

from _tour.scans import places, the_scan
from _tour.stage import Stage


def denoise(stage: Stage) -> None:
    """The whole scan by CNN-10, in the quick tour the visible slice."""
    ct = the_scan(stage)
    stage.section("Denoise", "Network").name.value = "cnn10"
    section = stage.section("Denoise", "Denoising")
    section.slices.value = section.slices.choices[1 if stage.quick else 0]
    with stage.watched("denoising"):
        stage.run(section, stage.session.denoise.activity)
    stage.section("Denoise", "Network")
    stage.picture("denoise", places=places(stage, ct))
