"""One ``collegium up`` per data folder, held by ``flock``: the kernel lets go of it however the holder ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

__all__ = ["DataFolderError", "DataLock", "DataLockedError", "prepare_folder"]

_LOCK_FILE: Final = "lock"
_MOST_BYTES: Final = 4096
_HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.05


class DataFolderError(Exception):
    """The data folder cannot be used; the message is one sentence for whoever named it."""


class DataLockedError(DataFolderError):
    """Another process holds the data folder."""


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    url: str = ""


def prepare_folder(folder: Path) -> None:
    """Make *folder* (mode 0700) where it is missing.

    :raises DataFolderError: it cannot be made, is no folder, or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise DataFolderError(f"{folder} is not a folder; choose another with --data") from None
    except OSError as error:
        raise DataFolderError(f"the data folder {folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise DataFolderError(f"the data folder {folder} is not writable; choose another with --data")


class DataLock:
    """The lock on one data folder; a context manager.

    The descriptor is not inherited: a child that outlives its supervisor does not hold the folder (those are found by
    :mod:`collegium_workers.supervisor.orphans`).

    :raises DataLockedError: on entering, when another process holds it; nothing in the folder has been changed then.
    :raises DataFolderError: on entering, when the lock file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> Self:
        path = self._folder / _LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderError(f"the data folder {self._folder} is not writable: {error.strerror}") from None
        try:
            _lock(descriptor)
        except OSError as error:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            if error.errno in _HELD:
                raise DataLockedError(_sentence(self._folder, holder)) from None
            raise DataFolderError(f"the data folder {self._folder} cannot be locked: {error.strerror}") from None
        self._descriptor = descriptor
        self.describe(url="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: removing it would let a third process lock a name that a second one is waiting at.
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1

    def describe(self, *, url: str) -> None:
        """Write down who holds the lock, for whoever comes second."""
        text = msgspec.json.encode(_Holder(pid=os.getpid(), url=url))
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)


def _lock(descriptor: int) -> None:
    """Lock, or raise OSError. A holder that was just killed lets go when the kernel has come to it: worth a moment."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read_holder(descriptor: int) -> _Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, _MOST_BYTES, 0), type=_Holder)
    except (OSError, msgspec.MsgspecError):
        return None


def _sentence(folder: Path, holder: _Holder | None) -> str:
    if holder is None:
        return f"{folder} is in use by another collegium; stop it, or choose another folder with --data"
    where = f" at {holder.url}" if holder.url else ""
    return (
        f"{folder} is in use by the collegium with process id {holder.pid}{where}; "
        "stop it, or choose another folder with --data"
    )
