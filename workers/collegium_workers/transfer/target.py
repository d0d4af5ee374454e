"""Which platform a command talks to: one that is named, the one that runs on the data folder, or one for a while."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import click
import msgspec

from collegium_core.security.system import SYSTEM_USERNAME
from collegium_core.settings import load
from collegium_workers.supervisor.programs import command_line
from collegium_workers.supervisor.runtime import Runtime, ensure_system_key, find_runtime
from collegium_workers.transfer.client import Target

__all__ = ["Where", "data_folder", "reach", "run_platform", "running_platform"]

_LAUNCHER: Final = Path(__file__).parents[1] / "supervisor" / "launch.py"
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 60.0


class Where(msgspec.Struct, frozen=True):
    """What the command line says about the platform; empty strings where it says nothing."""

    url: str = ""
    username: str = ""
    password: str = ""
    data: Path | None = None

    def __repr__(self) -> str:
        return f"Where({self.url!r}, {self.username!r}, {self.data!r})"


class _Event(msgspec.Struct):
    event: str
    detail: str = ""


def data_folder(where: Where) -> Path:
    """Return the data folder: the one named, else that of the settings."""
    return where.data.absolute() if where.data is not None else load().data_dir


@contextlib.asynccontextmanager
async def reach(where: Where) -> AsyncIterator[Target]:
    """Yield the platform to talk to.

    With a URL: that one, as the user named. Else the one that runs on the data folder, as the system user; where none
    runs, one is started on it for the duration, under the folder's lock.

    :raises click.ClickException: there is none, and none can be started.
    """
    if where.url:
        yield _as_named(where)
        return
    folder = data_folder(where)
    async with run_platform(folder) as runtime:
        yield await asyncio.to_thread(_as_system, folder, runtime)


def running_platform(where: Where) -> Target | None:
    """Return the platform that is named or that runs on the data folder; None where neither is. Reads small files."""
    if where.url:
        return _as_named(where)
    folder = data_folder(where)
    runtime = find_runtime(folder)
    return _as_system(folder, runtime) if runtime is not None else None


@contextlib.asynccontextmanager
async def run_platform(folder: Path) -> AsyncIterator[Runtime]:
    """Yield the platform on *folder*: the running one, else one of our own that ends with the context.

    :raises click.ClickException: it cannot be started; the message is its own sentence.
    """
    runtime = await asyncio.to_thread(find_runtime, folder)
    if runtime is not None:
        yield runtime
        return
    if not await asyncio.to_thread((folder / "lock").exists):
        raise click.ClickException(f"no platform has ever run on {folder}; start one with collegium up, or name --url")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(signal.SIGTERM))),
        *command_line("up", "--data", str(folder), "--port", "0", "--metrics-port", "0", "--json", "--quiet"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C is for the command, which then ends what it started.
        start_new_session=True,
        limit=2**20,
    )
    reading: asyncio.Task[None] | None = None
    try:
        if process.stdout is None:
            raise AssertionError("made with a pipe")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await _await_ready(process.stdout)
        except TimeoutError:
            raise click.ClickException(f"the platform on {folder} is not ready after {_START_SECONDS:.0f} s") from None
        reading = asyncio.get_running_loop().create_task(_drain(process.stdout))
        runtime = await asyncio.to_thread(find_runtime, folder)
        if runtime is None:
            raise click.ClickException(f"the platform on {folder} ended right after its start")
        yield runtime
    finally:
        await _end(process)
        if reading is not None:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading


async def _await_ready(output: asyncio.StreamReader) -> None:
    while line := await output.readline():
        event = msgspec.json.decode(line, type=_Event)
        if event.event == "ready":
            return
        if event.event == "failed":
            raise click.ClickException(event.detail)
    raise click.ClickException("the platform ended before it was ready")


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _as_named(where: Where) -> Target:
    if not where.username:
        raise click.UsageError("--url needs --username and --password")
    url = where.url.rstrip("/")
    return Target(url, where.username, where.password, identity=url)


def _as_system(folder: Path, runtime: Runtime) -> Target:
    try:
        key = ensure_system_key(folder).read_text(encoding="utf-8").strip()
    except OSError as error:
        sentence = f"the system key in {folder} cannot be read ({error.strerror}); use --url, --username and --password"
        raise click.ClickException(sentence) from None
    return Target(runtime.url, SYSTEM_USERNAME, key, identity=str(folder))
