"""Where lines come from: a file, a pipe or standard input, compressed or not, as one stream of bytes."""

from __future__ import annotations

import gzip
import io
import select
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["STANDARD_INPUT", "FollowedStream", "is_stream", "open_source", "unpacked"]

STANDARD_INPUT: Final = Path("-")
"""The name that stands for standard input."""

_PATIENCE_SECONDS: Final = 0.2
_CHUNK: Final = 256 * 1024
# A packed byte may stand for 32 KiB, so this much at a time keeps the memory within bounds whatever the file holds.
_PACKED_CHUNK: Final = 1024


def is_stream(path: Path) -> bool:
    """Return whether what *path* names can be read only once, from its beginning: standard input, a pipe, a device.

    :raises OSError: there is nothing of this name.
    """
    return path == STANDARD_INPUT or not stat.S_ISREG(path.stat().st_mode)


def open_source(path: Path, stopped: Callable[[], bool]) -> BinaryIO:
    """Open *path*, as its bytes are.

    :param stopped: asked while a pipe gives nothing; the stream ends when it says so.
    :raises OSError: it cannot be opened.
    """
    if not is_stream(path):
        return path.open("rb")
    raw = io.FileIO(0, closefd=False) if path == STANDARD_INPUT else io.FileIO(path)
    return cast("BinaryIO", FollowedStream(raw, stopped))


def unpacked(path: Path, source: BinaryIO) -> io.RawIOBase:
    """Return *source* uncompressed; the ending of *path* tells how it is packed: ``.gz``, ``.zst``, else not."""
    match path.suffix:
        case ".gz":
            return cast("io.RawIOBase", gzip.GzipFile(fileobj=source, mode="rb"))
        case ".zst":
            return _ZstdFile(source)
        case _:
            return cast("io.RawIOBase", source)


class FollowedStream(io.RawIOBase):
    """A pipe, read without ever waiting for long: a thread that reads it can be told to stop."""

    def __init__(self, raw: io.FileIO, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self._raw = raw
        self._stopped = stopped

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill *buffer* with what there is, once there is something; 0 at the end or when told to stop."""
        while not self._stopped():
            if select.select([self._raw], [], [], _PATIENCE_SECONDS)[0]:
                return self._raw.readinto(buffer) or 0
        return 0

    def close(self) -> None:
        """Close the pipe; standard input stays open."""
        self._raw.close()
        super().close()


class _ZstdFile(io.RawIOBase):
    """Frames of Zstandard, one after the other. The library's own reader takes a file that was cut off for a whole one.

    :raises EOFError: while reading: the last frame has no end.
    """

    def __init__(self, source: BinaryIO) -> None:
        super().__init__()
        self._source = source
        self._unpacker = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._packed = memoryview(b"")
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill *buffer* with what is next; 0 at the end of the last frame."""
        while not self._ready:
            if not self._packed:
                self._packed = memoryview(self._source.read(_CHUNK))
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("Compressed file ended before the end of its last frame was reached")
                return 0
            self._unpack()
        view = memoryview(buffer).cast("B")
        size = min(len(view), len(self._ready))
        view[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _unpack(self) -> None:
        if self._frame is None:
            self._frame = self._unpacker.decompressobj()
        part, self._packed = self._packed[:_PACKED_CHUNK], self._packed[_PACKED_CHUNK:]
        self._ready = memoryview(self._frame.decompress(part))
        if self._frame.eof:
            if unused := self._frame.unused_data:  # of the next frame
                self._packed = memoryview(bytes(unused) + bytes(self._packed))
            self._frame = None
