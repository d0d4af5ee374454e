"""Keys, passwords, and the credentials made of them."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from collegium_core.security import passwords
from collegium_core.security.credentials import credential_from_hash, digest_key, is_key, make_credential, make_key
from collegium_core.security.passwords import check_hash, hash_password, verify_password
from collegium_core.tenancy.record import CredentialKind, TenantRecord, decode_record, encode_record


def test_keys_are_recognised_and_differ() -> None:
    """A generated key has its form, 256 random bits, and passes through a Basic header unchanged."""
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(is_key(key) and len(key) == 46 and key.isascii() and ":" not in key for key in keys)
    assert not any(
        is_key(text) for text in ("ck_", "ck_" + "a" * 42, "ck_" + "a" * 44, "xk_" + "a" * 43, make_key() + "\n")
    )


def test_a_key_is_kept_as_sha256() -> None:
    """No slow hash for what has entropy; the credential does not hold the key."""
    key = make_key()
    credential = make_credential("lms", "moodle", key, ["statements/write"], {"mbox": "mailto:a@b.org"})
    assert (CredentialKind.KEY, hashlib.sha256(key.encode()).hexdigest()) == (credential.kind, credential.digest)
    assert digest_key(key) == credential.digest
    assert credential.scopes == ("statements/write",)
    assert key not in repr(credential)


def test_a_password_is_kept_as_bcrypt() -> None:
    """People's passwords get the slow hash, each with its own salt."""
    credential = make_credential("a", "alice", "ünsafe")
    assert credential.kind is CredentialKind.PASSWORD
    assert verify_password("ünsafe".encode(), credential.digest)
    assert not verify_password(b"unsafe", credential.digest)
    assert credential.digest != make_credential("a", "alice", "ünsafe").digest


def test_a_credential_survives_the_record() -> None:
    """The agent stays what it was through encoding and decoding, and equal records are equal."""
    agent = {"objectType": "Agent", "account": {"homePage": "http://a.org", "name": "x"}}
    credential = credential_from_hash("a", "alice", hash_password("x", rounds=4), agent=agent)
    record = TenantRecord(slug="t-a", display="a", canonical="a", credentials=(credential,))
    again = decode_record(encode_record(record))
    assert record == again
    assert agent == msgspec.json.decode(msgspec.json.encode(again.credentials[0].agent))


def test_verifying_for_nobody_costs_what_a_password_costs() -> None:
    """The hash that unknown users are verified against is well-formed and as costly as the ones made here."""
    check_hash(passwords._DUMMY.decode())
    assert passwords._DUMMY.startswith(f"$2b${passwords._ROUNDS}$".encode())


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", "a\x7f"])
def test_user_names_that_basic_cannot_carry_are_refused(username: str) -> None:
    """RFC 7617: no colon and no control character in a user name."""
    with pytest.raises(ValueError, match="user name"):
        make_credential("a", username, make_key())


@pytest.mark.parametrize("password", ["", "x" * 73, "ü" * 37])
def test_passwords_that_bcrypt_cannot_take_are_refused_unseen(password: str) -> None:
    """Empty or over 72 bytes: the message says so and does not hold the password."""
    with pytest.raises(ValueError, match="password") as caught:
        make_credential("a", "alice", password)
    assert not password or password not in str(caught.value)


def test_72_bytes_are_taken() -> None:
    """The longest password works, a longer one never matches it."""
    digest = hash_password("x" * 72, rounds=4)
    assert verify_password(b"x" * 72, digest)
    assert not verify_password(b"x" * 73, digest)


@pytest.mark.parametrize(
    ("digest", "says"),
    [
        ("", "no bcrypt hash"),
        ("$2b$12$short", "no bcrypt hash"),
        ("$1$12$" + "a" * 53, "no bcrypt hash"),
        ("$2b$31$" + "a" * 53, "cost of 31"),
        ("$2b$03$" + "a" * 53, "cost of 3"),
    ],
)
def test_hashes_from_elsewhere_are_checked(digest: str, says: str) -> None:
    """A hash that is none, or so costly that one login would hold a core, is refused."""
    with pytest.raises(ValueError, match=says):
        check_hash(digest)
