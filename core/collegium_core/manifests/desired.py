"""From a Tenant and its Secrets to the record that the platform keeps: pure, the same for operator and one machine.

Hashing is given in (``make``), so that the caller decides in which thread it runs. A resync hashes nothing:
:class:`CredentialMemory` knows what this process made before, :func:`reuse` keeps what an earlier process made.
"""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from collegium_core.manifests.documents import TenantManifest
from collegium_core.manifests.spec import Authentication
from collegium_core.security.credentials import credential_from_hash
from collegium_core.security.passwords import LONGEST_PASSWORD, check_hash
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.record import Credential, CredentialKind, Placement, TenantRecord

__all__ = ["CredentialFault", "CredentialMaker", "CredentialMemory", "credential_faults", "desired_record", "reuse"]

AgentValue = Mapping[str, Any]
Secrets = Mapping[str, Mapping[str, bytes]]
"""The Secrets of the Tenant's namespace that it names: values by key, by name; one that is missing is left out."""

_REMEMBERED: Final = 100_000


class CredentialMaker(Protocol):
    """:func:`collegium_core.security.credentials.make_credential`, or something around it."""

    def __call__(
        self, name: str, username: str, password: str, scopes: tuple[str, ...], agent: AgentValue | None
    ) -> Credential:
        """Return the credential; slow where *password* has to be hashed.

        :raises ValueError: the password cannot be used; the message does not hold it.
        """


class CredentialFault(msgspec.Struct, frozen=True):
    """An entry of ``authentication`` that gives no credential: a CamelCase reason, and a sentence without secrets."""

    name: str
    reason: str
    detail: str


class _Login(msgspec.Struct, frozen=True):
    username: str
    password: str = ""
    digest: str = ""

    def __repr__(self) -> str:
        return f"_Login({self.username!r})"


def desired_record(
    tenant: TenantManifest,
    secrets: Secrets,
    *,
    make: CredentialMaker,
    placement: Placement,
    owner: str = "",
    generation: int = 0,
    kept: Mapping[str, Credential] = MappingProxyType({}),
) -> TenantRecord:
    """Return the record of *tenant*. Entries that :func:`credential_faults` names are left out of it.

    :param make: makes a credential of a password; may be slow, so run the whole in a thread.
    :param placement: taken where the spec names none.
    :param owner: identity of the object behind the manifest, empty on one machine.
    :param kept: credentials in force by name of their entry, taken for an entry that would be left out: its scopes and
        agent are the entry's, its user name and digest stay.
    :raises collegium_core.errors.BadRequest: the name cannot be a tenant's; the parser has said so before.
    """
    name = parse_name(tenant.display)
    storage = tenant.spec.storage
    return TenantRecord(
        slug=name.slug,
        display=name.display,
        canonical=name.canonical,
        state=tenant.spec.state,
        placement=storage.placement if storage else placement,
        credentials=_credentials(tenant, secrets, make, kept)[0],
        owner=owner,
        generation=generation,
    )


def credential_faults(tenant: TenantManifest, secrets: Secrets) -> list[CredentialFault]:
    """Return the entries of ``authentication`` that give no credential, and why."""
    return _credentials(tenant, secrets, _make_nothing)[1]


def _make_nothing(
    name: str,
    username: str,
    password: str,  # noqa: ARG001 - the protocol's
    scopes: tuple[str, ...],  # noqa: ARG001 - the protocol's
    agent: AgentValue | None,  # noqa: ARG001 - the protocol's
) -> Credential:
    return Credential(name=name, username=username, kind=CredentialKind.KEY, digest="")


def _credentials(
    tenant: TenantManifest,
    secrets: Secrets,
    make: CredentialMaker,
    kept: Mapping[str, Credential] = MappingProxyType({}),
) -> tuple[tuple[Credential, ...], list[CredentialFault]]:
    credentials: list[Credential] = []
    faults: list[CredentialFault] = []
    usernames: set[str] = set()
    for entry in tenant.spec.authentication:
        made = _made(entry, secrets, usernames, make)
        if isinstance(made, CredentialFault):
            faults.append(made)
            if (old := kept.get(entry.name)) is None or old.username in usernames:
                continue
            made = _with(old.kind, old.digest, old.name, old.username, tuple(entry.scopes), _agent(entry))
        credentials.append(made)
        usernames.add(made.username)
    return tuple(credentials), faults


