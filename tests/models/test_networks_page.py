"""What docs/networks.md shows is true: its card parses, its script runs, its table has every key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from ctinv.models.card import _KEYS, parse_card
from ctinv.models.convention import CANDIDATES, CLEARLY, KEPT_HU, LEVELS, NEAR_HU, NOISE_HU, SAME_HU

PAGE = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)
    return str(found)


def test_the_card_of_the_page_parses_and_every_key_is_explained():
    assert parse_card(tomllib.loads(block("toml"))).name == "my_redcnn"
    table = PAGE[PAGE.index("| key | meaning |") : PAGE.index("```python")]
    assert (
        set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines() if row))) == _KEYS
    )


def test_the_script_of_the_page_runs():
    found: dict[str, object] = {}
    exec(compile(block("python"), "networks.md", "exec"), found)
    assert found["denoiser"].taps == ("input", "output")  # type: ignore[attr-defined]


def test_the_tolerances_of_the_page_are_those_of_the_code():
    assert f"within {NEAR_HU:g} HU" in PAGE
    assert f"come back within {KEPT_HU:g} HU" in PAGE
    assert f"{NOISE_HU:g} HU of CT-like noise, by at least {100 * (CLEARLY - 1):.0f} %" in PAGE
    assert f"within {SAME_HU:g} HU RMS" in PAGE
    levels = (
        ", ".join(f"{level:.0f}".replace("-", "−") for level in LEVELS[:-1]) + f" and {LEVELS[-1]:.0f} HU"
    )
    assert levels in PAGE
    assert len(CANDIDATES) == 8
