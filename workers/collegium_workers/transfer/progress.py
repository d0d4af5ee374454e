"""How far an import has come, so that one that was interrupted goes on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec

from collegium_core.files import write_whole

__all__ = ["ProgressFile", "Reached", "Window"]


class Reached(msgspec.Struct, frozen=True):
    """Everything up to here has been answered: lines, bytes uncompressed, statements accepted, lines refused."""

    lines: int = 0
    offset: int = 0
    accepted: int = 0
    refused: int = 0


class ProgressFile:
    """The place of one import: this file, as it is now, into this tenant of *platform*. Blocks; use it in a thread.

    A file that was changed since is another file: its import begins at the first line.
    """

    def __init__(self, folder: Path, file: Path, *, platform: str, tenant: str) -> None:
        stat = file.stat()
        identity = "\n".join(
            (str(file.resolve()), str(stat.st_size), str(stat.st_mtime_ns), str(stat.st_ino), platform, tenant)
        )
        name = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = folder / f"{name}.json"

    def read(self) -> Reached:
        """Return where to go on; the beginning where nothing (readable) is known."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Reached)
        except (OSError, msgspec.MsgspecError):
            return Reached()

    def write(self, reached: Reached) -> None:
        """Keep *reached*. A folder that cannot be written costs the resuming, not the import."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, msgspec.json.encode(reached))

    def forget(self) -> None:
        """Remove the file: the import is complete."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Window:
    """Batches end in any order; this tells up to where all have ended."""

    def __init__(self, start: Reached) -> None:
        self.reached = start
        self._next = 0
        self._ended: dict[int, Reached] = {}

    def end(self, number: int, part: Reached) -> bool:
        """Note that batch *number* (counted from 0) has ended; return whether :attr:`reached` has moved.

        :param part: where the batch ends (lines, offset), and what it adds (accepted, refused).
        """
        self._ended[number] = part
        before = self._next
        while (ended := self._ended.pop(self._next, None)) is not None:
            self._next += 1
            self.reached = Reached(
                lines=ended.lines,
                offset=ended.offset,
                accepted=self.reached.accepted + ended.accepted,
                refused=self.reached.refused + ended.refused,
            )
        return self._next > before
