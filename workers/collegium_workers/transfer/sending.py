"""Batches on their way to a tenant: several at a time, and a refused one taken apart until the bad lines are alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from collegium_workers.transfer.client import Answer, Client
from collegium_workers.transfer.lines import Fault, Line

__all__ = ["Outcome", "Sender", "send"]


class Outcome(msgspec.Struct):
    """What became of the statements that were sent."""

    accepted: int = 0
    faults: list[Fault] = msgspec.field(default_factory=list)


async def send(client: Client, lines: Sequence[Line]) -> Outcome:
    """Send *lines* as one batch; where it is refused, its halves, down to single lines.

    :raises PlatformAwayError: see :class:`Client`. Some lines may have been accepted; sending them again is safe.
    :raises RefusedError: see :class:`Client`.
    """
    outcome = Outcome()
    pending = [lines] if lines else []
    while pending:
        part = pending.pop()
        answer = await client.post_statements(b"[%s]" % b",".join([line.statement for line in part]))
        if answer.status == 200:
            outcome.accepted += len(part)
        elif len(part) == 1:
            outcome.faults.append(Fault(part[0].number, _reason(answer)))
        else:
            middle = len(part) // 2
            # The earlier half is sent first, so that what comes first in the file wins a conflict of ids.
            pending += (part[middle:], part[:middle])
    outcome.faults.sort(key=lambda fault: fault.number)
    return outcome


class Sender:
    """Keeps at most *most* batches under way; ``await submit(…)`` waits for a free place, ``await finish()`` for all.

    :param done: called with the number that :meth:`submit` got, and the outcome, as each batch ends.
    """

    def __init__(self, client: Client, most: int, done: Callable[[int, Outcome], None]) -> None:
        self._client = client
        self._places = asyncio.Semaphore(most)
        self._done = done
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def submit(self, number: int, lines: Sequence[Line]) -> None:
        """Begin to send one batch.

        :raises PlatformAwayError: an earlier batch could not be sent; as is :class:`RefusedError`.
        """
        await self._places.acquire()
        if self._error is not None:
            self._places.release()
            raise self._error
        task = asyncio.get_running_loop().create_task(self._send(number, lines))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for all that is under way. Errors as for :meth:`submit`."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._error is not None:
            raise self._error

    async def cancel(self) -> None:
        """Give up what is under way; whether it was accepted is not known."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, number: int, lines: Sequence[Line]) -> None:
        try:
            self._done(number, await send(self._client, lines))
        except Exception as error:  # noqa: BLE001 - handed to whoever submits or finishes
            self._error = self._error or error
        finally:
            self._places.release()


def _reason(answer: Answer) -> str:
    return f"refused with {answer.status}: {answer.detail}"
