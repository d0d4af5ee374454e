"""All tenants' SQLite files below one folder: ``<data_dir>/tenants/<slug>/statements.db`` and ``documents.db``."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from collegium_core.clock import SYSTEM_CLOCK, Clock
from collegium_core.errors import Unavailable
from collegium_core.files import check_writable
from collegium_core.storage.sqlite.documents import SqliteDocumentStore
from collegium_core.storage.sqlite.readers import Readers
from collegium_core.storage.sqlite.schema import DOCUMENTS, STATEMENTS
from collegium_core.storage.sqlite.statements import SqliteStatementStore
from collegium_core.storage.sqlite.writer import Writer
from collegium_core.tenancy.names import is_slug
from collegium_core.tenancy.record import Placement

__all__ = ["SqliteBackend"]


class SqliteBackend:
    """A :class:`collegium_core.storage.ports.StorageBackend` on one machine's disk.

    Files are made by the first write; reading a tenant that has none finds nothing and makes nothing. Several processes
    may share the folder. Placement means nothing here: every tenant has files of its own.

    :param data_dir: the folder; made by the first write.
    """

    def __init__(self, data_dir: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._tenants = data_dir.absolute() / "tenants"
        self._clock = clock
        self._statements = (Readers(STATEMENTS), Writer(STATEMENTS))
        self._documents = (Readers(DOCUMENTS), Writer(DOCUMENTS))

    def statements(self, slug: str, placement: Placement) -> SqliteStatementStore:  # noqa: ARG002 - the port's
        """Return the statement store of one tenant."""
        return SqliteStatementStore(self._folder(slug) / STATEMENTS.file, *self._statements)

    def documents(self, slug: str, placement: Placement) -> SqliteDocumentStore:  # noqa: ARG002 - the port's
        """Return the document store of one tenant."""
        return SqliteDocumentStore(self._folder(slug) / DOCUMENTS.file, *self._documents, self._clock)

    async def adopt(self, slug: str, placement: Placement, owner: str) -> None:  # noqa: ARG002 - the port's
        """Make both files. They have no place for an owner: what lies in the folder is this machine's."""
        await self.statements(slug, placement).prepare()
        await self.documents(slug, placement).prepare()

    async def check(self) -> None:
        """Check that files can be made in the data folder.

        :raises Unavailable: they cannot.
        """
        try:
            await asyncio.to_thread(check_writable, self._tenants)
        except OSError as error:
            raise Unavailable(f"the data folder cannot be written: {os.strerror(error.errno or 0)}") from error

    async def close(self) -> None:
        """Finish what has been begun, write the logs back, close every file."""
        for part in (*self._statements, *self._documents):
            await asyncio.to_thread(part.close)

    def _folder(self, slug: str) -> Path:
        if not is_slug(slug):
            raise ValueError(f"{slug!r} is not a tenant's slug")
        return self._tenants / slug
