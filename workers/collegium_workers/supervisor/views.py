"""What is shown of tenants when the platform is ready."""

from __future__ import annotations

import msgspec

__all__ = ["Login", "TenantView"]


class Login(msgspec.Struct, frozen=True):
    """A user name and password as a manifest's Secret holds them; shown once, on the terminal."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.username!r})"


class TenantView(msgspec.Struct, frozen=True):
    """What the start-up message says of a tenant. *logins* is empty where only hashes are known."""

    name: str
    slug: str
    state: str
    logins: tuple[Login, ...] = ()
