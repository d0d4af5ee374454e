"""The options that the transfer commands share."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

__all__ = ["platform_options", "run"]

P = ParamSpec("P")
T = TypeVar("T")


def platform_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add ``--data``, ``--url``, ``--username`` and ``--password``; the command gets them as one ``where``."""

    @click.option("--data", type=click.Path(path_type=Path), help="Data folder of collegium up (setting DATA_DIR).")
    @click.option("--url", default="", help="A platform elsewhere: its URL, root path included.")
    @click.option("--username", "-u", default="", envvar="COLLEGIUM_USERNAME", help="User for --url.")
    @click.option("--password", "-p", default="", envvar="COLLEGIUM_PASSWORD", help="Password for --url.")
    @functools.wraps(command)
    def wrapped(*args: Any, data: Path | None, url: str, username: str, password: str, **kwargs: Any) -> T:
        from collegium_workers.transfer.target import Where  # noqa: PLC0415 - not needed for --help

        return command(*args, where=Where(url=url, username=username, password=password, data=data), **kwargs)

    return wrapped


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end; what it raises for the caller becomes a sentence and exit code 1.

    :raises click.ClickException: the platform is away or refuses.
    """
    from collegium_workers.transfer.client import PlatformAwayError, RefusedError  # noqa: PLC0415 - not for --help

    try:
        return asyncio.run(work)
    except (PlatformAwayError, RefusedError) as error:
        raise click.ClickException(str(error)) from None
