"""The embedded stores: one folder of SQLite files per tenant, for one machine without OpenSearch."""

from __future__ import annotations

from collegium_core.storage.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
