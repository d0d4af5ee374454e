"""Manifests become tenant records: what the operator does on Kubernetes, done for folders of one machine.

Folders are looked at every half second; records are written again every ten, so that a registry that lost them has them
back. A document that is broken takes nothing away: the tenant that its file gave before stays as it was, and so does
the credential of a Secret that cannot be used. What is missing goes at the second look: its file may be half written.
Of two documents for one tenant the one in force stays in force, whatever the order of their files.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Problem, Unavailable
from collegium_core.manifests import (
    CredentialMemory,
    ManifestError,
    credential_faults,
    desired_record,
    reuse,
    transition_errors,
)
from collegium_core.security.credentials import make_credential
from collegium_core.security.passwords import verify_password
from collegium_core.tenancy.names import DEFAULT_TENANT, parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import Credential, CredentialKind, Placement, TenantRecord
from collegium_workers.supervisor.folders import (
    Absences,
    Key,
    ManifestFolder,
    Reading,
    Signature,
    Wanted,
    read_folders,
    sign_folders,
)
from collegium_workers.supervisor.views import Login, TenantView

__all__ = ["ManifestFolder", "Reconciler"]

_POLL_SECONDS: Final = 0.5
_RESYNC_SECONDS: Final = 10.0
_AT_A_TIME: Final = 4

_log = structlog.get_logger(__name__)


class _Admitted(msgspec.Struct, frozen=True):
    """The tenants to have, the credentials in force that stand in for what is faulty (by slug), and all faults."""

    tenants: dict[Key, Wanted]
    kept: dict[str, dict[str, Credential]]
    faults: list[ManifestError]


class Reconciler:
    """Keeps the registry at what the folders say.

    :param folders: in order of precedence: where two give the same new tenant the earlier one counts.
    :param report: called with an event's name and its fields.
    """

    def __init__(self, platform: Platform, folders: Sequence[ManifestFolder], *, report: Callable[..., None]) -> None:
        self._platform = platform
        self._folders = tuple(folders)
        self._report = report
        self._memory = CredentialMemory()
        self._signature: Signature | None = None
        self._reading = Reading()
        self._records: dict[str, TenantRecord] = {}
        self._accepted: dict[Key, Wanted] = {}
        self._seen: set[str] = set()
        self._secrets: set[Key] = set()
        self._absences = Absences()
        self._provisioned: set[tuple[str, Placement]] = set()
        self._told: set[ManifestError] = set()
        self._faults: dict[tuple[str, str], str] = {}
        self._postponed: dict[str, float] = {}
        self._away = ""
        self._is_pending = True
        self._is_applied = False
        self._resynced = 0.0

    async def step(self) -> bool:
        """Look once, apply what is new; return whether the registry holds what the folders say.

        Registry or store away is no error: what is left is tried again at the next step. Nor is a tenant that is
        refused: it is told, the others are brought, and it is tried again every ten seconds.
        """
        signature = await asyncio.to_thread(sign_folders, self._folders)
        if signature != self._signature or time.monotonic() >= self._reading.due:
            self._reading = await asyncio.to_thread(read_folders, self._folders, self._reading)
            self._signature = signature
            self._is_pending = True
        if self._is_pending or time.monotonic() - self._resynced >= _RESYNC_SECONDS:
            try:
                self._is_pending = not await self._apply(self._reading)
            except* Unavailable:
                self._is_pending = True
                self._is_applied = False
            else:
                self._is_applied = True
                self._resynced = time.monotonic()
        return self._is_applied

    async def run(self) -> None:
        """Look for ever; a fault of ours is logged and does not end the platform."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - logged with its trace; the next step may go well
                _log.exception("reconciliation_failed")
            await asyncio.sleep(_POLL_SECONDS)

    def tenants(self) -> list[TenantView]:
        """Return the tenants as they were applied, by name, each with the logins that its Secrets tell."""
        logins = {wanted.slug: _logins(wanted) for wanted in self._accepted.values()}
        views = [
            TenantView(record.display, slug, record.state.value, logins.get(slug, ()))
            for slug, record in self._records.items()
        ]
        return sorted(views, key=lambda view: (view.name == DEFAULT_TENANT, view.name))

    async def _apply(self, reading: Reading) -> bool:
        registry = self._platform.registry
        known = {record.slug: record for record in await registry.list()}
        self._absences.begin()
        admitted = self._admit(reading, known)
        accepted = admitted.tenants
        slots = asyncio.Semaphore(_AT_A_TIME)

        async def bring(wanted: Wanted) -> TenantRecord | None:
            before = known.get(wanted.slug)
            async with slots:
                try:
                    record = await asyncio.to_thread(self._make, wanted, before, admitted.kept[wanted.slug])
                    await self._put(record)
                except Unavailable:
                    raise
                except Problem as problem:
                    self._tell_tenant(wanted.slug, wanted.manifest.display, "record", problem.detail)
                    return before
                self._tell_tenant(wanted.slug, wanted.manifest.display, "record", "")
                return record

        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(bring(wanted)) for wanted in accepted.values()]
        records = {record.slug: record for task in made if (record := task.result()) is not None}
        default = parse_name(DEFAULT_TENANT)
        if default.slug not in records:
            records[default.slug] = await self._keep_default(known.get(default.slug), reading)
        await self._remove(known, records, reading)
        self._accepted = accepted
        self._records = records
        self._seen |= {wanted.slug for wanted in accepted.values()}
        self._secrets |= reading.secrets
        self._tell([*reading.faults, *admitted.faults])
        here = {*records, *(wanted.slug for wanted in accepted.values())}
        self._faults = {key: detail for key, detail in self._faults.items() if key[0] in here}
        is_second_look_due = self._absences.end()
        return await self._provision(records) and not is_second_look_due

    def _admit(self, reading: Reading, known: Mapping[str, TenantRecord]) -> _Admitted:
        """Return the tenants to have, and the faults of those that may not become what they ask for."""
        admitted = _Admitted({}, {}, [])
        given: dict[Key, Wanted] = {}
        for wanted in reading.wanted:
            before = self._accepted.get(wanted.key)
            errors = transition_errors(before.manifest, wanted.manifest) if before else []
            admitted.faults.extend(errors)
            given[wanted.key] = before if before and errors else wanted  # what was in force stays in force
        owners = self._owners(known)
        slugs: dict[str, Wanted] = {}
        for wanted in sorted(given.values(), key=lambda wanted: owners.get(wanted.slug, wanted.owner) != wanted.owner):
            owner, manifest = owners.get(wanted.slug, wanted.owner), wanted.manifest
            detail = ""
            if (other := slugs.get(wanted.slug)) is not None:
                place = f"{other.manifest.file}:{other.manifest.line}"
                detail = f"means the same tenant as the object at {place}, which counts"
            elif (
                owner != wanted.owner
                and not any(owner == each.owner for each in given.values())
                and self._may_return(wanted.slug, reading)
            ):
                if not reading.broken:
                    continue  # nothing to tell yet
                detail = f"means the same tenant as the object {owner}, whose document may be one with faults"
            if detail:
                admitted.faults.append(ManifestError(manifest.file, manifest.line, "spec.name", detail))
                continue
            slugs[wanted.slug] = wanted
            admitted.tenants[wanted.key] = wanted
            self._keep_credentials(wanted, known.get(wanted.slug), reading, admitted)
        return admitted

    def _owners(self, known: Mapping[str, TenantRecord]) -> dict[str, str]:
        """Return the object in force of each tenant that came from these folders."""
        owners = {slug: record.owner for slug, record in known.items() if self._is_ours(record)}
        return owners | {wanted.slug: wanted.owner for wanted in self._accepted.values()}

    def _is_ours(self, record: TenantRecord) -> bool:
        return record.owner.partition(":")[0] in {folder.word for folder in self._folders}

    def _keep_credentials(
        self, wanted: Wanted, known: TenantRecord | None, reading: Reading, admitted: _Admitted
    ) -> None:
        """Tell the faults of the Secrets, and keep what is in force where one is faulty or may be half written."""
        known = known or self._records.get(wanted.slug)
        kept = {each.name: each for each in known.credentials} if known and known.owner == wanted.owner else {}
        manifest = wanted.manifest
        secrets = {entry.name: entry.basic.secret_ref.name for entry in manifest.spec.authentication}
        for fault in credential_faults(manifest, wanted.secrets):
            if fault.reason == "SecretNotFound" and fault.name in kept:
                secret = (wanted.word, manifest.namespace, secrets[fault.name])
                if secret in self._secrets:
                    del kept[fault.name]  # the reading has waited for it
                elif not reading.broken:
                    if not self._absences.is_long(wanted.slug, fault.name):
                        continue
                    del kept[fault.name]
            field = f"spec.authentication ({fault.name})"
            admitted.faults.append(ManifestError(manifest.file, manifest.line, field, fault.detail))
        admitted.kept[wanted.slug] = kept

    def _make(self, wanted: Wanted, known: TenantRecord | None, kept: Mapping[str, Credential]) -> TenantRecord:
        make = reuse(make_credential, known.credentials if known else (), _is_same_password)
        return desired_record(
            wanted.manifest,
            wanted.secrets,
            make=self._memory.around(make),
            # Where the manifest names none, the placement is decided once, when the tenant is made.
            placement=known.placement if known else self._platform.settings.placement,
            owner=wanted.owner,
            kept=kept,
        )

    async def _put(self, record: TenantRecord) -> None:
        if await self._platform.registry.put(record):
            self._report("tenant-applied", tenant=record.display, slug=record.slug, state=record.state.value)

    async def _keep_default(self, known: TenantRecord | None, reading: Reading) -> TenantRecord:
        """Return the default tenant, which exists without a manifest and then has no credential of its own."""
        name = parse_name(DEFAULT_TENANT)
        if known is not None and (not known.owner or (self._is_ours(known) and self._may_return(known.slug, reading))):
            return known
        placement = known.placement if known else self._platform.settings.placement
        record = TenantRecord(name.slug, name.display, name.canonical, placement=placement)
        await self._put(record)
        return record

    async def _remove(
        self, known: Mapping[str, TenantRecord], wanted: Mapping[str, TenantRecord], reading: Reading
    ) -> None:
        """Close the doors of tenants that came from these folders and are there no longer."""
        for slug, record in known.items():
            if slug in wanted or not self._is_ours(record) or self._may_return(slug, reading):
                continue
            await self._platform.registry.remove(slug)
            self._report("tenant-removed", tenant=record.display, slug=slug)

    def _may_return(self, slug: str, reading: Reading) -> bool:
        """Return whether the document of a tenant from before the start may be there, unreadable or half written.

        For one that this process has seen the reading has waited.
        """
        return slug not in self._seen and (bool(reading.broken) or not self._absences.is_long(slug))

    async def _provision(self, records: Mapping[str, TenantRecord]) -> bool:
        """Make the stores of tenants that have none yet; return False where the store is away and the rest has to wait.

        The tenant that found it away is the last to be tried the next time: others must not wait for it alone.
        """
        waiting = [record for slug, record in records.items() if (slug, record.placement) not in self._provisioned]
        for record in sorted(waiting, key=lambda record: self._postponed.get(record.slug, 0.0)):
            detail = ""
            try:
                await self._platform.scope(record).provision()
            except Unavailable as error:
                if error.detail != self._away:
                    self._away = error.detail
                    self._report("store-away", tenant=record.display, detail=error.detail)
                self._postponed[record.slug] = time.monotonic()
                return False
            except Problem as problem:
                detail = problem.detail
            else:
                self._provisioned.add((record.slug, record.placement))
            self._tell_tenant(record.slug, record.display, "stores", detail)
        self._away = ""
        self._postponed.clear()
        return True

    def _tell(self, faults: Sequence[ManifestError]) -> None:
        """Report the faults that have not been told yet."""
        now = set(faults)
        for fault in faults:
            if fault not in self._told:
                self._report("manifest-fault", file=fault.file, line=fault.line, field=fault.field, detail=fault.detail)
        self._told = now

    def _tell_tenant(self, slug: str, display: str, part: str, detail: str) -> None:
        """Report what keeps *part* of a tenant from being as it should, once; an empty *detail* is: nothing."""
        before = self._faults.pop((slug, part), "")
        if detail:
            self._faults[slug, part] = detail
            if detail != before:
                self._report("tenant-fault", tenant=display, slug=slug, detail=detail)


def _is_same_password(credential: Credential, password: str) -> bool:
    return credential.kind is CredentialKind.PASSWORD and verify_password(password.encode(), credential.digest)


def _logins(wanted: Wanted) -> tuple[Login, ...]:
    logins = []
    faulty = {fault.name for fault in credential_faults(wanted.manifest, wanted.secrets)}
    for entry in wanted.manifest.spec.authentication:
        if entry.name in faulty:
            continue
        values = wanted.secrets.get(entry.basic.secret_ref.name, {})
        if values.get("username") and values.get("password"):
            logins.append(
                Login(values["username"].decode("utf-8", "replace"), values["password"].decode("utf-8", "replace"))
            )
    return tuple(logins)
