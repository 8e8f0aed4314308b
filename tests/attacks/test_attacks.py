"""Strangers' models: nothing of them runs, nothing outside their folder is read or written, with trust and without.

Every attack is loaded in a fresh process that is watched: by an audit hook, by a folder in which its payload would leave a
file, and by a port it would connect to. The same files are given to the usual loaders, where they have to do their harm.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import attack_bundles
import attack_graphs
import attack_others
import attack_pickles
import attack_programs
import pytest
from attack_place import ATTACKS, Attack, Place

HERE = Path(__file__).parent
assert all((attack_bundles, attack_graphs, attack_others, attack_pickles, attack_programs))
TRUSTED = [name for name, attack in ATTACKS.items() if attack.trusted]
FIRING = [name for name, attack in ATTACKS.items() if attack.naive]


@dataclass
class Round:
    """All attacks built in a place of their own, and what came of loading them."""

    root: Path
    paths: dict[str, Path] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    connections: int = 0

    def marked(self, name: str) -> bool:
        """Whether the payload of an attack left its file."""
        return self.places[name].mark.exists()


def built(root: Path, attacks: dict[str, Attack], port: int) -> Round:
    """Write attacks, each into a folder of its own."""
    made = Round(root)
    for folder in ("watched", "outside", "attacks", "temporary", "config", "home"):
        (root / folder).mkdir()
    secret = root / "outside" / "secret.bin"
    secret.write_bytes(b"\x00\x00\x80?" * 64)
    secret.with_suffix(".json").write_text(
        '{"a": [2, 2], "network_def": {"_target_": "ctinv.networks.CNN10"}}'
    )
    for name, attack in attacks.items():
        folder = root / "attacks" / attack.slug
        folder.mkdir()
        made.places[name] = Place(folder, root / "watched" / attack.slug, secret, port)
        made.paths[name] = attack.build(made.places[name])
    assert list((root / "watched").iterdir()) == []
    os.environ.pop("CTINV_ATTACKED", None)
    return made


def run(program: str, request: Path, root: Path) -> None:
    """A fresh process with a home, a configuration and a temporary folder of its own."""
    folders = {"TMPDIR": "temporary", "CTINV_CONFIG": "config", "HOME": "home"}
    environment = {
        **os.environ,
        **{key: str(root / name) for key, name in folders.items()},
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    words = [sys.executable, str(HERE / program), str(request)]
    done = subprocess.run(
        words, env=environment, cwd=root / "temporary", capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def port() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=500) as server:
        server.settimeout(0.05)
        yield server


def connections(server: socket.socket) -> int:
    """How many came since it was asked last."""
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return count
        count += 1


def loaded(
    root: Path, attacks: dict[str, Attack], server: socket.socket, *, trust: bool, naive: bool = False
) -> Round:
    """Load attacks in a watched process: by the product, or by the loaders that fall for them."""
    made = built(root, attacks, server.getsockname()[1])
    source = Path(__file__).parents[2]
    request = root / "request.json"
    own = [
        sys.prefix,
        sys.base_prefix,
        "/usr",
        "/lib",
        "/etc/ld.so.cache",
        str(source / "src"),
        str(source / "bundles"),
    ]
    known = {
        name: {
            "path": str(made.paths[name]),
            "folder": str(made.places[name].folder),
            "naive": attack.naive if naive else "",
        }
        for name, attack in attacks.items()
    }
    request.write_text(
        json.dumps(
            {
                "attacks": known,
                "trust": trust,
                "temporary": os.path.realpath(root / "temporary"),
                "own": [os.path.realpath(path) for path in (*own, root / "config", HERE)],
            }
        )
    )
    run("attack_run.py", request, root)
    made.found = json.loads(request.with_suffix(".answer").read_text())
    made.connections = connections(server)
    return made


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory, port: socket.socket) -> Round:
    return loaded(tmp_path_factory.mktemp("untrusted"), ATTACKS, port, trust=False)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory, port: socket.socket) -> Round:
    chosen = {name: ATTACKS[name] for name in TRUSTED}
    return loaded(tmp_path_factory.mktemp("trusted"), chosen, port, trust=True)


def faults(attack: Attack, made: Round) -> list[str]:
    """All that went wrong with one attack."""
    about, name = made.found[attack.name], attack.name
    wrong = list(about["done"])
    if made.marked(name):
        wrong.append("its payload ran")
    if about["flag"]:
        wrong.append("it set a flag")
    if about["kind"].startswith("untyped"):
        wrong.append(about["said"][:300])
    if len(about["said"]) > 200:
        wrong.append(f"{len(about['said'])} characters: {about['said']}")
    if about["said"] and made.paths[name].name[:30] not in about["said"]:
        wrong.append(f"the file is not named: {about['said']}")
    if str(made.root) in about["said"] or not about["said"].isprintable():
        wrong.append(f"more is said than a bare name: {about['said']!r}")
    if about["listed"] < 0:
        wrong.append("the listing has characters that a terminal obeys")
    if about["seconds"] > 60:
        wrong.append(f"it took {about['seconds']:.0f} s")
    return wrong


def test_without_trust_no_attack_runs_reads_or_writes_anything(untrusted: Round) -> None:
    page = (HERE.parents[1] / "docs" / "networks.md").read_text(encoding="utf-8")
    assert f"{len(ATTACKS)} attacks are part of the tests" in page
    assert len(ATTACKS) >= 70
    wrong = {name: found for name, attack in ATTACKS.items() if (found := faults(attack, untrusted))}
    assert wrong == {}
    assert untrusted.connections == 0
    for folder in ("watched", "temporary", "config"):
        assert list((untrusted.root / folder).iterdir()) == [], folder


def test_each_is_refused_or_is_harmless_data(untrusted: Round) -> None:
    refused = {name for name, about in untrusted.found.items() if about["said"]}
    assert refused == {name for name, attack in ATTACKS.items() if not attack.harmless}


@pytest.mark.slow
def test_with_trust_their_harm_stays_in_the_child(trusted: Round) -> None:
    wrong = {name: found for name in TRUSTED if (found := faults(ATTACKS[name], trusted))}
    assert wrong == {}
    assert trusted.connections == 0
    for folder in ("watched", "temporary", "config"):
        assert list((trusted.root / folder).iterdir()) == [], folder


@pytest.mark.slow
def test_with_trust_a_model_that_does_harm_is_refused(trusted: Round) -> None:
    assert {name for name, about in trusted.found.items() if not about["said"]} == set()


def test_the_usual_loaders_fall_for_them(tmp_path: Path, port: socket.socket) -> None:
    """The negative control: a payload that never fires proves nothing."""
    made = built(tmp_path, {name: ATTACKS[name] for name in FIRING}, port.getsockname()[1])
    request = tmp_path / "request.json"
    request.write_text(json.dumps([(ATTACKS[name].naive, str(made.paths[name])) for name in FIRING]))
    run("attack_naive.py", request, tmp_path)
    assert {name for name in FIRING if not made.marked(name)} == set()
    assert connections(port) > 20
    families = {ATTACKS[name].family for name in FIRING}
    assert families >= {"pickle", "TorchScript", "exported program", "bundle", "generator", "array"}


SEEN = {
    "pickle: os.system by reduce, in an archive": {"ran os.system", "its payload ran"},
    "pickle: exec of Python": {"its payload ran", "it set a flag", "reached socket.connect"},
    "pickle: protocol 2, bare": {"its payload ran", "it set a flag", "reached socket.connect"},
    "TorchScript: writes while it is loaded": {"load"},
    "exported program: a pickle among its sample inputs": {"load"},
    "bundle: a tag of Python in YAML": {"ran os.system", "its payload ran"},
    "array: objects in .npy": {"its payload ran", "it set a flag"},
}


def test_the_watch_sees_what_the_usual_loaders_let_happen(tmp_path: Path, port: socket.socket) -> None:
    """The negative control of the watch: what it never reports above it reports here."""
    made = loaded(tmp_path, {name: ATTACKS[name] for name in SEEN}, port, trust=False, naive=True)
    for name, expected in SEEN.items():
        found = set(faults(ATTACKS[name], made))
        assert expected <= found, (name, found)
    mark = os.path.realpath(made.places["pickle: exec of Python"].mark)
    assert f"wrote {mark}" in faults(ATTACKS["pickle: exec of Python"], made)
    assert made.connections > 0
