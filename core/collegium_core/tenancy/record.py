"""The tenant record: all that API and workers know of a tenant, written by whoever reconciles manifests."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

__all__ = [
    "Credential",
    "CredentialKind",
    "Placement",
    "TenantRecord",
    "TenantState",
    "decode_record",
    "encode_record",
]


class TenantState(enum.StrEnum):
    """What a tenant's door lets through (interfaces.md §7.6)."""

    ACTIVE = "Active"
    READ_ONLY = "ReadOnly"
    SUSPENDED = "Suspended"


class Placement(enum.StrEnum):
    """Where a tenant's documents live in OpenSearch: indices of its own, or shared ones with routing."""

    DEDICATED = "Dedicated"
    POOLED = "Pooled"


class CredentialKind(enum.StrEnum):
    """How a secret is kept: a generated 256-bit key as SHA-256, a person's password as bcrypt."""

    KEY = "key"
    PASSWORD = "password"  # noqa: S105 - a kind, not a secret


class Credential(msgspec.Struct, frozen=True, omit_defaults=True):
    """One Basic credential of a tenant; ``digest`` is hex SHA-256 for keys, a bcrypt string for passwords."""

    name: str
    username: str
    kind: CredentialKind
    digest: str
    scopes: tuple[str, ...] = ("all",)
    agent: dict[str, msgspec.Raw] | None = None


class TenantRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One tenant. ``owner`` is the uid of the object that it was made from, ``generation`` that object's."""

    slug: str
    display: str
    canonical: str
    state: TenantState = TenantState.ACTIVE
    placement: Placement = Placement.DEDICATED
    credentials: tuple[Credential, ...] = ()
    owner: str = ""
    generation: int = 0


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(TenantRecord)


def encode_record(record: TenantRecord) -> bytes:
    """Return *record* as the bytes that the registry keeps; equal records give equal bytes."""
    return _ENCODER.encode(record)


def decode_record(data: bytes) -> TenantRecord:
    """Return the record in *data*.

    :raises msgspec.ValidationError: the bytes are no record of this version.
    """
    return _DECODER.decode(data)
