"""The token in a ``more`` link: where a list goes on, signed, so that nobody can make or change one.

A token carries everything that the next page needs; the server keeps nothing and no index is held open, so a link
stays good for as long as its key does (xAPI-Data 2.5 asks for 24 hours). It is bound to a tenant and a principal:
whoever else brings it, or changes one bit of it, gets the same answer, which tells nothing.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from collegium_core.errors import BadRequest
from collegium_core.lrs.query import Format, Place, StatementQuery

__all__ = ["Continuation", "sign", "verify"]

_PURPOSE: Final = b"collegium more 1\n"
"""What the signature is for, so that a signature made for something else with the same key is of no use here."""

_SIGNATURE_BYTES: Final = 32
_LONGEST_TOKEN: Final = 16_384


class Continuation(msgspec.Struct, frozen=True, array_like=True):
    """Where and how a list goes on.

    :param slug: the tenant's slug.
    :param principal: the name of the principal that read the first page.
    :param query: the filters of the list.
    :param limit: statements per page.
    :param format: as in the request of the first page.
    :param attachments: as in the request of the first page.
    :param place: of the last statement that was given out; the next page begins behind it.
    :param issued: when the link was made, seconds since 1970.
    """

    slug: str
    principal: str
    query: StatementQuery
    limit: int
    format: Format
    attachments: bool
    place: Place
    issued: int


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Continuation)


def sign(continuation: Continuation, key: bytes) -> str:
    """Return the token of *continuation*, made of ``A-Z a-z 0-9 - _``.

    :param key: at least 32 bytes, the same in every replica.
    :raises ValueError: the key is too short to protect anything.
    """
    payload = _ENCODER.encode(continuation)
    return urlsafe_b64encode(_signature(payload, key) + payload).rstrip(b"=").decode()


def verify(token: str, key: bytes, *, slug: str, principal: str) -> Continuation:
    """Return what :func:`sign` was given, if *token* is one of its own for this tenant and principal.

    :raises BadRequest: it is not, for whatever reason.
    """
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError("longer than any token made here")
        text = token.encode("ascii")
        data = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        signature, payload = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        # The decoder passes over characters that are none of base64's: only the one spelling is a token.
        if urlsafe_b64encode(data).rstrip(b"=") != text:
            raise ValueError("not the spelling that was given out")
        if not hmac.compare_digest(signature, _signature(payload, key)):
            raise ValueError("the signature is not ours")
        continuation = _DECODER.decode(payload)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise _refusal() from None
    if continuation.slug != slug or continuation.principal != principal:
        raise _refusal()
    return continuation


def _signature(payload: bytes, key: bytes) -> bytes:
    if len(key) < _SIGNATURE_BYTES:
        raise ValueError(f"the key of more links must have at least {_SIGNATURE_BYTES} bytes")
    return hmac.digest(key, _PURPOSE + payload, hashlib.sha256)


def _refusal() -> BadRequest:
    return BadRequest("this link to more statements is not valid here: begin again without it")
