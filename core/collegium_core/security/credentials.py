"""Credentials as the tenant record keeps them: generated keys as SHA-256, people's passwords as bcrypt."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from collegium_core.security.passwords import check_hash, hash_password
from collegium_core.tenancy.record import Credential, CredentialKind

__all__ = ["credential_from_hash", "digest_key", "is_key", "make_credential", "make_key"]

_KEY: Final = re.compile(r"ck_[A-Za-z0-9_-]{43}")
_AGENT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def make_key() -> str:
    """Return a new key: ``ck_`` and 256 random bits in base64url, 46 characters."""
    return "ck_" + secrets.token_urlsafe(32)


def is_key(secret: str) -> bool:
    """Return whether *secret* has the form of a generated key, and so enough entropy to need no slow hash."""
    return _KEY.fullmatch(secret) is not None


def digest_key(key: str) -> str:
    """Return the hex SHA-256 of *key*, the form in which it is kept."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_credential(
    name: str,
    username: str,
    password: str,
    scopes: Sequence[str] = ("all",),
    agent: Mapping[str, Any] | None = None,
) -> Credential:
    """Return the credential for *username* and *password*; *agent* is the xAPI Agent of its statements.

    Hashing a password takes a quarter of a second: never on the event loop.

    :raises ValueError: a user name that Basic authentication cannot carry, or a password that bcrypt does not take.
    """
    _check_username(username)
    if is_key(password):
        kind, digest = CredentialKind.KEY, digest_key(password)
    else:
        kind, digest = CredentialKind.PASSWORD, hash_password(password)
    return Credential(name, username, kind, digest, tuple(scopes), _members(agent))


def credential_from_hash(
    name: str, username: str, digest: str, scopes: Sequence[str] = ("all",), agent: Mapping[str, Any] | None = None
) -> Credential:
    """Return the credential for *username* and a bcrypt hash made elsewhere.

    A hash of something in the form of a generated key never matches: keys are compared by SHA-256 alone.

    :raises ValueError: a user name that Basic authentication cannot carry, no bcrypt hash, or one too costly.
    """
    _check_username(username)
    check_hash(digest)
    return Credential(name, username, CredentialKind.PASSWORD, digest, tuple(scopes), _members(agent))


def _members(agent: Mapping[str, Any] | None) -> dict[str, msgspec.Raw] | None:
    return None if agent is None else _AGENT.decode(msgspec.json.encode(agent))


def _check_username(username: str) -> None:
    # RFC 7617 §2: the first colon ends the user name; control characters are not allowed.
    if not username or ":" in username or any(character < " " or character == "\x7f" for character in username):
        raise ValueError("a user name must not be empty nor hold a colon or a control character")
