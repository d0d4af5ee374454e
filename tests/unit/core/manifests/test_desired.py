"""From Tenant and Secrets to the record: what is in it, what is left out and why, and that a resync hashes nothing."""

from __future__ import annotations

from typing import Any

import bcrypt
import msgspec
import pytest

from collegium_core.manifests import (
    CredentialMemory,
    TenantManifest,
    TenantSpec,
    credential_faults,
    desired_record,
    reuse,
)
from collegium_core.security.credentials import digest_key, make_credential, make_key
from collegium_core.tenancy.record import Credential, CredentialKind, Placement, TenantState, encode_record

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()


def tenant(**spec: Any) -> TenantManifest:
    return TenantManifest("acme", "default", msgspec.convert(spec, TenantSpec))


def entry(name: str, secret: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "basic": {"secretRef": {"name": secret}}, **more}


class Maker:
    """Counts how often a password is hashed; fast, because the hash is not what is looked at here."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, name: str, username: str, password: str, scopes: Any, agent: Any) -> Credential:
        """Make a credential whose digest shows when it was made."""
        self.count += 1
        digest = f"{self.count}:{password}"
        members = (
            None if agent is None else msgspec.json.decode(msgspec.json.encode(agent), type=dict[str, msgspec.Raw])
        )
        return Credential(name, username, CredentialKind.PASSWORD, digest, tuple(scopes), members)


def test_names_state_and_placement() -> None:
    """The record holds the three forms of the name, and what the spec says; a placement left out is the caller's."""
    manifest = tenant(name="ACME Université", state="ReadOnly")
    record = desired_record(manifest, {}, make=Maker(), placement=Placement.POOLED, owner="n/x/u", generation=7)
    assert ("ACME Université", "acme université", TenantState.READ_ONLY, Placement.POOLED, "n/x/u", 7) == (
        record.display,
        record.canonical,
        record.state,
        record.placement,
        record.owner,
        record.generation,
    )
    stated = tenant(storage={"placement": "Dedicated"})
    assert Placement.DEDICATED == desired_record(stated, {}, make=Maker(), placement=Placement.POOLED).placement
    assert "acme" == desired_record(stated, {}, make=Maker(), placement=Placement.POOLED).display


def test_credentials() -> None:
    """A key is kept as SHA-256, a hash as it is, scopes and agent as the spec says."""
    key = make_key()
    agent = {"name": "LMS", "account": {"homePage": "https://a.example", "name": "x"}}
    manifest = tenant(authentication=[entry("a", "s1", scopes=["statements/read"], agent=agent), entry("b", "s2")])
    secrets = {"s1": {"username": b"u1", "password": key.encode()}, "s2": {"username": b"u2", "hash": HASH.encode()}}
    first, second = desired_record(manifest, secrets, make=make_credential, placement=Placement.POOLED).credentials
    assert ("a", "u1", CredentialKind.KEY, digest_key(key), ("statements/read",)) == (
        first.name,
        first.username,
        first.kind,
        first.digest,
        first.scopes,
    )
    assert first.agent is not None
    assert agent == {name: msgspec.json.decode(raw) for name, raw in first.agent.items()}
    assert ("b", "u2", CredentialKind.PASSWORD, HASH, ("all",), None) == msgspec.structs.astuple(second)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (None, "SecretNotFound"),
        ({}, "InvalidSecret"),
        ({"username": b"u"}, "InvalidSecret"),
        ({"password": b"p4ssw0rd"}, "InvalidSecret"),
        ({"username": b"a:b", "password": b"p4ssw0rd"}, "InvalidSecret"),
        ({"username": b"a\nb", "password": b"p4ssw0rd"}, "InvalidSecret"),
        ({"username": b"\xff", "password": b"p4ssw0rd"}, "InvalidSecret"),
        ({"username": b"u", "password": "ü".encode() * 37}, "InvalidSecret"),
        ({"username": b"u", "hash": b"p4ssw0rd"}, "InvalidSecret"),
        ({"username": b"u", "hash": HASH.replace("$04$", "$31$").encode()}, "InvalidSecret"),
    ],
)
def test_a_credential_that_cannot_be_made_is_left_out_and_named(secret: Any, reason: str) -> None:
    """The other credentials stay; the message holds no value of the Secret."""
    manifest = tenant(authentication=[entry("bad", "s"), entry("good", "g")])
    secrets = {"g": {"username": b"g", "password": b"x"}, **({"s": secret} if secret is not None else {})}
    [fault] = credential_faults(manifest, secrets)
    assert ("bad", reason) == (fault.name, fault.reason)
    assert "p4ssw0rd" not in fault.detail
    record = desired_record(manifest, secrets, make=make_credential, placement=Placement.POOLED)
    assert ["good"] == [credential.name for credential in record.credentials]


def test_a_user_name_belongs_to_one_credential() -> None:
    """The second entry with a user name is named and left out: nobody could say whose request it is."""
    manifest = tenant(authentication=[entry("a", "s"), entry("b", "s")])
    secrets = {"s": {"username": b"u", "password": b"x"}}
    assert [("b", "DuplicateUsername")] == [(each.name, each.reason) for each in credential_faults(manifest, secrets)]
    record = desired_record(manifest, secrets, make=Maker(), placement=Placement.POOLED)
    assert ["a"] == [each.name for each in record.credentials]


def test_a_resync_hashes_nothing() -> None:
    """The same password under the same name is hashed once; the record stays the same byte for byte."""
    manifest = tenant(authentication=[entry("a", "s", agent={"mbox": "mailto:a@b.example"})])
    maker, memory = Maker(), CredentialMemory()

    def record(password: bytes) -> bytes:
        secrets = {"s": {"username": b"u", "password": password}}
        return encode_record(desired_record(manifest, secrets, make=memory.around(maker), placement=Placement.POOLED))

    first = record(b"one")
    assert first == record(b"one")
    assert 1 == maker.count
    assert first != record(b"two")
    assert 2 == maker.count
    assert first == record(b"one")


def test_a_restart_keeps_the_digest() -> None:
    """A known digest that still verifies stays; scopes follow the spec; another password gets a digest of its own."""
    maker = Maker()
    secrets = {"s": {"username": b"u", "password": b"one"}}
    earlier = desired_record(tenant(authentication=[entry("a", "s")]), secrets, make=maker, placement=Placement.POOLED)
    after_restart = reuse(maker, earlier.credentials, lambda known, password: known.digest.endswith(f":{password}"))
    manifest = tenant(authentication=[entry("a", "s", scopes=["statements/read"])])
    [credential] = desired_record(manifest, secrets, make=after_restart, placement=Placement.POOLED).credentials
    assert (earlier.credentials[0].digest, ("statements/read",)) == (credential.digest, credential.scopes)
    assert 1 == maker.count
    changed = {"s": {"username": b"u", "password": b"two"}}
    [credential] = desired_record(manifest, changed, make=after_restart, placement=Placement.POOLED).credentials
    assert "2:two" == credential.digest
