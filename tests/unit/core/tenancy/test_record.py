"""Tenant records as the registry keeps them."""

from __future__ import annotations

import msgspec
import pytest

from collegium_core.tenancy.record import (
    Credential,
    CredentialKind,
    Placement,
    TenantRecord,
    TenantState,
    decode_record,
    encode_record,
)

RECORD = TenantRecord(
    slug="t-acme-rq3shlbl4cuwnrkb",
    display="Acme",
    canonical="acme",
    state=TenantState.READ_ONLY,
    placement=Placement.POOLED,
    credentials=(Credential("lms", "lms-user", CredentialKind.KEY, "0" * 64, ("statements/read",)),),
    owner="n/acme/uid",
    generation=3,
)


def test_a_record_comes_back() -> None:
    """Equal records give equal bytes."""
    assert RECORD == decode_record(encode_record(RECORD))
    assert encode_record(RECORD) == encode_record(decode_record(encode_record(RECORD)))


def test_fields_of_other_versions_are_passed_over() -> None:
    """A process of this version serves the tenant beside one of an older or newer version."""
    other = {**msgspec.json.decode(encode_record(RECORD)), "settings": {"Colour": "red"}, "later": [1]}
    assert RECORD == decode_record(msgspec.json.encode(other))


def test_what_is_no_record_is_refused() -> None:
    """A state that this version does not know might mean a closed door."""
    with pytest.raises(msgspec.ValidationError):
        decode_record(encode_record(RECORD).replace(b"ReadOnly", b"Archived"))
