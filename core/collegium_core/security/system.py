"""The system credential: the user ``system``, whose key lies in a file and who may call every tenant."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from collegium_core.errors import FieldError
from collegium_core.security.credentials import digest_key, is_key
from collegium_core.security.principal import Principal, make_authority
from collegium_core.security.scopes import ALL, TENANT_ADMIN
from collegium_core.settings import SettingsError

__all__ = ["SYSTEM_USERNAME", "read_system_key", "system_digest", "system_principal"]

SYSTEM_USERNAME: Final = "system"
_PLACE: Final = "COLLEGIUM_SYSTEM_KEY_FILE"
# A Secret mounted into a pod is readable by the pod's group; nobody else may read it, and only its owner may write it.
_TOO_OPEN: Final = stat.S_IRWXO | stat.S_IWGRP


def read_system_key(path: Path) -> str:
    """Return the key in the file at *path*.

    :raises SettingsError: it cannot be read, others may read it, or it holds no generated key.
    """
    try:
        mode = path.stat().st_mode
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as fault:
        reason = getattr(fault, "strerror", None) or "not text"
        raise SettingsError([FieldError(_PLACE, f"names {path}, which cannot be read: {reason}")]) from None
    if mode & _TOO_OPEN:
        raise SettingsError([FieldError(_PLACE, f"names {path}, which others may read or change: chmod 600 it")])
    if not is_key(key):
        raise SettingsError([FieldError(_PLACE, f"names {path}, which does not hold a generated key (ck_…)")])
    return key


def system_digest(path: str) -> str:
    """Return the digest of the key in the file at *path*; empty where *path* is, which no key has.

    :raises SettingsError: as for :func:`read_system_key`.
    """
    return digest_key(read_system_key(Path(path))) if path else ""


def system_principal(slug: str, public_url: str) -> Principal:
    """Return the system user as a caller of the tenant *slug*."""
    return Principal(
        slug=slug,
        name=SYSTEM_USERNAME,
        username=SYSTEM_USERNAME,
        scopes=frozenset({ALL, TENANT_ADMIN}),
        authority=make_authority(SYSTEM_USERNAME, None, public_url),
    )
