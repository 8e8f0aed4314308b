"""Where an attack is built and what its payload would do; the registry of all attacks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FLAG = "CTINV_ATTACKED"


@dataclass(frozen=True)
class Place:
    """A folder for one attack, and the harm it tries.

    Attributes:
        folder: Everything of the attack lies here.
        mark: A file elsewhere that its payload would make.
        secret: A file elsewhere that it would read; the same with other endings beside it.
        port: A port of this machine that it would connect to.
    """

    folder: Path
    mark: Path
    secret: Path
    port: int

    @property
    def shell(self) -> str:
        """The payload as a command of the shell."""
        return f"touch {self.mark}"

    @property
    def code(self) -> str:
        """The payload as Python: makes a file, sets a flag, connects."""
        return (
            f"import os, socket; open({str(self.mark)!r}, 'w').close(); os.environ[{FLAG!r}] = '1'; "
            f"s = socket.socket(); s.settimeout(0.2); s.connect_ex(('127.0.0.1', {self.port})); s.close()"
        )


Builder = Callable[[Place], Path]


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: Its family, a colon, and its trick.
        build: Writes it and returns what a user would load.
        naive: The usual loader that it is made for, as `attack_naive` calls it; there it has to fire. Empty where no
            loader is known to fall for it.
        trusted: Whether it is also loaded with trust.
        harmless: It loads as data, and nothing of it runs.
    """

    name: str
    build: Builder
    naive: str = ""
    trusted: bool = False
    harmless: bool = False

    @property
    def family(self) -> str:
        """What it is in: pickle, TorchScript, …"""
        return self.name.partition(":")[0]

    @property
    def slug(self) -> str:
        """Its name for a folder."""
        return re.sub(r"\W+", "_", self.name)


ATTACKS: dict[str, Attack] = {}


def attack(
    name: str, *, naive: str = "", trusted: bool = False, harmless: bool = False
) -> Callable[[Builder], Builder]:
    """Register a builder."""

    def register(build: Builder) -> Builder:
        assert name not in ATTACKS
        ATTACKS[name] = Attack(name, build, naive, trusted, harmless)
        return build

    return register
