"""One Tenant from what is wanted to what is: record, stores, pods, status. Level-triggered: it may run at any time."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import structlog

from collegium_core.errors import Conflict, Unavailable
from collegium_core.manifests import (
    GROUP,
    CredentialMemory,
    TenantManifest,
    TenantSpec,
    credential_faults,
    desired_record,
    reuse,
)
from collegium_core.manifests.spec import DeletionPolicy
from collegium_core.manifests.status import CredentialStatus, TenantStatus
from collegium_core.manifests.validation import check_name, field_name
from collegium_core.security.credentials import make_credential
from collegium_core.security.passwords import verify_password
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import Credential, CredentialKind, Placement, TenantRecord
from collegium_operator import metrics
from collegium_operator.conditions import Finding
from collegium_operator.config import Config
from collegium_operator.known import Known, see_tenant
from collegium_operator.kube import SECRETS, TENANTS, Kube
from collegium_operator.platform.reconcile import Surroundings
from collegium_operator.queue import Key
from collegium_operator.tenants import cleanup, status
from collegium_operator.tenants.objects import components, desired
from collegium_operator.tenants.status import CONDITION_TYPES, Report, status_of

__all__ = ["FINALIZER", "TenantReconciler"]

FINALIZER: Final = f"{GROUP}/operator"
PAUSE: Final = f"{GROUP}/pause-reconciliation"
ABANDON: Final = f"{GROUP}/abandon"
ADOPT: Final = f"{GROUP}/adopt"
_PODS_PENDING_SECONDS: Final = 30.0

_log: Final = structlog.get_logger(__name__)

Object = dict[str, Any]


class _RefusedError(Exception):
    """The Tenant cannot be carried out as it is; waiting does not help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.finding = status.refused(reason, message)


