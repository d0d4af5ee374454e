"""What a credential may do: the scopes of xAPI and of the known record stores together, and the platform's own.

A credential names scopes; a route needs one. xAPI's are defined in xAPI-Communication 4.2 (OAuth scopes).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

__all__ = ["ALL", "AUTHORITY_WRITE", "KNOWN", "TENANT_ADMIN", "granted", "permits"]

ALL: Final = "all"
AUTHORITY_WRITE: Final = "authority/write"
TENANT_ADMIN: Final = "tenant/admin"

_READ: Final = frozenset(
    {
        "activities_profile/read",
        "agents_profile/read",
        "computations/read",
        "courses/read",
        "datasets/read",
        "forwardings/read",
        "plugins/read",
        "profile/read",
        "registrations/read",
        "state/read",
        "statements/read",
        "statements/read/mine",
    }
)
_WRITE: Final = frozenset(
    {
        "activities_profile/write",
        "agents_profile/write",
        "computations/write",
        "courses/create",
        "courses/write",
        "datasets/write",
        "define",
        "forwardings/write",
        "profile/write",
        "registrations/write",
        "state/write",
        "statements/delete",
        "statements/write",
    }
)
# Never part of "all": who holds one of them was given it by name.
_NAMED_ONLY: Final = frozenset({AUTHORITY_WRITE, TENANT_ADMIN})

_WIDER: Final[dict[str, frozenset[str]]] = {
    ALL: _READ | _WRITE,
    "xapi/all": _READ | _WRITE,
    "all/read": _READ,
    "xapi/read": _READ,
    "statements/read": frozenset({"statements/read/mine"}),
    "state": frozenset({"state/read", "state/write"}),
    "profile": frozenset(
        {f"{part}profile/{verb}" for part in ("", "activities_", "agents_") for verb in ("read", "write")}
    ),
    "profile/read": frozenset({"activities_profile/read", "agents_profile/read"}),
    "profile/write": frozenset({"activities_profile/write", "agents_profile/write"}),
    "activities_profile": frozenset({"activities_profile/read", "activities_profile/write"}),
    "agents_profile": frozenset({"agents_profile/read", "agents_profile/write"}),
}

KNOWN: Final = frozenset(_WIDER) | _READ | _WRITE | _NAMED_ONLY
"""Every scope that means something; others are kept with the credential and mean nothing."""


@lru_cache(maxsize=4096)
def granted(scopes: frozenset[str]) -> frozenset[str]:
    """Return *scopes* with everything that they include."""
    return scopes.union(*(_WIDER.get(scope, frozenset()) for scope in scopes))


def permits(scopes: Iterable[str], needed: str) -> bool:
    """Return whether a credential with *scopes* may do what needs the scope *needed*."""
    return needed in granted(scopes if isinstance(scopes, frozenset) else frozenset(scopes))
