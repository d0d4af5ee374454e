"""All statements of a tenant, page by page, into a file or standard output."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gzip
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import click
import msgspec
import zstandard
from rich.console import Console

from collegium_workers.transfer.client import Answer, Client, RefusedError
from collegium_workers.transfer.display import count_progress, make_console
from collegium_workers.transfer.pages import Page, split_page
from collegium_workers.transfer.target import Where, reach

__all__ = ["export_statements"]

_PAGE: Final = "500"
_PATIENCE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1
# A line end inside JSON can only be white space between two tokens: text holds it escaped.
_LINE_ENDS: Final = bytes.maketrans(b"\r\n", b"  ")


async def export_statements(where: Where, tenant: str, output: Path | None) -> None:
    """Write everything that was accepted before this call.

    :raises PlatformAwayError: see :class:`Client`; as is :class:`RefusedError`.
    :raises click.ClickException: *output* cannot be written.
    """
    began = time.monotonic()
    console = make_console()
    written = 0
    async with reach(where) as target:
        with count_progress(console) as progress:
            task = progress.add_task(f"export of {tenant}", total=None, statements=0, note="")

            def wait(reason: str) -> None:
                progress.update(task, note=f"waiting: {reason}" if reason else "")

            async with Client(target, tenant, waiting=wait) as client:
                await _wait_for_index(client, console)
                with _open(output) as sink:
                    answer = await client.get_statements(ascending="true", limit=_PAGE)
                    while True:
                        page = _decode(answer)
                        await _write(sink, page.statements)
                        written += len(page.statements)
                        progress.update(task, statements=written)
                        if not page.more:
                            break
                        answer = await client.get_statements(more=page.more)
    if output is not None:
        seconds = max(time.monotonic() - began, 0.001)
        sys.stdout.write(f"{output}: {written:,} statements in {seconds:.1f} s, {written / seconds:,.0f}/s\n")


async def _wait_for_index(client: Client, console: Console) -> None:
    """Return when lists hold everything accepted before now, or after a minute with a warning."""
    now = dt.datetime.now(dt.UTC)
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        answer = await client.get_statements(limit="1")
        _decode(answer)
        text = answer.headers.get("x-experience-api-consistent-through", "")
        try:
            through = dt.datetime.fromisoformat(text)
        except ValueError:
            return  # another LRS, which promises nothing
        if through >= now:
            return
        if time.monotonic() > end:
            console.print(f"statements stored after {text} are not indexed yet and will be missing", style="yellow")
            return
        await asyncio.sleep(_POLL_SECONDS)


def _decode(answer: Answer) -> Page:
    if answer.status != 200:
        raise RefusedError(f"the platform refuses the query: {answer.detail}")
    try:
        return split_page(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise RefusedError("the answer to the query is no list of statements") from None


async def _write(sink: BinaryIO, statements: list[msgspec.Raw]) -> None:
    text = b"".join([bytes(statement).translate(_LINE_ENDS) + b"\n" for statement in statements])
    try:
        await asyncio.to_thread(sink.write, text)
    except BrokenPipeError:
        raise click.ClickException("the reader of the output has gone") from None
    except OSError as error:
        raise click.ClickException(f"the output cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _open(output: Path | None) -> Iterator[BinaryIO]:
    """Yield where to write; a file gets its name only when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        # A closed pipe shows here at the latest, not when the interpreter ends.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.buffer.flush()
        return
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with _compressed(draft, output.suffix) as file:
            yield file
        draft.replace(output)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _compressed(path: Path, suffix: str) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        match suffix:
            case ".gz":
                # No time in the header: the same statements give the same file.
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                    yield cast("BinaryIO", packed)
            case ".zst":
                with zstandard.ZstdCompressor(level=6).stream_writer(file, closefd=False) as packed:
                    yield cast("BinaryIO", packed)
            case _:
                yield file
