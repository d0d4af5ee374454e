"""Manifests become tenant records: what the operator does on Kubernetes, done for folders of one machine.

Folders are looked at every half second; records are written again every ten, so that a registry that lost them has them
back. A document that is broken takes nothing away: the tenant that its file gave before stays as it was.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Problem, Unavailable
from collegium_core.manifests import (
    CredentialMemory,
    ManifestError,
    SecretManifest,
    TenantManifest,
    credential_faults,
    desired_record,
    read_folder,
    reuse,
    transition_errors,
)
from collegium_core.security.credentials import make_credential
from collegium_core.security.passwords import verify_password
from collegium_core.tenancy.names import DEFAULT_TENANT, parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import Credential, CredentialKind, Placement, TenantRecord
from collegium_workers.supervisor.views import Login, TenantView

__all__ = ["ManifestFolder", "Reconciler"]

_POLL_SECONDS: Final = 0.5
_RESYNC_SECONDS: Final = 10.0
_AT_A_TIME: Final = 4

_log = structlog.get_logger(__name__)

Signature = tuple[tuple[str, int, int, int], ...]


class ManifestFolder(msgspec.Struct, frozen=True):
    """A folder, and the word by which the records made from it are recognised (``manifests``)."""

    path: Path
    word: str


class _Wanted(msgspec.Struct, frozen=True):
    """A tenant that a document asks for."""

    manifest: TenantManifest
    secrets: Mapping[str, Mapping[str, bytes]]
    owner: str

    @property
    def slug(self) -> str:
        return parse_name(self.manifest.display).slug


class _Reading(msgspec.Struct, frozen=True):
    """What the folders say now; *broken* are the files with faults, by path (a folder's own path included)."""

    wanted: tuple[_Wanted, ...]
    faults: tuple[ManifestError, ...]
    broken: frozenset[str]


class Reconciler:
    """Keeps the registry at what the folders say.

    :param folders: in order of precedence: where two give the same tenant the earlier one counts.
    :param report: called with an event's name and its fields.
    """

    def __init__(self, platform: Platform, folders: Sequence[ManifestFolder], *, report: Callable[..., None]) -> None:
        self._platform = platform
        self._folders = tuple(folders)
        self._report = report
        self._memory = CredentialMemory()
        self._signature: Signature | None = None
        self._reading = _Reading((), (), frozenset())
        self._records: dict[str, TenantRecord] = {}
        self._accepted: dict[tuple[str, str, str], _Wanted] = {}
        self._files: dict[str, str] = {}
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
        signature = await asyncio.to_thread(_sign, self._folders)
        if signature != self._signature:
            self._reading = await asyncio.to_thread(_read, self._folders)
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

    async def _apply(self, reading: _Reading) -> bool:
        registry = self._platform.registry
        known = {record.slug: record for record in await registry.list()}
        accepted, faults = self._admit(reading)
        slots = asyncio.Semaphore(_AT_A_TIME)

        async def bring(wanted: _Wanted) -> TenantRecord | None:
            before = known.get(wanted.slug)
            async with slots:
                try:
                    record = await asyncio.to_thread(self._make, wanted, before)
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
            records[default.slug] = await self._keep_default(known.get(default.slug))
        await self._remove(known, records, reading)
        self._accepted = accepted
        self._records = records
        self._files |= {wanted.slug: wanted.manifest.file for wanted in accepted.values()}
        self._tell([*reading.faults, *faults])
        here = {*records, *(wanted.slug for wanted in accepted.values())}
        self._faults = {key: detail for key, detail in self._faults.items() if key[0] in here}
        return await self._provision(records)

    def _admit(self, reading: _Reading) -> tuple[dict[tuple[str, str, str], _Wanted], list[ManifestError]]:
        """Return the tenants to have, and the faults of those that may not become what they ask for."""
        accepted: dict[tuple[str, str, str], _Wanted] = {}
        faults: list[ManifestError] = []
        slugs: dict[str, _Wanted] = {}
        for wanted in reading.wanted:
            manifest = wanted.manifest
            key = (wanted.owner.partition(":")[0], manifest.namespace, manifest.name)
            before = self._accepted.get(key)
            if before is not None and (errors := transition_errors(before.manifest, manifest)):
                faults += errors
                wanted = before  # noqa: PLW2901 - what was in force stays in force
            other = slugs.setdefault(wanted.slug, wanted)
            if other is not wanted:
                place = f"{other.manifest.file}:{other.manifest.line}"
                detail = f"means the same tenant as the object at {place}, which counts"
                faults.append(ManifestError(manifest.file, manifest.line, "spec.name", detail))
                continue
            accepted[key] = wanted
            faults += [
                ManifestError(manifest.file, manifest.line, f"spec.authentication ({fault.name})", fault.detail)
                for fault in credential_faults(wanted.manifest, wanted.secrets)
            ]
        for key, earlier in self._accepted.items():
            if key not in accepted and earlier.slug not in slugs and _is_broken(earlier.manifest.file, reading):
                accepted[key] = earlier
        return accepted, faults

    def _make(self, wanted: _Wanted, known: TenantRecord | None) -> TenantRecord:
        make = reuse(make_credential, known.credentials if known else (), _is_same_password)
        return desired_record(
            wanted.manifest,
            wanted.secrets,
            make=self._memory.around(make),
            # Where the manifest names none, the placement is decided once, when the tenant is made.
            placement=known.placement if known else self._platform.settings.placement,
            owner=wanted.owner,
        )

    async def _put(self, record: TenantRecord) -> None:
        if await self._platform.registry.put(record):
            self._report("tenant-applied", tenant=record.display, slug=record.slug, state=record.state.value)

    async def _keep_default(self, known: TenantRecord | None) -> TenantRecord:
        """Return the default tenant, which exists without a manifest and then has no credential of its own."""
        name = parse_name(DEFAULT_TENANT)
        if known is not None and not known.owner:
            return known
        placement = known.placement if known else self._platform.settings.placement
        record = TenantRecord(name.slug, name.display, name.canonical, placement=placement)
        await self._put(record)
        return record

    async def _remove(
        self, known: Mapping[str, TenantRecord], wanted: Mapping[str, TenantRecord], reading: _Reading
    ) -> None:
        """Close the doors of tenants that came from these folders and are there no longer."""
        words = {folder.word for folder in self._folders}
        for slug, record in known.items():
            if slug in wanted or record.owner.partition(":")[0] not in words:
                continue
            file = self._files.get(slug)
            if _is_broken(file, reading) if file else reading.broken:
                # Its document may be the one that cannot be read.
                continue
            await self._platform.registry.remove(slug)
            self._report("tenant-removed", tenant=record.display, slug=slug)

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


def _is_broken(file: str, reading: _Reading) -> bool:
    return file in reading.broken or str(Path(file).parent) in reading.broken


def _is_same_password(credential: Credential, password: str) -> bool:
    return credential.kind is CredentialKind.PASSWORD and verify_password(password.encode(), credential.digest)


def _sign(folders: Sequence[ManifestFolder]) -> Signature:
    """Return what tells whether any file has changed: name, inode, size, time of change."""
    marks: list[tuple[str, int, int, int]] = []
    for folder in folders:
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    stat = entry.stat()
                    marks.append((entry.path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
        except OSError as error:
            marks.append((str(folder.path), -(error.errno or 1), 0, 0))
    return tuple(sorted(marks))


def _read(folders: Sequence[ManifestFolder]) -> _Reading:
    wanted: list[_Wanted] = []
    faults: list[ManifestError] = []
    for folder in folders:
        manifests, errors = read_folder(folder.path)
        faults += errors
        secrets: dict[str, dict[str, Mapping[str, bytes]]] = {}
        for manifest in manifests:
            if isinstance(manifest, SecretManifest):
                secrets.setdefault(manifest.namespace, {})[manifest.name] = manifest.data
        wanted += [
            _Wanted(
                manifest, secrets.get(manifest.namespace, {}), f"{folder.word}:{manifest.namespace}/{manifest.name}"
            )
            for manifest in manifests
            if isinstance(manifest, TenantManifest)
        ]
    return _Reading(tuple(wanted), tuple(faults), frozenset(fault.file for fault in faults))


def _logins(wanted: _Wanted) -> tuple[Login, ...]:
    logins = []
    for entry in wanted.manifest.spec.authentication:
        values = wanted.secrets.get(entry.basic.secret_ref.name, {})
        if values.get("username") and values.get("password"):
            logins.append(
                Login(values["username"].decode("utf-8", "replace"), values["password"].decode("utf-8", "replace"))
            )
    return tuple(logins)
