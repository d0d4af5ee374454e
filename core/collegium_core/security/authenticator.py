"""From an ``Authorization`` header to a principal: cheap for who is known, costly for nobody else than the guesser.

What was verified is remembered by a keyed hash of the header, never by the header; failures are remembered for a few
seconds. An entry holds only while the tenant's record still holds the credential that it was verified against.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final

import msgspec

from collegium_core.clock import SYSTEM_CLOCK, Clock
from collegium_core.errors import TooManyRequests, Unauthorized
from collegium_core.security.basic import BasicLogin, parse_basic
from collegium_core.security.credentials import digest_key, is_key
from collegium_core.security.limits import FailureLimit
from collegium_core.security.passwords import LONGEST_PASSWORD, PasswordVerifier
from collegium_core.security.principal import Principal, make_authority
from collegium_core.security.system import SYSTEM_USERNAME, system_digest, system_principal
from collegium_core.settings import Settings
from collegium_core.telemetry.metrics import auth_failures_total
from collegium_core.tenancy.record import Credential, CredentialKind, TenantRecord

__all__ = ["Authenticator"]

_IDLE_SECONDS: Final = 900.0
_FAILURE_SECONDS: Final = 5.0
_FAILURES_REMEMBERED: Final = 10_000
_UNKNOWN: Final = "unknown"

_Key = tuple[str, bytes]


class _Known:
    """A verified header: whom it proves, and the record and credential (None: the system's) that say so."""

    __slots__ = ("credential", "expires", "principal", "record", "renew")

    def __init__(self, principal: Principal, credential: Credential | None, record: TenantRecord) -> None:
        self.principal = principal
        self.credential = credential
        self.record = record
        self.expires = 0.0
        self.renew = 0.0


class _Refused(msgspec.Struct, frozen=True):
    """A refused header: until when that is remembered, and the credentials that it was tried against."""

    expires: float
    credentials: tuple[Credential, ...]


class Authenticator:
    """Proves who calls, for all tenants of one process; belongs to one event loop.

    :param settings: gives the home page of authorities and the system user's key.
    :param capacity: verified headers that are remembered; the one renewed longest ago goes first.
    :raises SettingsError: the file with the system user's key cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
        capacity: int = 50_000,
        passwords: PasswordVerifier | None = None,
    ) -> None:
        self._public_url = settings.public_url
        self._system_digest = system_digest(settings.system_key_file)
        self._clock = clock
        self._capacity = capacity
        self._passwords = passwords or PasswordVerifier()
        self._limit = FailureLimit(clock)
        self._secret = secrets.token_bytes(32)
        self._known: OrderedDict[_Key, _Known] = OrderedDict()
        self._refused: OrderedDict[_Key, _Refused] = OrderedDict()
        self._flights: dict[tuple[_Key, tuple[str, ...]], asyncio.Task[str | None]] = {}

    def cached(self, record: TenantRecord, header: bytes) -> Principal | None:
        """Return whom *header* proves in the tenant of *record*, where that was verified lately, else None."""
        key = (record.slug, hashlib.blake2b(header, key=self._secret, digest_size=16).digest())
        entry = self._known.get(key)
        if entry is None:
            return None
        now = self._clock.monotonic()
        if now >= entry.renew or entry.record is not record:
            return self._renew(key, entry, record, now)
        return entry.principal

    async def authenticate(
        self, record: TenantRecord | None, header: bytes | None, *, address: str = "", tenant: str = ""
    ) -> Principal:
        """Return whom *header* proves in the tenant of *record*; None stands for a tenant that does not exist.

        An unknown tenant, an unknown user, another tenant's user and a wrong password are told apart neither by the
        answer nor by the time it takes. *address* is the caller's; *tenant* the name asked for where *record* is None.

        :raises Unauthorized: no credential, one that cannot be read, or one that is not known here.
        :raises TooManyRequests: this user name failed too often from this address.
        :raises Unavailable: too many passwords wait to be verified.
        """
        label = record.display if record else _UNKNOWN
        if header is None:
            raise self._failed(label, "missing")
        if record is not None and (principal := self.cached(record, header)):
            return principal
        # An unknown name is anybody's text: as long as a URL may be, and remembered.
        place = record.slug if record else "?" + hashlib.blake2b(tenant.encode(), digest_size=16).hexdigest()
        key = (place, hashlib.blake2b(header, key=self._secret, digest_size=16).digest())
        if self._is_refused(key, record):
            raise self._failed(label, "wrong")
        login = parse_basic(header)
        if login is None:
            raise self._failed(label, "malformed")
        credentials = record.credentials if record else ()
        try:
            found, credential = await self._match(key, login, credentials, address)
        except TooManyRequests:
            auth_failures_total.labels(label, "limited").inc()
            raise
        if record is None or not found:
            self._refuse(key, credentials)
            raise self._failed(label, "wrong")
        return self._remember(key, record, credential)

    def is_system(self, header: bytes | None) -> bool:
        """Return whether *header* is the system user's: for routes that belong to no tenant."""
        login = parse_basic(header) if header else None
        return login is not None and self._is_system(login)

    async def close(self) -> None:
        """End the verifications under way; those who wait for one get a cancellation."""
        flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        self._passwords.close()

    async def _match(
        self, key: _Key, login: BasicLogin, credentials: tuple[Credential, ...], address: str
    ) -> tuple[bool, Credential | None]:
        """Return whether *login* is proven, and by which credential (None: the system's)."""
        mine = [credential for credential in credentials if credential.username == login.username]
        text = login.password.decode("utf-8", "replace")
        if is_key(text):
            digest = digest_key(text)
            for credential in mine:
                if credential.kind is CredentialKind.KEY and hmac.compare_digest(credential.digest, digest):
                    return True, credential
            return self._is_system(login), None
        if len(login.password) > LONGEST_PASSWORD:
            return False, None
        digests = tuple(credential.digest for credential in mine if credential.kind is CredentialKind.PASSWORD)
        limited = self._limit.key(key[0], login.username, address)
        self._check_limit(limited)
        matching = await self._fly((key, digests), login.password, limited)
        if matching is None:
            return False, None
        return True, next(credential for credential in mine if credential.digest == matching)

    async def _fly(self, flight: tuple[_Key, tuple[str, ...]], password: bytes, limited: bytes) -> str | None:
        """Verify once for all who ask the same at the same time; one of them going away does not stop it."""
        task = self._flights.get(flight)
        if task is None:
            task = asyncio.create_task(self._verify(password, flight[1], limited))
            self._flights[flight] = task
            task.add_done_callback(lambda done: self._land(flight, done))
        return await asyncio.shield(task)

    def _land(self, flight: tuple[_Key, tuple[str, ...]], task: asyncio.Task[str | None]) -> None:
        del self._flights[flight]
        if not task.cancelled():
            task.exception()  # seen here, in case that nobody waits any more

    async def _verify(self, password: bytes, digests: tuple[str, ...], limited: bytes) -> str | None:
        await self._passwords.acquire()
        try:
            # Others of this user name and address may have failed while this one waited.
            self._check_limit(limited)
            matching = await self._passwords.verify(password, digests)
        finally:
            self._passwords.release()
        if matching is None:
            self._limit.fail(limited)
        return matching

    def _check_limit(self, limited: bytes) -> None:
        if seconds := self._limit.pause(limited):
            raise TooManyRequests("too many failed logins of this user name", retry_after_seconds=seconds)

    def _is_system(self, login: BasicLogin) -> bool:
        digest = digest_key(login.password.decode("utf-8", "replace"))
        right = hmac.compare_digest(self._system_digest, digest)
        return right and login.username == SYSTEM_USERNAME

    def _remember(self, key: _Key, record: TenantRecord, credential: Credential | None) -> Principal:
        if credential is None:
            principal = system_principal(record.slug, self._public_url)
        else:
            principal = Principal(
                slug=record.slug,
                name=credential.name,
                username=credential.username,
                scopes=frozenset(credential.scopes),
                authority=make_authority(credential.username, credential.agent, self._public_url),
            )
        now = self._clock.monotonic()
        while self._known and (len(self._known) >= self._capacity or next(iter(self._known.values())).expires <= now):
            self._known.popitem(last=False)
        entry = self._known[key] = _Known(principal, credential, record)
        _extend(entry, now)
        return principal

    def _renew(self, key: _Key, entry: _Known, record: TenantRecord, now: float) -> Principal | None:
        """Return the principal where the entry still holds, and let it hold for longer; else forget it."""
        held = entry.credential is None or entry.credential in record.credentials
        if now >= entry.expires or not held:
            del self._known[key]
            return None
        entry.record = record
        _extend(entry, now)
        self._known.move_to_end(key)
        return entry.principal

    def _is_refused(self, key: _Key, record: TenantRecord | None) -> bool:
        refused = self._refused.get(key)
        if refused is None:
            return False
        credentials = record.credentials if record else ()
        if self._clock.monotonic() < refused.expires and refused.credentials == credentials:
            return True
        del self._refused[key]
        return False

    def _refuse(self, key: _Key, credentials: tuple[Credential, ...]) -> None:
        self._refused[key] = _Refused(self._clock.monotonic() + _FAILURE_SECONDS, credentials)
        self._refused.move_to_end(key)
        while len(self._refused) > _FAILURES_REMEMBERED:
            self._refused.popitem(last=False)

    def _failed(self, label: str, reason: str) -> Unauthorized:
        auth_failures_total.labels(label, reason).inc()
        return Unauthorized()


def _extend(entry: _Known, now: float) -> None:
    # A header in use is never verified again: its digest still stands in the record, so the answer would be the same,
    # and a flood of guesses cannot starve those who are known.
    entry.expires = now + _IDLE_SECONDS
    entry.renew = now + _IDLE_SECONDS / 4
