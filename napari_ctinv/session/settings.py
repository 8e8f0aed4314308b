"""Settings: what napari's Preferences page of this plugin holds, as a model that follows it both ways."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

from psygnal import SignalGroupDescriptor

_logger = logging.getLogger(__name__)

PLUGIN = "napari-ctinv"
GROUP = "sampling"
NAMES = ("device", "n", "tier", "cache", "threads")


@dataclass
class Settings:
    """Defaults for new requests.

    Attributes:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        n: Samples of a new study.
        tier: Exactness, ``"T0"`` to ``"T3"``.
        cache: Folder for factors that serve again; empty for the usual one.
        threads: Threads on the CPU; 0 for as many as there are processors.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    device: str = "auto"
    n: int = 250
    tier: str = "T2"
    cache: str = ""
    threads: int = 0

    def environment(self) -> dict[str, str]:
        """Variables that tell a computing process of threads and cache."""
        found = {"CTINV_CACHE": self.cache} if self.cache else {}
        if self.threads:
            found |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.threads))
        return found


def remembered() -> Settings:
    """The settings as they stand in Preferences; changes there and here follow each other and are kept by napari."""
    settings = Settings()
    page = _page()
    if page is None:
        return settings
    for name in NAMES:
        setattr(settings, name, getattr(page, name))

    def to_page(name: str) -> None:
        if getattr(page, name) != getattr(settings, name):
            setattr(page, name, getattr(settings, name))

    def from_page(name: str) -> None:
        setattr(settings, name, getattr(page, name))

    for name in NAMES:
        getattr(settings.events, name).connect(lambda *_, name=name: to_page(name))
        getattr(page.events, name).connect(lambda *_, name=name: from_page(name))
    return settings


def _page() -> Any:
    """napari's model of the page; None where this plugin is not installed as one."""
    from napari.settings import get_plugin_settings

    try:
        return getattr(get_plugin_settings(PLUGIN), GROUP)
    except KeyError:
        _logger.info("the plugin is not installed, so its settings are not remembered")
        return None
