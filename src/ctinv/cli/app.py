"""The application: registers commands, turns errors and signals into one sentence and an exit code."""

from __future__ import annotations

import errno
import functools
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, ParamSpec

import typer

from ctinv.cli.outcome import Outcome, Stopped
from ctinv.errors import CtinvError
from ctinv.jsonable import dumps

P = ParamSpec("P")

app = typer.Typer(
    name="ctinv",
    help="Sample what a CT denoiser cannot tell from the scan, and prove each sample by feeding it back. "
    "Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C: what is finished is kept."""


def _version(asked: bool) -> None:
    if asked:
        from ctinv import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what the core does to standard error.")
    ] = False,
) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO if verbose else logging.ERROR, format="%(name)s: %(message)s"
    )


def command(name: str, *, group: typer.Typer = app) -> Callable[[Callable[P, Outcome]], Callable[P, None]]:
    """Register a function as a command; it must take ``as_json`` and return an `Outcome`."""

    def register(function: Callable[P, Outcome]) -> Callable[P, None]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
            code = _guarded(functools.partial(function, *args, **kwargs), as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(code)

        group.command(name)(wrapped)
        return wrapped

    return register


def _guarded(call: Callable[[], Outcome], *, as_json: bool) -> int:
    """Run a command; print its outcome or its one sentence; return the exit code."""
    try:
        outcome = call()
    except BaseException as error:
        return _refuse(error, as_json=as_json)
    try:
        _print(outcome, as_json=as_json)
        if outcome.afterwards is not None:
            outcome.afterwards()
    except BrokenPipeError:
        return _hush()
    except BaseException as error:  # standard output holds its one object already
        return _refuse(error, as_json=False)
    return 1 if outcome.problem else 0


def _refuse(error: BaseException, *, as_json: bool) -> int:
    """Say an error in one sentence and return its exit code; anything that is our own mistake goes on."""
    if isinstance(error, Stopped):
        return _fail(str(error), as_json=as_json, code=error.exit_code, data=error.data)
    if isinstance(error, KeyboardInterrupt):
        text = "stopped before anything was finished; nothing was written."
        return _fail(text, as_json=as_json, code=exit_code_of(error))
    if isinstance(error, CtinvError):
        return _fail(str(error), as_json=as_json)
    if _is_out_of_memory(error):
        return _fail("not enough memory for this request; choose a smaller box or scan.", as_json=as_json)
    if isinstance(error, OSError):
        return _fail(_describe(error), as_json=as_json)
    raise error


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, RuntimeError) and "torch" in sys.modules:  # showing a small error loads no torch
        from ctinv.fibre.memory import is_out_of_memory

        return is_out_of_memory(error)
    return isinstance(error, MemoryError)


def _print(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        problem = {"error": outcome.problem} if outcome.problem else {}
        print(dumps({**outcome.data, **problem}), flush=True)
    else:
        from rich.console import Console

        outcome.show(Console(highlight=False))
        sys.stdout.flush()
    if outcome.problem:
        print(f"error: {outcome.problem}", file=sys.stderr, flush=True)


def _fail(message: str, *, as_json: bool, code: int = 1, data: Mapping[str, Any] | None = None) -> int:
    print(f"error: {message}", file=sys.stderr, flush=True)
    if as_json:
        print(dumps({"error": message, **(data or {})}), flush=True)
    return code


def _hush() -> int:
    """The reader of our output has gone: keep the interpreter's last flush from complaining about it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _describe(error: OSError) -> str:
    """One sentence for an operating system's error, with the bare file name only."""
    name = Path(str(error.filename)).name if error.filename else "the output"
    if error.errno == errno.ENOSPC:
        return f"the disk is full while writing {name}; free some space and run the same command again."
    return f"{name}: {(error.strerror or str(error)).lower()}."


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """143 after SIGTERM, 130 after Ctrl-C, as shells expect."""
    return 143 if isinstance(stop, Terminated) else 130


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def run(arguments: list[str]) -> int:
    """Parse and run; return the exit code. What goes wrong is said on standard error, and as JSON where asked."""
    before = signal.signal(signal.SIGTERM, _terminate)
    as_json = "--json" in arguments
    try:
        return int(app(args=arguments, prog_name="ctinv", standalone_mode=False) or 0)
    except typer.Abort:
        return _fail("stopped.", as_json=as_json, code=130)
    except KeyboardInterrupt as stop:
        return _refuse(stop, as_json=as_json)
    except Exception as error:
        return _wrong_usage(error, as_json=as_json)
    finally:
        signal.signal(signal.SIGTERM, before)


def _wrong_usage(error: Exception, *, as_json: bool) -> int:
    # typer's usage errors derive from click's or from its own copy of it, depending on its version
    code = getattr(error, "exit_code", None)
    if code is None or not hasattr(error, "format_message"):
        traceback.print_exception(error)
        text = f"an internal error ({type(error).__name__}); please report it with the lines above."
        return _fail(text, as_json=as_json)
    said = error.format_message().rstrip(".?").replace("\n", " ")
    if not said:  # no arguments at all: the help was printed
        return int(code)
    text = f"{said[:1].lower()}{said[1:]} (see {_help_of(error)})."
    return _fail(text, as_json=as_json, code=int(code))


def _help_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'ctinv'} --help"
