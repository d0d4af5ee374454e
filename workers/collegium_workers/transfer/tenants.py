"""Reading the registry from the command line, and new tenants as documents in the data folder."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from collegium_core.errors import Unavailable
from collegium_core.files import write_whole
from collegium_core.manifests import GROUP, VERSION, parse_documents
from collegium_core.security.credentials import make_credential, make_key
from collegium_core.settings import load
from collegium_core.tenancy.names import TenantName, parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import CredentialKind, TenantRecord
from collegium_workers.supervisor.lock import prepare_folder
from collegium_workers.supervisor.runtime import find_runtime
from collegium_workers.transfer.target import Where, data_folder, run_platform

__all__ = ["CreatedTenant", "create_tenant", "open_platform", "read_tenant", "read_tenants", "show_json"]

_APPEAR_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.1


class CreatedTenant(msgspec.Struct, frozen=True):
    """A tenant that was just created; *key* is the password where one was made, else empty."""

    name: str
    slug: str
    username: str
    key: str
    is_running: bool


@contextlib.asynccontextmanager
async def open_platform(data: Path | None) -> AsyncIterator[Platform]:
    """Yield the platform behind ``REDIS_URL``, else the one on the data folder, started for the duration if need be.

    :raises click.ClickException: there is none.
    """
    settings = load()
    folder = data_folder(Where(data=data))
    settings = msgspec.structs.replace(settings, data_dir=folder)
    async with contextlib.AsyncExitStack() as stack:
        if not settings.redis_url:
            runtime = await stack.enter_async_context(run_platform(folder))
            if not runtime.redis_url:
                raise click.ClickException("the platform runs on a Redis elsewhere: set COLLEGIUM_REDIS_URL here too")
            settings = msgspec.structs.replace(settings, redis_url=runtime.redis_url)
        platform = await Platform.open(settings)
        stack.push_async_callback(platform.close)
        try:
            yield platform
        except Unavailable as error:
            raise click.ClickException(error.detail) from None


async def read_tenants(data: Path | None) -> list[TenantRecord]:
    """Return the records of all tenants, by name."""
    async with open_platform(data) as platform:
        return sorted(await platform.registry.list(), key=lambda record: record.display)


async def read_tenant(data: Path | None, name: str) -> TenantRecord:
    """Return the record of one tenant.

    :raises click.ClickException: there is none.
    """
    async with open_platform(data) as platform:
        record = await platform.registry.get(parse_name(name).slug)
        if record is None:
            raise click.ClickException(f"there is no tenant {name!r}")
        return record


def show_json(record: TenantRecord) -> str:
    """Return *record* as JSON without the credentials' digests."""
    value: dict[str, Any] = msgspec.to_builtins(record)
    value["state"], value["placement"] = record.state.value, record.placement.value
    value["credentials"] = [
        {"name": each.name, "username": each.username, "kind": each.kind.value, "scopes": list(each.scopes)}
        for each in record.credentials
    ]
    return msgspec.json.encode(value).decode()


async def create_tenant(
    data: Path | None, name: str, *, username: str, password: str, scopes: Sequence[str]
) -> CreatedTenant:
    """Write a tenant's documents into the data folder; wait until a running platform has it.

    :raises click.ClickException: it exists already, or the running platform does not take it.
    :raises BadRequest: *name* cannot be a tenant's name.
    """
    folder = data_folder(Where(data=data))
    tenant = parse_name(name)
    user = username or tenant.slug
    key = "" if password else make_key()
    await asyncio.to_thread(prepare_folder, folder)
    text = await asyncio.to_thread(_documents, tenant, user, password or key, scopes)
    _, faults = parse_documents(text, "the new tenant")
    if faults:
        raise click.ClickException("; ".join(f"{fault.field}: {fault.detail}" for fault in faults))
    runtime = await asyncio.to_thread(find_runtime, folder)
    if runtime is not None:
        async with open_platform(data) as platform:
            if await platform.registry.get(tenant.slug) is not None:
                raise click.ClickException(f"the tenant {tenant.display!r} exists already")
            await asyncio.to_thread(_write, folder, tenant, text)
            await _wait_for(platform, tenant)
    else:
        await asyncio.to_thread(_write, folder, tenant, text)
    return CreatedTenant(tenant.display, tenant.slug, user, key, runtime is not None)


async def _wait_for(platform: Platform, tenant: TenantName) -> None:
    end = time.monotonic() + _APPEAR_SECONDS
    while await platform.registry.get(tenant.slug) is None:
        if time.monotonic() > end:
            raise click.ClickException("the running platform has not taken the tenant yet; its log says why")
        await asyncio.sleep(_POLL_SECONDS)


def _write(folder: Path, tenant: TenantName, text: str) -> None:
    path = folder / "tenants" / f"{tenant.slug}.yaml"
    if path.exists():
        raise click.ClickException(f"the tenant {tenant.display!r} exists already, in {path}")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_whole(path, text.encode())


def _documents(tenant: TenantName, username: str, password: str, scopes: Sequence[str]) -> str:
    """Return Secret and Tenant as documents, JSON being YAML. A password is kept as its hash, which is slow to make."""
    credential = make_credential("first", username, password)
    is_key = credential.kind is CredentialKind.KEY
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{tenant.slug}-first"},
        "type": "kubernetes.io/basic-auth",
        # A generated key must stay what it is to be checked quickly; the file is this user's alone.
        "stringData": {"username": username, **({"password": password} if is_key else {"hash": credential.digest})},
    }
    document = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Tenant",
        "metadata": {"name": tenant.slug},
        "spec": {
            "name": tenant.display,
            "authentication": [
                {"name": "first", "basic": {"secretRef": {"name": f"{tenant.slug}-first"}}, "scopes": list(scopes)}
            ],
        },
    }
    return "".join(f"---\n{msgspec.json.format(msgspec.json.encode(each)).decode()}\n" for each in (secret, document))
