"""Newline-delimited JSON, plain or compressed, as batches of statements that are ready to be sent."""

from __future__ import annotations

import io
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, cast

import msgspec
import zstandard

from collegium_workers.transfer.sources import is_stream, open_source, unpacked

__all__ = ["Batch", "Fault", "FileFaultError", "Line", "StatementFile"]

_MOST_STATEMENTS: Final = 400
_MOST_BYTES: Final = 768 * 1024
_LONGEST_LINE: Final = 64 * 2**20
_BUFFER: Final = 256 * 1024
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# Ids of statements that come without one, made from what they say and where they stand.
_NAMESPACE: Final = uuid.UUID("5f0c1c0e-6a1b-5d0e-9b1e-0c7d3a6f2b48")


class FileFaultError(Exception):
    """The file as a whole cannot be read (further): not there, broken compression; the message is one sentence."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One statement: its line number from 1, and its bytes, which hold an id."""

    number: int
    statement: bytes


class Fault(msgspec.Struct, frozen=True):
    """A line that is no statement, and why."""

    number: int
    detail: str


class Batch(msgspec.Struct, frozen=True):
    """Neighbouring lines.

    :param end: number of the last line of the file that this batch covers, empty and faulty ones included.
    :param offset: where the next line begins, bytes of the uncompressed file.
    :param read: bytes of the file as it is on the disk that have been read, for the progress bar.
    """

    lines: tuple[Line, ...]
    faults: tuple[Fault, ...]
    end: int
    offset: int
    read: int


class _Head(msgspec.Struct):
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_DECODER: Final = msgspec.json.Decoder(_Head)


class StatementFile:
    """One file or stream of statements; a context manager. Everything here blocks: use it in a thread.

    The compression is told by the name: ``.gz``, ``.zst``, else none; ``-`` is standard input.

    :raises FileFaultError: on entering and while reading.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw: BinaryIO | None = None
        self._file: io.BufferedReader | None = None
        self._number = 0
        self._offset = 0
        self._seekable = False
        self._stopped = False

    def __enter__(self) -> Self:
        try:
            self._raw = open_source(self.path, lambda: self._stopped)
            self._seekable = not is_stream(self.path)
        except OSError as error:
            raise FileFaultError(f"{self.path}: {error.strerror}") from None
        self._file = io.BufferedReader(unpacked(self.path, self._raw), _BUFFER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._file, self._raw):
            if file is not None:
                file.close()

    def stop(self) -> None:
        """Have a thread that waits for more of a pipe come back soon, as at the end; from any thread."""
        self._stopped = True

    def skip(self, lines: int, offset: int) -> None:
        """Go to where *lines* lines, *offset* bytes uncompressed, have been read; at once in a plain file."""
        file = self._open_file()
        if self._seekable and self.path.suffix not in {".gz", ".zst"}:
            file.seek(offset)
        else:
            left = offset
            while left > 0 and (chunk := self._read(file.read, min(left, _BUFFER))):
                left -= len(chunk)
        self._number, self._offset = lines, offset

    def batches(self) -> Iterator[Batch]:
        """Yield the rest of the file in order, at most 400 statements or about 768 KiB at a time."""
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> Batch | None:
        lines: list[Line] = []
        faults: list[Fault] = []
        size, start = 0, self._number
        file = self._open_file()
        while len(lines) < _MOST_STATEMENTS and size < _MOST_BYTES and len(faults) < _MOST_STATEMENTS:
            text = self._read(file.readline, _LONGEST_LINE)
            if not text:
                break
            self._number += 1
            self._offset += len(text)
            if len(text) == _LONGEST_LINE and not text.endswith(b"\n"):
                self._skip_line(file)
                faults.append(Fault(self._number, f"is longer than {_LONGEST_LINE} bytes"))
                continue
            if self._number == 1:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            text = text.strip()
            if not text:
                continue
            try:
                line = _prepare(text, self._number)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                faults.append(Fault(self._number, f"is no JSON object: {_reason(error)}"))
                continue
            lines.append(line)
            size += len(line.statement)
        if self._number == start:
            return None
        return Batch(tuple(lines), tuple(faults), self._number, self._offset, self._place())

    def _skip_line(self, file: io.BufferedReader) -> None:
        while rest := self._read(file.readline, _BUFFER):
            self._offset += len(rest)
            if rest.endswith(b"\n"):
                return

    def _read(self, read: object, size: int) -> bytes:
        try:
            return cast("bytes", read(size))  # type: ignore[operator]
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise FileFaultError(f"{self.path}: cannot be read beyond line {self._number}: {error}") from None

    def _place(self) -> int:
        return self._offset if self._raw is None or not self._seekable else self._raw.tell()

    def _open_file(self) -> io.BufferedReader:
        if self._file is None:
            raise AssertionError("used outside of its context")
        return self._file


def _prepare(text: bytes, number: int) -> Line:
    """Return the statement of one line, with an id made from line and content where it has none.

    :raises msgspec.MsgspecError: it is no JSON object.
    :raises UnicodeDecodeError: it is not UTF-8.
    :raises RecursionError: it is nested too deeply to be read.
    """
    if _DECODER.decode(text).id is not msgspec.UNSET or text[1:].lstrip().startswith(b"}"):
        return Line(number, text)
    # The same file always gives the same ids, so that importing it again adds nothing.
    made = uuid.uuid5(_NAMESPACE, f"{number}:{text.decode('utf-8')}")
    return Line(number, b'{"id":"%s",%s' % (str(made).encode(), text[1:]))


def _reason(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deeply to be read"
        case UnicodeDecodeError():
            return f"it is not UTF-8: {error.reason} (byte {error.start})"
        case _:
            return str(error)
