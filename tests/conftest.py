"""For all tests: folders of their own, the slow ones first, and no viewer tests where no window can be opened: Qt would
abort there, so they are left out with one clear line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from ctypes.util import find_library

import pytest

X_LIBRARIES = ("xcb-icccm", "xcb-keysyms", "xcb-cursor", "EGL", "xkbcommon-x11")
NEEDED_PLUGINS = ("napari", "pytest-qt")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Factors and trust of the tests go to folders of their own, also in processes that a test starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTINV_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("CTINV_CONFIG", str(tmp_path_factory.mktemp("config")))
        yield


def why_no_window(config: pytest.Config) -> str | None:
    """The reason why viewer tests cannot run here, or None."""
    if os.environ.get("CTINV_NO_GUI"):
        return "CTINV_NO_GUI is set"
    absent = [name for name in NEEDED_PLUGINS if not config.pluginmanager.hasplugin(name)]
    if absent:
        return f"the pytest plugins {' and '.join(absent)} are off"
    if not sys.platform.startswith("linux"):
        return None
    if not os.environ.get("DISPLAY"):  # pytest-xvfb has set it by now if it could
        return "there is no X server; as root on Debian: apt-get install xvfb xauth"
    missing = [name for name in X_LIBRARIES if find_library(name) is None]
    if missing:
        return "X libraries are missing; as root on Debian: apt-get install " + " ".join(
            f"lib{name}*" for name in missing
        )
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    gui = [item for item in items if item.get_closest_marker("gui")]
    reason = why_no_window(config) if gui else None
    if reason:
        config.stash[LEFT_OUT] = f"{len(gui)} viewer tests left out: {reason}"
        config.hook.pytest_deselected(items=gui)
        items[:] = [item for item in items if item not in gui]
    slow = {item.path for item in items if item.get_closest_marker("slow")} - {item.path for item in gui}
    items.sort(key=lambda item: item.path not in slow)  # else one processor waits for them at the end


LEFT_OUT = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    line = config.stash.get(LEFT_OUT, None)
    if line:
        terminalreporter.write_line(line, yellow=True)
