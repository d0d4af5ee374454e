"""Opening a tenant's file: created whole or not at all, checked for its version, its faults told in one sentence."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from collegium_core.errors import Unavailable
from collegium_core.storage.sqlite.schema import Schema

__all__ = ["Connection", "Identity", "clear_errors", "identity_of", "open_file"]

BUSY_SECONDS: Final = 5.0
_PAGE_BYTES: Final = 8192
# 64 MB of log between checkpoints: a page that many transactions touch is then copied into the file once.
_CHECKPOINT_PAGES: Final = 8000
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FAULTS: Final = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_BUSY: f"has been locked by another process for more than {BUSY_SECONDS:.0f} seconds",
    sqlite3.SQLITE_LOCKED: "is locked",
    sqlite3.SQLITE_READONLY: "cannot be written: the file, its folder or its file system is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: the folder is missing, not writable, or no file handle is left",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "is not a database file; restore it from a backup",
    sqlite3.SQLITE_TOOBIG: "cannot take a value this large",
}

Identity = tuple[int, int]
"""Device and inode: tells a file from another one that took its name."""


class Connection(sqlite3.Connection):
    """A connection that knows which file it opened, so that a replaced file is noticed."""

    identity: Identity = (0, 0)
    salt: bytes = b""


def identity_of(path: Path) -> Identity | None:
    """Return the identity of the file at *path*, or None when there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a third of the cost of Path.stat, and on every call's way
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system report about *path* into :class:`Unavailable`.

    The sentence names the file by its last two parts, the tenant's folder and the file: never the whole path.
    """
    name = "/".join(path.parts[-2:])
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a fault of this program: no sentence would help
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        raise Unavailable(f"{name} {_FAULTS.get(code, 'cannot be used')}") from error
    except OSError as error:
        raise Unavailable(f"{name} cannot be used: {os.strerror(error.errno or 0)}") from error


def open_file(path: Path, schema: Schema, *, create: bool, cache_kib: int) -> Connection | None:
    """Return a connection to *path*, brought to this program's version; None when there is no file and not *create*.

    :param cache_kib: how much of the file the connection may keep in memory, KiB.
    :raises Unavailable: the file cannot be used, or was written by a newer version of this program.
    """
    with clear_errors(path):
        if create and identity_of(path) is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = _connect(path, "rwc", cache_kib)
            fresh = True
        elif identity_of(path) is None:
            return None
        else:
            connection = _connect(path, "rw", cache_kib)
            fresh = False
        try:
            if not _bring_up_to_date(connection, schema, path, create=create):
                connection.close()
                return None
        except BaseException:
            connection.close()
            raise
        if fresh:
            for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
                _sync_folder(folder)
        return connection


def _connect(path: Path, mode: str, cache_kib: int) -> Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.identity = identity_of(path) or (0, 0)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: Connection, schema: Schema, path: Path, *, create: bool) -> bool:
    version = _number(connection, "user_version")
    if version == 0 and not create:
        # Another process is making the file: nothing is in it yet.
        return False
    if version < schema.version:
        _migrate(connection, schema, path)
    _check(connection, schema, path)
    if schema.file == "statements.db":
        connection.salt = connection.execute("SELECT salt FROM secret").fetchone()[0]
    return True


def _migrate(connection: Connection, schema: Schema, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    # The version is read after the tables were counted: another process may commit both in between.
    if _number(connection, "user_version") == 0:
        if tables:
            raise Unavailable(f"{'/'.join(path.parts[-2:])} is a database of another program")
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        _switch_to_wal(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have done it while this one waited for the lock.
        for version in range(_number(connection, "user_version"), schema.version):
            for statement in schema.migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {schema.application_id}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _check(connection: Connection, schema: Schema, path: Path) -> None:
    name = "/".join(path.parts[-2:])
    if _number(connection, "application_id") != schema.application_id:
        raise Unavailable(f"{name} is a database of another program")
    version = _number(connection, "user_version")
    if version != schema.version:
        raise Unavailable(
            f"{name} has version {version}, this program knows versions up to {schema.version}: use a newer program"
        )


def _switch_to_wal(connection: Connection) -> None:
    # SQLite does not wait for a lock here when two processes make the file at the same moment.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _number(connection: Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _sync_folder(folder: Path) -> None:
    # A new file survives a power cut only when the folder that names it is on disk too.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
