"""Tenants made from the command line, as documents."""

from __future__ import annotations

import bcrypt
import click
import msgspec
import pytest

from collegium_core.manifests import SecretManifest, TenantManifest, parse_documents
from collegium_core.security.credentials import make_key
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.record import Credential, CredentialKind, TenantRecord
from collegium_workers.transfer.tenants import _documents, _write, show_json


@pytest.mark.parametrize("name", ["acme", "École Größe", "大学", "O'Neill"])
def test_documents_are_manifests_like_any_other(name: str) -> None:
    """They pass the same parser, whatever the script of the name."""
    manifests, faults = parse_documents(_documents(parse_name(name), "ada", make_key(), ["all"]), "x")
    assert [] == faults
    secret, tenant = manifests
    assert isinstance(secret, SecretManifest)
    assert isinstance(tenant, TenantManifest)
    assert name == tenant.display
    assert secret.name == tenant.spec.authentication[0].basic.secret_ref.name


def test_a_password_is_kept_as_its_hash() -> None:
    """Nobody who reads the folder learns a person's password."""
    text = _documents(parse_name("acme"), "ada", "correct horse", ["statements/read"])
    assert "correct horse" not in text
    [secret, _], _ = parse_documents(text, "x")
    assert isinstance(secret, SecretManifest)
    assert bcrypt.checkpw(b"correct horse", secret.data["hash"])


def test_a_tenant_is_not_written_over(tmp_path) -> None:
    """The second creation is refused and changes nothing."""
    name = parse_name("acme")
    _write(tmp_path, name, "first")
    with pytest.raises(click.ClickException, match="exists already"):
        _write(tmp_path, name, "second")
    [path] = (tmp_path / "tenants").iterdir()
    assert "first" == path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777


def test_what_is_shown_of_a_tenant_holds_no_digest() -> None:
    """Users, kinds and scopes are shown; what could be attacked offline is not."""
    credential = Credential("lms", "ada", CredentialKind.KEY, "0" * 64, ("all",))
    record = TenantRecord("t-acme-x", "acme", "acme", credentials=(credential,))
    value = msgspec.json.decode(show_json(record))
    assert [{"name": "lms", "username": "ada", "kind": "key", "scopes": ["all"]}] == value["credentials"]
    assert "0000" not in show_json(record)
