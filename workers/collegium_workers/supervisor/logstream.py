"""One stream of log lines for all processes, each line with the name of the process that wrote it."""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from types import TracebackType
from typing import Final, Literal, Self, TextIO

import msgspec

__all__ = ["LogStream"]

_MOST_WAITING: Final = 20_000
_LONGEST_LINE: Final = 256 * 1024
_CHUNK: Final = 64 * 1024
_PROCESS: Final = re.compile(r'"process":"[^"\\]*"')


class LogStream:
    """Writes lines to *output* from a thread of its own; a context manager.

    A terminal that has been stopped must not stop the supervisor: when :data:`_MOST_WAITING` lines wait, further ones
    are counted, dropped and reported.

    :param form: ``json``: every line is one JSON object with ``process``; ``console``: lines begin with the name.
    """

    def __init__(self, output: TextIO, form: Literal["json", "console"]) -> None:
        self._output = output
        self._form = form
        self._lines: queue.Queue[str | None] = queue.Queue(_MOST_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._lines.put(None, timeout=1)
        except queue.Full:
            return  # nobody reads: the thread is a daemon and ends with the process
        self._thread.join(timeout=2)

    def write(self, process: str, line: bytes) -> None:
        """Add one line without its end; never blocks."""
        text = self._shape(process, line)
        if self._dropped:
            text = f"{self._shape('supervisor', f'{self._dropped} log lines were dropped'.encode())}\n{text}"
        try:
            self._lines.put_nowait(text)
            self._dropped = 0
        except queue.Full:
            self._dropped += 1

    async def copy(self, process: str, source: asyncio.StreamReader) -> None:
        """Write the lines of *source* until it ends; a line beyond 256 KiB is cut into several."""
        rest = b""
        while chunk := await source.read(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                self.write(process, line)
            if len(rest) > _LONGEST_LINE:
                self.write(process, rest)
                rest = b""
        if rest:
            self.write(process, rest)

    def _shape(self, process: str, line: bytes) -> str:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if self._form == "console":
            return f"{process:<9} | {text}"
        if text.startswith("{") and text.endswith("}"):
            # A child knows its kind; which of several it is, only the supervisor knows.
            named, count = _PROCESS.subn(f'"process":"{process}"', text, count=1)
            return named if count else f'{{"process":"{process}",{text[1:]}'
        return msgspec.json.encode({"process": process, "event": text}).decode()

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            try:
                self._output.write(text + "\n")
                if self._lines.empty():
                    self._output.flush()
            except (OSError, ValueError):
                # The reader has gone; the platform goes on, and lines are taken and forgotten.
                continue
