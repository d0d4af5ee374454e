"""What scopes include."""

from __future__ import annotations

import pytest

from collegium_core.errors import Forbidden
from collegium_core.security.principal import Principal, make_authority
from collegium_core.security.scopes import ALL, AUTHORITY_WRITE, KNOWN, TENANT_ADMIN, permits


@pytest.mark.parametrize("scope", sorted(KNOWN))
def test_every_scope_permits_itself_and_all_permits_all_but_two(scope: str) -> None:
    """`all` holds every scope but the two that must be named."""
    named_only = {AUTHORITY_WRITE, TENANT_ADMIN}
    wider_names = {ALL, "xapi/all", "all/read", "xapi/read", "state", "profile", "activities_profile", "agents_profile"}
    assert permits([scope], scope)
    if scope not in wider_names:
        assert permits([ALL], scope) is (scope not in named_only)
        assert permits(["xapi/all"], scope) is (scope not in named_only)


@pytest.mark.parametrize(
    ("scope", "needed", "permitted"),
    [
        ("all/read", "statements/read", True),
        ("all/read", "datasets/read", True),
        ("all/read", "statements/write", False),
        ("xapi/read", "state/read", True),
        ("statements/read", "statements/read/mine", True),
        ("statements/read/mine", "statements/read", False),
        ("statements/write", "statements/read", False),
        ("state", "state/write", True),
        ("profile", "profile/read", True),
        ("profile", "agents_profile/write", True),
        ("profile/read", "activities_profile/read", True),
        ("activities_profile", "activities_profile/write", True),
        ("activities_profile", "agents_profile/read", False),
        ("activities_profile", "profile/read", False),
        ("tenant/admin", "statements/read", False),
        ("authority/write", "statements/write", False),
        ("something/else", "statements/read", False),
        ("ALL", "statements/read", False),
    ],
)
def test_what_includes_what(scope: str, needed: str, permitted: bool) -> None:
    """Reading does not follow from writing, a part not from another part, and an unknown scope means nothing."""
    assert permitted is permits([scope], needed)
    assert permitted is permits(frozenset({scope, "unknown"}), needed)


def test_a_principal_says_what_it_lacks() -> None:
    """The refusal names the scope that is needed."""
    principal = Principal("t-acme", "key", "alice", frozenset({"statements/read"}), b"{}")
    principal.require("statements/read/mine")
    with pytest.raises(Forbidden, match="statements/write"):
        principal.require("statements/write")


def test_an_authority_without_agent_is_an_account() -> None:
    """The account is named as the user and stands on the public URL."""
    expected = b'{"objectType":"Agent","account":{"homePage":"https://lrs.example.org","name":"al\\"ice"}}'
    assert expected == make_authority('al"ice', None, "https://lrs.example.org")
    assert b'"homePage":"http://localhost"' in make_authority("alice", None, "")
