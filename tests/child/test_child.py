"""The child process: what comes through, and what a stranger's program cannot do in it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctinv.child import Child, ChildFailed, TaskError

TASK = "child_probe:probe"
linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and namespaces are Linux's")


@pytest.fixture(autouse=True)
def _probe_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(Path(__file__).parent), before])))


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(TASK, memory=1 << 28, seconds=20.0) as child:
        yield child


def failure(child: Child, what: str, **more: object) -> ChildFailed:
    with pytest.raises(ChildFailed) as caught:
        child.call({"what": what, **more})
    assert not child.alive
    return caught.value


def test_heads_and_blobs_come_back_as_they_were(child: Child) -> None:
    blobs = [b"", bytes(range(256)) * 5000]
    for _ in range(3):
        assert child.call({"what": "echo"}, blobs) == ({"did": "ok"}, blobs)


def test_a_refusal_comes_in_its_own_words_and_the_child_goes_on(child: Child) -> None:
    with pytest.raises(TaskError, match="expected a fish"):
        child.call({"what": "refuse"})
    assert child.call({"what": "echo"})[0] == {"did": "ok"}


def test_what_it_prints_reaches_nobody(child: Child, capfd: pytest.CaptureFixture[str]) -> None:
    child.call({"what": "noise"})
    assert "Zebrafink" not in "".join(capfd.readouterr())


def test_an_exception_of_a_library_is_told_by_its_type_alone(child: Child) -> None:
    error = failure(child, "quote")
    assert error.reason == "failed"
    assert "ValueError" in str(error)
    assert "Zebrafink" not in str(error)


def test_a_crash_is_an_answer(child: Child) -> None:
    assert failure(child, "abort").reason == "crashed"


def test_one_that_takes_too_long_is_ended() -> None:
    with Child(TASK, memory=1 << 28, seconds=0.5) as child:
        since = time.monotonic()
        assert failure(child, "sleep").reason == "late"
        assert time.monotonic() - since < 30


def test_a_flood_is_not_read() -> None:
    with Child(TASK, memory=1 << 28, seconds=20.0, answer_limit=1000) as child:
        with pytest.raises(ChildFailed):
            child.call({"what": "echo"}, [bytes(2000)])
        assert not child.alive


@linux
def test_it_cannot_take_more_memory_than_it_was_given(child: Child) -> None:
    assert "memory" in child.holds
    assert failure(child, "memory").reason == "memory"


@linux
@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("what", ["write", "write from C", "read", "read from C", "list"])
def test_files_are_out_of_its_reach(tmp_path: Path, what: str, guarded: bool) -> None:
    """Once by the system, and once more inside Python, where the system is asked second."""
    secret = tmp_path / "secret"
    secret.write_text("Zebrafink")
    with Child(TASK, memory=1 << 28, seconds=20.0, guarded=guarded) as child:
        if "files" not in child.holds and not (guarded and what in ("write", "read")):
            pytest.skip("this kernel has no Landlock")
        path = {"write": tmp_path / "new", "write from C": tmp_path / "new", "list": tmp_path}.get(
            what, secret
        )
        assert failure(child, what, path=str(path)).reason == "failed"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["secret"]


@linux
def test_programs_are_out_of_its_reach(child: Child) -> None:
    if "programs" not in child.holds:
        pytest.skip("this kernel has no Landlock")
    assert failure(child, "program").reason == "failed"


def test_the_guard_alone_refuses_programs_and_sockets() -> None:
    for what in ("program", "network"):
        with Child(TASK, memory=1 << 28, seconds=20.0, guarded=True) as child:
            assert "PermissionError" in str(failure(child, what, port=9))


@linux
def test_the_network_is_out_of_its_reach(child: Child) -> None:
    if "network" not in child.holds:
        pytest.skip("network namespaces are not allowed here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        assert failure(child, "network", port=server.getsockname()[1]).reason == "failed"
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_its_limits_the_same_probe_does_harm(tmp_path: Path) -> None:
    """The negative control: what is refused above works in a plain process."""
    from child_probe import probe

    probe({"what": "write", "path": str(tmp_path / "new")}, [])
    assert (tmp_path / "new").read_text() == "x"
    assert probe({"what": "program"}, [])[0]["did"] == 0


def test_it_ends_with_its_parent_and_is_ended_twice_in_peace(child: Child) -> None:
    assert child.alive
    child.close()
    child.close()
    assert not child.alive


def test_a_task_that_does_not_exist_is_no_crash_of_ours() -> None:
    with pytest.raises(ChildFailed):
        Child("child_probe:nothing", memory=1 << 28, seconds=5.0)
