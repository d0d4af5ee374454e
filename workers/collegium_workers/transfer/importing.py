"""One file into one tenant: read in a thread, several batches under way, the place kept, bad lines told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from collegium_workers.transfer.client import Client
from collegium_workers.transfer.lines import Batch, Fault, FileFaultError, StatementFile
from collegium_workers.transfer.progress import ProgressFile, Reached, Window
from collegium_workers.transfer.sending import Outcome, Sender

__all__ = ["FileImport", "Tally"]

_UNDER_WAY: Final = 4
_SAVE_SECONDS: Final = 0.5


class Tally(msgspec.Struct, frozen=True):
    """What an import of one file came to. *resumed* lines had been answered before."""

    accepted: int
    refused: int
    resumed: int


class FileImport:
    """The import of one file.

    :param place: where the progress is kept; ``None`` for what can be read only once.
    :param advance: called with the statements accepted since, and the bytes of the file read so far.
    :param complain: called with each line that is refused; those from before an interruption are only counted.
    """

    def __init__(
        self,
        client: Client,
        file: Path,
        place: ProgressFile | None,
        *,
        advance: Callable[[int, int], None],
        complain: Callable[[Fault], None],
    ) -> None:
        self._client = client
        self._file = file
        self._place = place
        self._advance = advance
        self._complain = complain
        self._batches: dict[int, Batch] = {}
        self._window = Window(Reached())
        self._saved = 0.0

    async def run(self) -> Tally:
        """Import the file from where the last run stopped.

        :raises FileFaultError: the file cannot be read (further). What was read has been sent.
        :raises PlatformAwayError: see :class:`Client`; as is :class:`RefusedError`.
        """
        start = Reached() if self._place is None else await asyncio.to_thread(self._place.read)
        self._window = Window(start)
        sender = Sender(self._client, _UNDER_WAY, self._end)
        try:
            with StatementFile(self._file) as file:
                await asyncio.to_thread(file.skip, start.lines, start.offset)
                await self._send_all(file, sender)
            await sender.finish()
        except FileFaultError:
            await sender.finish()
            await self._keep_place()
            raise
        except BaseException:
            await sender.cancel()
            await self._keep_place()
            raise
        if self._place is not None:
            await asyncio.to_thread(self._place.forget)
        reached = self._window.reached
        return Tally(reached.accepted, reached.refused, start.lines)

    async def _send_all(self, file: StatementFile, sender: Sender) -> None:
        batches = file.batches()
        number = 0
        # The next batch is read while those before it are under way.
        reading = asyncio.ensure_future(asyncio.to_thread(next, batches, None))
        try:
            while (batch := await reading) is not None:
                reading = asyncio.ensure_future(asyncio.to_thread(next, batches, None))
                self._batches[number] = batch
                await sender.submit(number, batch.lines)
                number += 1
                if time.monotonic() - self._saved > _SAVE_SECONDS:
                    self._saved = time.monotonic()
                    await self._keep_place()
        finally:
            # A thread cannot be ended; the file must stay open until it is done.
            file.stop()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # told already, or of no interest any more

    async def _keep_place(self) -> None:
        if self._place is not None:
            await asyncio.to_thread(self._place.write, self._window.reached)

    def _end(self, number: int, outcome: Outcome) -> None:
        batch = self._batches.pop(number)
        faults = sorted([*batch.faults, *outcome.faults], key=lambda fault: fault.number)
        for fault in faults:
            self._complain(fault)
        self._window.end(
            number,
            Reached(lines=batch.end, offset=batch.offset, accepted=outcome.accepted, refused=len(faults)),
        )
        self._advance(outcome.accepted, batch.read)
