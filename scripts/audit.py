"""Ask for known weaknesses of everything in the lock, and say plainly where nothing could be asked.

pip-audit says "No known vulnerabilities found" also where every package was skipped because its service could not be
reached. So a release with known weaknesses is asked about as well: only where that one is found does the answer count,
and then a package that was skipped counts as a failure.

Exit code 0: nothing is known, or nothing could be asked (said in one line; 2 with ``--must-ask``). 1: a weakness is
known, or a package was skipped.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PROBE = ("monai", "1.3.0")
"""Known to be weak since 2025: GHSA-x6ww-pf9m-m73m."""
# As in the lock: name, version, no marker. Packages of other systems are asked about too.
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def pins(*files: Path) -> list[tuple[str, str]]:
    """Names and versions that lock and constraints hold."""
    found = [pin for file in files for pin in _PIN.findall(file.read_text(encoding="utf-8"))]
    return sorted(set(found))


def ask(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """pip-audit's answer for each of them; nothing for those where it could not answer at all."""
    answers: list[dict[str, Any]] = []
    rest = list(wanted)
    while (
        rest
    ):  # pip-audit takes one version of a package at a time; the lock has several, for several Pythons
        now = dict(reversed(rest))
        rest = [pin for pin in rest if pin not in now.items()]
        answers += _ask(list(now.items()))
    return answers


def _ask(wanted: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{name}=={version}\n" for name, version in wanted), encoding="utf-8")
        asked = subprocess.run(
            [
                sys.executable,
                "-m",
                "pip_audit",
                "-r",
                requirements,
                "--no-deps",
                "--disable-pip",
                "-f",
                "json",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return list(json.loads(asked.stdout)["dependencies"])
    except (ValueError, KeyError, TypeError):
        return []


def judge(
    probe: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]], wanted: Sequence[tuple[str, str]]
) -> tuple[int, list[str]]:
    """Exit code, -1 where nothing could be asked, and what is to be said.

    Args:
        probe: Answer to the probe.
        answers: Answers to `wanted`.
        wanted: Names and versions that were asked about.
    """
    if not any(answer.get("vulns") for answer in probe):
        return -1, [
            f"NOT AUDITED: the service does not know the weaknesses of {PROBE[0]} {PROBE[1]}, so its silence on the "
            f"{len(wanted)} packages of the lock means nothing; ask again where it can be reached."
        ]
    known = [
        f"{answer['name']} {answer['version']}: {', '.join(vuln['id'] for vuln in answer['vulns'])}"
        for answer in answers
        if answer.get("vulns")
    ]
    answered = {(answer["name"].lower(), answer["version"]) for answer in answers if "version" in answer}
    skipped = [
        f"{name} {version}: skipped" for name, version in wanted if (name.lower(), version) not in answered
    ]
    if known or skipped:
        return 1, [*known, *skipped]
    return 0, [f"no known weakness in {len(wanted)} packages"]


def main() -> int:
    """Audit the lock; returns the exit code."""
    parser = argparse.ArgumentParser(description="Known weaknesses of the packages in the lock.")
    parser.add_argument("--must-ask", action="store_true", help="Fail where nothing could be asked.")
    must_ask = parser.parse_args().must_ask
    wanted = pins(ROOT / "requirements.lock", ROOT / "constraints.txt")
    probe = ask([PROBE])
    code, lines = judge(probe, ask(wanted) if any(answer.get("vulns") for answer in probe) else [], wanted)
    print("\n".join(lines))
    return (2 if must_ask else 0) if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
