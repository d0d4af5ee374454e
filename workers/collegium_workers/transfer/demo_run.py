"""Made-up statements on their way: to a platform in batches, or to standard output line by line."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Iterable
from typing import Final

from collegium_workers.transfer.client import Client, RefusedError, Target
from collegium_workers.transfer.display import count_progress, make_console
from collegium_workers.transfer.generator import generate
from collegium_workers.transfer.lines import Line
from collegium_workers.transfer.sending import Outcome, Sender

__all__ = ["print_demo", "send_demo"]

_BATCH: Final = 250
_UNDER_WAY: Final = 4


def print_demo(statements: int, seed: int) -> None:
    """Write the statements to standard output, one a line; a reader that leaves ends it quietly."""
    output = sys.stdout.buffer
    made = itertools.islice(generate(seed), statements)
    try:
        while part := list(itertools.islice(made, _BATCH)):
            output.write(b"\n".join(part) + b"\n")
        output.flush()
    except BrokenPipeError:
        # Else the interpreter complains when it flushes at its end.
        sys.stdout = None


async def send_demo(target: Target, tenant: str, *, statements: int, seed: int) -> None:
    """Send the statements to *tenant*.

    :raises PlatformAwayError: see :class:`Client`.
    :raises RefusedError: the platform refuses caller, tenant or one of the statements.
    """
    began = time.monotonic()
    accepted = 0
    refusals: list[str] = []
    with count_progress(make_console()) as progress:
        task = progress.add_task(f"demo for {tenant}", total=statements, statements=0, note="")

        def done(_: int, outcome: Outcome) -> None:
            nonlocal accepted
            accepted += outcome.accepted
            refusals.extend(fault.detail for fault in outcome.faults)
            progress.update(task, completed=accepted, statements=accepted)

        def wait(reason: str) -> None:
            progress.update(task, note=f"waiting: {reason}" if reason else "")

        async with Client(target, tenant, waiting=wait) as client:
            sender = Sender(client, _UNDER_WAY, done)
            try:
                await _send_all(sender, itertools.islice(generate(seed), statements))
                await sender.finish()
            finally:
                await sender.cancel()
    if refusals:
        # Another statement has one of these ids: only a different generator can have made it.
        raise RefusedError(f"{len(refusals)} statements were refused, the first: {refusals[0]}")
    seconds = max(time.monotonic() - began, 0.001)
    sys.stdout.write(f"{accepted:,} statements accepted by {tenant} in {seconds:.1f} s, {accepted / seconds:,.0f}/s\n")


async def _send_all(sender: Sender, made: Iterable[bytes]) -> None:
    numbered = enumerate(made, 1)
    for number in itertools.count():
        # Making a batch takes a few milliseconds of computing: not in the loop that feeds the connections.
        part = await asyncio.to_thread(_take, numbered)
        if not part:
            return
        await sender.submit(number, part)


def _take(numbered: Iterable[tuple[int, bytes]]) -> list[Line]:
    return [Line(number, statement) for number, statement in itertools.islice(numbered, _BATCH)]
