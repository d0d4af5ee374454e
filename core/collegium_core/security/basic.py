"""The Basic scheme of RFC 7617: one header in, user name and password out."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

__all__ = ["BasicLogin", "parse_basic"]

_LONGEST_HEADER: Final = 4096


class BasicLogin(msgspec.Struct, frozen=True):
    """What a Basic header says. Its ``repr`` does not hold the password."""

    username: str
    password: bytes

    def __repr__(self) -> str:
        return f"BasicLogin(username={self.username!r})"


def parse_basic(header: bytes) -> BasicLogin | None:
    """Return the login in *header*, an ``Authorization`` value; None where it is another scheme or malformed."""
    scheme, _, encoded = header.strip().partition(b" ")
    if scheme.lower() != b"basic" or len(header) > _LONGEST_HEADER:
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        name = username.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return BasicLogin(name, password) if colon and name else None
