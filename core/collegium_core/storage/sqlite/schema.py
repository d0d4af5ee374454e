"""The tables of a tenant's two files.

A file carries its version in ``PRAGMA user_version``; migration *n* takes a file from version *n* to *n + 1*. A
migration that has been released is never edited: a change of the tables is one more migration at the end.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["DOCUMENTS", "STATEMENTS", "Schema"]


class Schema(msgspec.Struct, frozen=True):
    """One kind of file: its name in the tenant's folder, its application id and its migrations."""

    file: str
    application_id: int
    migrations: tuple[tuple[str, ...], ...]

    @property
    def version(self) -> int:
        """Return the version that this program reads and writes."""
        return len(self.migrations)


# ``tie`` is position - stored: 0 (which SQLite stores in no byte at all) for everything but imports that keep their
# ``stored``. Ordering by (stored, tie) is ordering by (stored, position).
#
# ``term`` is one row per statement and filter key. Its primary key is the order of a page, so every filter pages by a
# seek; a second filter is a point look-up in the same tree (see ``terms.py``).
#
# ``refers`` finds the statements that point at a statement, for voids and references.
STATEMENTS: Final = Schema(
    file="statements.db",
    application_id=0x636F6C73,
    migrations=(
        (
            "CREATE TABLE secret (salt BLOB NOT NULL)",
            "INSERT INTO secret VALUES (randomblob(16))",
            "CREATE TABLE authority (number INTEGER PRIMARY KEY, json BLOB NOT NULL UNIQUE)",
            """
            CREATE TABLE statement (
                seq INTEGER PRIMARY KEY,
                id BLOB NOT NULL UNIQUE,
                stored INTEGER NOT NULL,
                tie INTEGER NOT NULL,
                authority INTEGER NOT NULL,
                missing INTEGER NOT NULL,
                version TEXT NOT NULL,
                ref TEXT,
                voids INTEGER NOT NULL,
                raw BLOB NOT NULL
            )
            """,
            "CREATE INDEX place ON statement (stored, tie)",
            "CREATE INDEX refers ON statement (ref) WHERE ref IS NOT NULL",
            """
            CREATE TABLE term (
                term INTEGER NOT NULL,
                stored INTEGER NOT NULL,
                tie INTEGER NOT NULL,
                seq INTEGER NOT NULL,
                PRIMARY KEY (term, stored, tie, seq)
            ) WITHOUT ROWID
            """,
        ),
    ),
)

DOCUMENTS: Final = Schema(
    file="documents.db",
    application_id=0x636F6C64,
    migrations=(
        (
            """
            CREATE TABLE document (
                number INTEGER PRIMARY KEY,
                resource TEXT NOT NULL,
                owner TEXT NOT NULL,
                id TEXT NOT NULL,
                etag TEXT NOT NULL,
                updated INTEGER NOT NULL,
                content_type TEXT NOT NULL,
                content BLOB NOT NULL,
                UNIQUE (resource, owner, id)
            )
            """,
        ),
    ),
)