class TenantReconciler:
    """Reconciles Tenants with what it is given; keeps nothing of them but the memory of hashed passwords.

    :param look_at: called with the key of another Tenant that has to be looked at for what was found here.
    """

    def __init__(
        self,
        kube: Kube,
        platform: Platform,
        config: Config,
        known: Known,
        surroundings: Surroundings,
        doors: cleanup.Doors,
        *,
        look_at: Callable[[Key], None],
    ) -> None:
        self._look_at = look_at
        self._kube = kube
        self._platform = platform
        self._config = config
        self._known = known
        self._surroundings = surroundings
        self._doors = doors
        self._memory = CredentialMemory()

    async def __call__(self, key: Key) -> float | None:
        """Bring the Tenant *key* to what its spec says; return the seconds after which to look again.

        :raises collegium_operator.kube.ApiError: the API server refused or is away; the status could not be written.
        :raises Unavailable: log or store is away; the status says so.
        :raises Conflict: an index that is not the tenant's has its name; the status says so.
        """
        tenant = await self._kube.get(TENANTS, key.namespace, key.name)
        if tenant is None:
            for rival in self._known.forget(key):
                self._look_at(rival)
            await self._settle_departed(key, None)
            metrics.forget_conditions(key, CONDITION_TYPES)
            return None
        self._known.see(see_tenant(tenant))
        await self._settle_departed(key, tenant)
        # Deletion comes before everything else: it does not change the generation.
        if tenant["metadata"].get("deletionTimestamp"):
            await self._delete(tenant)
            return None
        if tenant["metadata"].get("annotations", {}).get(PAUSE) == "true":
            await self._pause(tenant)
            return None
        tenant = await self._set_finalizer(tenant, wanted=tenant["spec"].get("deletionPolicy") == DeletionPolicy.DELETE)
        return await self._bring_about(tenant)

    # --- what is wanted --------------------------------------------------------------------------------------------

    async def _bring_about(self, tenant: Object) -> float | None:
        report = Report()
        failure: Unavailable | Conflict | None = None
        try:
            manifest = _read(tenant)
            record = await self._open_door(tenant, manifest, report)
            await self._make_pods(tenant, manifest, record, report)
            await self._platform.scope(record).provision()
            report.add(status.indices_ready())
        except _RefusedError as refusal:
            report.add(refusal.finding)
            await self._close_refused(tenant)
        except (Unavailable, Conflict) as error:
            failure = error
            report.add(status.indices_ready(error))
        await self._write(tenant, report)
        if failure is not None:
            raise failure
        waits = any(deployed is not None and not deployed.available for deployed in (report.api, report.workers))
        return _PODS_PENDING_SECONDS if waits else None

    async def _open_door(self, tenant: Object, manifest: TenantManifest, report: Report) -> TenantRecord:
        """Put the record that the Tenant asks for.

        :raises _RefusedError: the name is not this Tenant's to take.
        """
        async with self._doors.lock(parse_name(manifest.display).slug):
            previous = await self._previous(tenant, manifest)
            report.add(status.accepted())
            record = report.record = await self._record(tenant, manifest, previous, report)
            await self._platform.registry.put(record)
            return record

    async def _previous(self, tenant: Object, manifest: TenantManifest) -> TenantRecord | None:
        """Return the record that stands under the tenant's slug, open or closed, if this Tenant may take it on.

        :raises _RefusedError: the name belongs to another Tenant, or the kept data of one that is gone.
        """
        slug = parse_name(manifest.display).slug
        uid = tenant["metadata"]["uid"]
        previous = await self._platform.registry.known(slug)
        first = self._known.first(slug, incumbent=cleanup.owner_uid(previous) if previous else "")
        if first is not None and first.uid != uid:
            detail = f"the name is that of the Tenant {first.key.namespace}/{first.key.name}, which is older"
            raise _RefusedError("SlugInUse", detail)
        if previous is None or not previous.owner or cleanup.owner_uid(previous) == uid:
            return previous
        if cleanup.owner_uid(previous) in self._known.uids() or self._may_adopt(tenant, previous):
            return previous
        detail = (
            f"data of a deleted Tenant are kept under this name; to take them over set the annotation"
            f" {ADOPT}: {cleanup.owner_uid(previous)}"
        )
        raise _RefusedError("SlugInUse", detail)

    @staticmethod
    def _may_adopt(tenant: Object, previous: TenantRecord) -> bool:
        # Whoever may make Tenants in this namespace had these data already; another namespace has to know the uid.
        same_namespace = previous.owner.partition("/")[0] == tenant["metadata"]["namespace"]
        annotation = tenant["metadata"].get("annotations", {}).get(ADOPT)
        return same_namespace or bool(annotation == cleanup.owner_uid(previous))

    async def _record(
        self, tenant: Object, manifest: TenantManifest, previous: TenantRecord | None, report: Report
    ) -> TenantRecord:
        secrets, versions = await self._secrets(manifest)
        faults = credential_faults(manifest, secrets)
        failed = {fault.name for fault in faults}
        report.credentials = [
            CredentialStatus(entry.name, versions[entry.basic.secret_ref.name])
            for entry in manifest.spec.authentication
            if entry.name not in failed
        ]
        make = self._memory.around(reuse(make_credential, previous.credentials if previous else (), _is_same_password))
        # Hashing a password takes a fifth of a second of CPU.
        record = await asyncio.to_thread(
            desired_record,
            manifest,
            secrets,
            make=make,
            placement=self._placement(tenant, previous),
            owner=cleanup.owner_of(tenant),
            generation=tenant["metadata"]["generation"],
        )
        report.add(status.credentials_resolved(faults, len(manifest.spec.authentication)))
        return record

    def _placement(self, tenant: Object, previous: TenantRecord | None) -> Placement:
        """Return the placement of a Tenant that names none: the one that it was given once, else the platform's."""
        if previous is not None:
            return previous.placement
        given = tenant.get("status", {}).get("placement")
        return Placement(given) if given else self._platform.settings.placement

    async def _secrets(self, manifest: TenantManifest) -> tuple[dict[str, dict[str, bytes]], dict[str, str]]:
        """Return the Secrets that are there, and their versions, by name."""
        secrets: dict[str, dict[str, bytes]] = {}
        versions: dict[str, str] = {}
        for name in {entry.basic.secret_ref.name for entry in manifest.spec.authentication}:
            found = await self._kube.get(SECRETS, manifest.namespace, name)
            if found is not None:
                secrets[name] = msgspec.convert(found.get("data", {}), dict[str, bytes])
                versions[name] = found["metadata"]["resourceVersion"]
        return secrets, versions

    async def _make_pods(self, tenant: Object, manifest: TenantManifest, record: TenantRecord, report: Report) -> None:
        uid = tenant["metadata"]["uid"]
        api, worker = components(manifest.spec, self._config, slug=record.slug, uid=uid)
        wanted: list[Object] = []
        if api.owner or worker.owner:
            owner = await self._surroundings.owner()
            version = await self._surroundings.connections_version()
            wanted = desired(manifest.spec, self._config, owner, slug=record.slug, uid=uid, connections_version=version)
        for document in wanted:
            await self._kube.apply(document)
        keep = frozenset(f"{document['kind']}/{document['metadata']['name']}" for document in wanted)
        if keep or _had_own_pods(tenant):
            await cleanup.collect(self._kube, self._config, uid, keep=keep)
        report.api = self._known.deployments.get(api.name(self._config))
        report.workers = self._known.deployments.get(worker.name(self._config))
        report.add(status.api_available(report.api))
        report.add(status.workers_available(report.workers))

    # --- what is written into the object ---------------------------------------------------------------------------

    async def _set_finalizer(self, tenant: Object, *, wanted: bool) -> Object:
        metadata = tenant["metadata"]
        finalizers = metadata.get("finalizers", [])
        if (FINALIZER in finalizers) == wanted:
            return tenant
        others = [each for each in finalizers if each != FINALIZER]
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [*others, FINALIZER] if wanted else others,
            }
        }
        return await self._kube.merge(TENANTS, metadata["namespace"], metadata["name"], patch)

    async def _write(self, tenant: Object, report: Report, *, ready: Finding | None = None) -> None:
        settings = self._platform.settings
        url = ""
        if report.record is not None:
            url = status.endpoint(report.record, public_url=settings.public_url, root_path=settings.root_path)
        new = status_of(
            report,
            tenant.get("status", {}),
            generation=tenant["metadata"]["generation"],
            now=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            url=url,
            ready=ready,
        )
        await self._apply_status(tenant, new)

    async def _apply_status(self, tenant: Object, new: TenantStatus) -> None:
        metadata = tenant["metadata"]
        key = see_tenant(tenant).key
        metrics.show_conditions(key, new.conditions)
        document = msgspec.to_builtins(new)
        if document == tenant.get("status"):
            return
        await self._kube.apply_status(TENANTS, metadata["namespace"], metadata["name"], document)

    async def _pause(self, tenant: Object) -> None:
        """Leave everything as it is and say so; the other conditions keep what was last found."""
        report = Report()
        for each in tenant.get("status", {}).get("conditions", ()):
            if each["type"] in report.findings:
                report.add(msgspec.convert(each, Finding))
        report.add(status.paused())
        before = msgspec.convert(tenant.get("status", {}), TenantStatus)
        after = status_of(
            report,
            tenant.get("status", {}),
            generation=tenant["metadata"]["generation"],
            now=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        # What was last seen of the tenant stays as it is; the generation seen is the one before the pause.
        kept = msgspec.structs.replace(before, conditions=after.conditions)
        await self._apply_status(tenant, kept)

    # --- the end ---------------------------------------------------------------------------------------------------

    async def _delete(self, tenant: Object) -> None:
        """Clean up behind a Tenant that is being deleted, then let it go."""
        metadata = tenant["metadata"]
        if FINALIZER not in metadata.get("finalizers", []):
            return
        slug, uid = see_tenant(tenant).slug, metadata["uid"]
        drop = tenant["spec"].get("deletionPolicy") == DeletionPolicy.DELETE
        abandoned = metadata.get("annotations", {}).get(ABANDON) == "true"
        await cleanup.collect(self._kube, self._config, uid)
        if slug and not abandoned:
            try:
                await (self._doors.erase if drop else self._doors.close)(slug, uid)
            except (Unavailable, Conflict) as error:
                await self._write(tenant, Report(), ready=status.terminating(error))
                raise
        await self._set_finalizer(tenant, wanted=False)

    async def _settle_departed(self, key: Key, tenant: Mapping[str, Any] | None) -> None:
        """Close the doors of Tenants that were under this name before and are gone."""
        for uid, slug in self._known.departed(key).items():
            if tenant is None or tenant["metadata"]["uid"] != uid:
                await cleanup.collect(self._kube, self._config, uid)
                if slug:
                    await self._doors.close(slug, uid)
            self._known.settle(key, uid)

    async def _close_refused(self, tenant: Object) -> None:
        """Close what this Tenant had under its name before it was refused, and collect its pods."""
        sighting = see_tenant(tenant)
        if _had_own_pods(tenant):
            await cleanup.collect(self._kube, self._config, sighting.uid)
        if sighting.slug:
            await self._doors.close(sighting.slug, sighting.uid)


def _is_same_password(credential: Credential, password: str) -> bool:
    return credential.kind is CredentialKind.PASSWORD and verify_password(password.encode(), credential.digest)


def _had_own_pods(tenant: Object) -> bool:
    # A Tenant that was never seen, or whose spec has changed since, may have pods of an earlier mode.
    return bool(tenant.get("status", {}).get("observedGeneration") != tenant["metadata"]["generation"])


def _read(tenant: Object) -> TenantManifest:
    """Return the manifest in *tenant*, which the API server has held to the schema.

    :raises _RefusedError: a newer schema has fields that this operator does not know, or the name cannot be a tenant's.
    """
    metadata = tenant["metadata"]
    try:
        spec = msgspec.convert(tenant["spec"], TenantSpec)
    except msgspec.ValidationError as error:
        raise _RefusedError("UnknownSpec", f"this operator cannot read the spec: {error}") from None
    if faults := check_name(tenant):
        raise _RefusedError("InvalidName", f"{field_name(faults[0].path)}: {faults[0].detail}")
    return TenantManifest(metadata["name"], metadata["namespace"], spec)
