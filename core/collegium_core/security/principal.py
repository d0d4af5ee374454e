"""Who a request comes from, once that is proven."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from collegium_core.errors import Forbidden
from collegium_core.security.scopes import permits

__all__ = ["DEFAULT_HOME_PAGE", "Principal", "make_authority"]

DEFAULT_HOME_PAGE = "http://localhost"
"""Home page of authorities where no public URL is set: one that stays the same when the port changes."""


class Principal(msgspec.Struct, frozen=True):
    """One caller in one tenant. ``name`` is the credential's, ``authority`` the xAPI Agent (JSON) of its statements."""

    slug: str
    name: str
    username: str
    scopes: frozenset[str]
    authority: bytes

    def permits(self, needed: str) -> bool:
        """Return whether this caller may do what needs the scope *needed*."""
        return permits(self.scopes, needed)

    def require(self, needed: str) -> None:
        """Return if this caller may do what needs the scope *needed*.

        :raises Forbidden: it may not.
        """
        if not permits(self.scopes, needed):
            raise Forbidden(f"this needs the scope {needed}")


def make_authority(username: str, agent: Mapping[str, msgspec.Raw] | None, public_url: str) -> bytes:
    """Return the authority (xAPI-Data 4.1.9) as JSON: *agent* as given, else an account named *username*.

    The account's home page is *public_url*, or :data:`DEFAULT_HOME_PAGE` where that is empty.
    """
    if agent is not None:
        return msgspec.json.encode(agent)
    account = {"homePage": public_url or DEFAULT_HOME_PAGE, "name": username}
    return msgspec.json.encode({"objectType": "Agent", "account": account})
