"""Who asks, and for which tenant: a request becomes a principal and a tenant scope in one place."""

from __future__ import annotations

import msgspec

from collegium_core.errors import BadRequest, Forbidden
from collegium_core.security.authenticator import Authenticator
from collegium_core.security.principal import Principal
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import TenantRecord, TenantState
from collegium_core.tenancy.scope import TenantScope

__all__ = ["Doorkeeper", "Visit"]


class Visit(msgspec.Struct, frozen=True):
    """A request that may enter: whose it is, and the tenant's handle."""

    principal: Principal
    scope: TenantScope


class Doorkeeper:
    """Lets requests through to tenants, or raises.

    In a process that serves one tenant alone (the setting ``SERVE_TENANT``) every other one is unknown.
    """

    def __init__(self, platform: Platform, authenticator: Authenticator) -> None:
        self._platform = platform
        self._authenticator = authenticator
        self._only = platform.settings.serve_tenant

    def recognise(self, tenant: str, authorization: bytes | None, *, needs: str, writes: bool) -> Visit | None:
        """Return the visit where tenant and credential were seen lately; ``None`` says: ask :meth:`admit`.

        :raises Forbidden: as :meth:`admit`.
        """
        if authorization is None:
            return None
        try:
            slug = parse_name(tenant).slug
        except BadRequest:
            return None
        if self._only and slug != self._only:
            return None
        record = self._platform.registry.cached(slug)
        if record is None:
            return None
        principal = self._authenticator.cached(record, authorization)
        return None if principal is None else self._enter(record, principal, needs, writes=writes)

    async def admit(
        self, tenant: str, authorization: bytes | None, *, needs: str, writes: bool, address: str = ""
    ) -> Visit:
        """Return the visit of a request to *tenant*.

        :param tenant: the tenant's name as the URL gives it, percent-decoded.
        :param authorization: the header's value.
        :param needs: the scope that the request needs.
        :param writes: whether it changes anything (refused while the tenant is read-only).
        :param address: the caller's address, for limiting failures.
        :raises Unauthorized: unknown tenant, unknown user and wrong secret alike.
        :raises Forbidden: the credential lacks the scope, or the tenant is suspended or read-only.
        :raises TooManyRequests: too many wrong passwords.
        """
        record = await self._record(tenant)
        principal = await self._authenticator.authenticate(record, authorization, address=address, tenant=tenant)
        assert record is not None  # noqa: S101 - an unknown tenant authenticates nobody
        return self._enter(record, principal, needs, writes=writes)

    def _enter(self, record: TenantRecord, principal: Principal, needs: str, *, writes: bool) -> Visit:
        principal.require(needs)
        if record.state is not TenantState.ACTIVE:
            if record.state is TenantState.SUSPENDED:
                raise Forbidden("this tenant is suspended")
            if writes:
                raise Forbidden("this tenant is read-only")
        return Visit(principal, self._platform.scope(record))

    async def _record(self, tenant: str) -> TenantRecord | None:
        try:
            slug = parse_name(tenant).slug
        except BadRequest:
            return None  # an impossible name is an unknown one
        if self._only and slug != self._only:
            return None
        return await self._platform.registry.get(slug)
