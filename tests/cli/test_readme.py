"""What the documentation shows is run: the script of the README, and every command it names."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = (
    "README.md",
    "docs/user_guide.md",
    "docs/shell.md",
    "docs/plugin.md",
    "docs/input.md",
    "docs/method.md",
    "docs/extending.md",
    "docs/decisions.md",
    "docs/generators.md",
    "docs/layers.md",
    "docs/analysis.md",
    "docs/report.md",
    "docs/export.md",
    "docs/comparison.md",
    "docs/population.md",
    "docs/validation.md",
    "CHANGELOG.md",
)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def test_the_script_through_the_core_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (script,) = [block for block in blocks("README.md", "python") if "napari.Viewer" not in block]
    found: dict[str, object] = {}
    exec(compile(script, "README.md", "exec"), found)
    samples = found["samples"]
    assert samples.summary()["passed"] == 10  # type: ignore[attr-defined]
    assert found["spread"].shape == (32, 32)  # type: ignore[attr-defined]
    assert "'passed': 10" in capsys.readouterr().out


def test_both_scripts_sample_the_same() -> None:
    viewer, core = (
        {
            line.partition("  #")[0]
            for line in block.splitlines()
            if line.startswith(("scan", "sampler", "samples"))
        }
        for block in blocks("README.md", "python")
    )
    assert viewer == core
    assert len(core) == 3


def test_every_option_of_the_documents_exists() -> None:
    """Each `ctinv …` line of the pages parses as far as its own options go."""
    from typer.main import get_command

    from ctinv.cli import _GROUPS
    from ctinv.cli.app import app

    for group in _GROUPS:
        importlib.import_module(f"ctinv.cli.{group}")
    known = get_command(app).commands  # type: ignore[attr-defined]
    lines = [line for page in PAGES for line in command_lines(page)]
    assert len(lines) >= 12
    for line in lines:
        command = known[line[1]]
        command = command.commands[line[2]] if hasattr(command, "commands") else command
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in line if word.startswith("--")} <= options, line
    assert {line[1] for line in lines} == set(known)


def command_lines(page: str) -> list[list[str]]:
    """The command lines of ctinv on a page, in shell blocks and in the text, as words."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^(ctinv [a-z].*)$|`(ctinv [a-z][^`]*)`", text, re.M)
    return [(block or inline).split() for block, inline in found if (block or inline) != "ctinv demo"] + [
        ["ctinv", "demo"]
    ]


def test_figures_of_the_readme_are_those_of_its_picture() -> None:
    """The text beside the picture, against the JSON that was written with it (`make picture`)."""
    found = json.loads((ROOT / "docs/img/overview.json").read_text(encoding="utf-8"))["summary"]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert found["passed"] == found["n"] == 250
    rmse = found["rmse_hu"]
    assert f"by {rmse['mean']:.2f} HU RMS, {rmse['max']:.2f} HU at worst" in text
    assert f"only {found['spread_hu']:.0f} HU is free" in text
    assert f"error is {found['nfe_raw']:.2f} of what" in text
    assert f"against {found['nfe']:.2g} after" in text


ALL_PAGES = (
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target
    assert "GAP" not in text