def _made(
    entry: Authentication, secrets: Secrets, usernames: AbstractSet[str], make: CredentialMaker
) -> Credential | CredentialFault:
    """Return the credential of one entry, or why there is none; *usernames* are those of earlier entries."""
    login = _login(entry, secrets)
    if isinstance(login, CredentialFault):
        return login
    if login.username in usernames:
        return CredentialFault(entry.name, "DuplicateUsername", "its user name is that of an earlier entry")
    try:
        if login.digest:
            return credential_from_hash(entry.name, login.username, login.digest, entry.scopes, _agent(entry))
        return make(entry.name, login.username, login.password, tuple(entry.scopes), _agent(entry))
    except ValueError as error:
        return CredentialFault(entry.name, "InvalidSecret", str(error))


def _agent(entry: Authentication) -> AgentValue | None:
    return None if entry.agent is None else msgspec.to_builtins(entry.agent)


def _login(entry: Authentication, secrets: Secrets) -> _Login | CredentialFault:
    """Return user name and password (or hash) of one entry, or why there is none."""
    name = entry.basic.secret_ref.name
    if name not in secrets:
        return CredentialFault(entry.name, "SecretNotFound", f"there is no Secret {name!r} in this namespace")
    try:
        values = {key: secrets[name].get(key, b"").decode() for key in ("username", "password", "hash")}
    except UnicodeDecodeError:
        return CredentialFault(entry.name, "InvalidSecret", f"Secret {name!r}: a value is not UTF-8")
    if problem := _problem(values):
        return CredentialFault(entry.name, "InvalidSecret", f"Secret {name!r}: {problem}")
    return _Login(values["username"], values["password"], "" if values["password"] else values["hash"])


def _problem(values: Mapping[str, str]) -> str:
    """Return what is wrong with user name, password and hash of a Secret, without repeating any of them."""
    problem = ""
    if not values["username"]:
        problem = "'username' is missing or empty"
    elif ":" in values["username"] or not values["username"].isprintable():
        problem = "'username' holds a colon or a control character"
    elif len(values["password"].encode()) > LONGEST_PASSWORD:
        problem = f"'password' has more than {LONGEST_PASSWORD} bytes"
    elif not values["password"] and not values["hash"]:
        problem = "holds neither 'password' nor 'hash'"
    elif not values["password"]:
        try:
            check_hash(values["hash"])
        except ValueError as error:
            problem = f"'hash' {error}"
    return problem


def reuse(
    make: CredentialMaker, known: Iterable[Credential], verify: Callable[[Credential, str], bool]
) -> CredentialMaker:
    """Return a maker that keeps the digest of a *known* credential as long as it still verifies.

    So a record that was written before a restart stays byte for byte what it was. One verify costs what one hash does.
    """
    by_name = {(credential.name, credential.username): credential for credential in known}

    def maker(name: str, username: str, password: str, scopes: tuple[str, ...], agent: AgentValue | None) -> Credential:
        credential = by_name.get((name, username))
        if credential is None or not verify(credential, password):
            return make(name, username, password, scopes, agent)
        return _with(credential.kind, credential.digest, name, username, scopes, agent)

    return maker


def _with(
    kind: CredentialKind, digest: str, name: str, username: str, scopes: tuple[str, ...], agent: AgentValue | None
) -> Credential:
    members = None if agent is None else msgspec.json.decode(msgspec.json.encode(agent), type=dict[str, msgspec.Raw])
    return Credential(name, username, kind, digest, scopes, members)


class CredentialMemory:
    """What this process has hashed: a password seen before costs microseconds. Passwords are not kept, only their MACs.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._key = randomness.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[CredentialKind, str]] = OrderedDict()

    def around(self, make: CredentialMaker) -> CredentialMaker:
        """Return *make* with this memory before it."""

        def maker(
            name: str, username: str, password: str, scopes: tuple[str, ...], agent: AgentValue | None
        ) -> Credential:
            text = f"{name}\0{username}\0{password}".encode()
            mark = hashlib.blake2b(text, key=self._key, digest_size=32).digest()
            if (found := self._known.get(mark)) is not None:
                return _with(*found, name, username, scopes, agent)
            credential = make(name, username, password, scopes, agent)
            self._known[mark] = (credential.kind, credential.digest)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return credential

        return maker
