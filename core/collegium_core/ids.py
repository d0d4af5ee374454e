"""Identifiers that the platform gives: UUID version 7, so that later ones sort after earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import uuid_utils

__all__ = ["IdSource", "new_id"]

IdSource: TypeAlias = Callable[[], str]
"""Where code takes identifiers from; :func:`new_id` in production, a counted sequence in tests."""


def new_id() -> str:
    """Return a new UUID version 7 (RFC 9562 §5.7) in lower case with hyphens, 36 characters."""
    return str(uuid_utils.uuid7())
