"""Child processes that never outlive the run that started them, not even after ``kill -9`` of it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

__all__ = ["NOBODY", "ProcessDiedError", "end", "free_port", "kill", "spawn", "tail", "wait_until"]

NOBODY = 65534
"""The unprivileged user that servers run as when the tests run as root and the server refuses root."""

_LAUNCHER = Path(__file__).with_name("launch.py")


class ProcessDiedError(RuntimeError):
    """A server ended before it was ready; the message holds the end of its log."""


@cache
def _spawner() -> ThreadPoolExecutor:
    """Return the one thread that starts every child.

    Linux sends the parent-death signal when the *thread* that forked ends, so a test's short-lived thread must not
    be that thread.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start *command* in a session of its own; on Linux it is killed as soon as this process is gone.

    Standard input is empty; output and errors are appended to *log*, else thrown away. *env* replaces the whole
    environment. *user* (only as root) is the uid and gid to run as. *stdout* may be ``subprocess.PIPE`` for a caller
    that reads it; errors then still go to *log*. The process id is the command's own.
    """
    line = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), "-" if user is None else str(user)]
    line += [str(part) for part in command]

    def start() -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
            return subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=output if stdout is None else stdout,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )

    return _spawner().submit(start).result()


def kill(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of *process* and everything in its session's group; waits for its end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    if process.stdout:
        process.stdout.close()


def end(process: subprocess.Popen[bytes], *, timeout: float = 15) -> int:
    """Ask *process* to end (SIGTERM), kill what is left after *timeout* seconds; return its exit code."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout)
    kill(process)
    return process.returncode


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def tail(log: Path, size: int = 2000) -> str:
    """Return the last *size* characters of *log*; empty when there is no such file."""
    with contextlib.suppress(OSError):
        return log.read_text(errors="replace")[-size:]
    return ""


def wait_until(
    ready: Callable[[], bool],
    *,
    what: str,
    timeout: float,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> None:
    """Poll *ready* until it is true; an ``OSError`` counts as not yet.

    Raises :class:`ProcessDiedError` as soon as *process* has ended, ``TimeoutError`` after *timeout* seconds; both
    name *what* and show the end of *log*.
    """
    deadline = time.monotonic() + timeout
    pause = 0.005
    while True:
        answered = False
        with contextlib.suppress(OSError):
            answered = ready()
        # Asked after the answer: it may have come from another server that has had the port all along.
        if process is not None and process.poll() is not None:
            raise ProcessDiedError(f"{what} ended with {process.returncode}\n{tail(log) if log else ''}")
        if answered:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready after {timeout:g} s\n{tail(log) if log else ''}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
