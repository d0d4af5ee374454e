"""A platform of real processes for tests and measurements: API replicas and a worker over given services."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from collegium_core.security.credentials import make_credential
from collegium_core.settings import Settings, load
from collegium_core.streams import Backlog
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import Credential, Placement, TenantRecord, TenantState
from collegium_testing.processes import end, free_port, kill, spawn, tail, wait_until

__all__ = ["KEY", "PASSWORD", "Stack", "Tenant"]

KEY = "ck_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde"
PASSWORD = "a person's password"


class Tenant(msgspec.Struct, frozen=True):
    """A tenant of a test, and how to get in."""

    record: TenantRecord
    username: str
    password: str

    @property
    def name(self) -> str:
        """The name that stands in URLs."""
        return self.record.display

    @property
    def authorization(self) -> str:
        """The Authorization header of its user."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


class Stack:
    """API replicas, each on a port of its own, and a worker; gone at the end of the block.

    :param folder: for data and logs.
    :param redis_url: a running server.
    :param opensearch_url: a running node; empty for SQLite.
    :param environment: further settings of the processes.
    """

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        *,
        opensearch_url: str = "",
        replicas: int = 1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(replicas)]
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("COLLEGIUM_", "RALPH_"))},
            "COLLEGIUM_DATA_DIR": str(folder),
            "COLLEGIUM_REDIS_URL": redis_url,
            "COLLEGIUM_OPENSEARCH_URL": opensearch_url,
            "COLLEGIUM_STORE": "opensearch" if opensearch_url else "sqlite",
            "COLLEGIUM_LOG_LEVEL": "warning",
            **(environment or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for index in range(len(self.ports)):
                self.start_api(index)
            self.start_worker()
            for index in range(len(self.ports)):
                self.wait_for_api(index)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self.processes.values():
            end(process)

    @property
    def settings(self) -> Settings:
        """The settings that its processes run with."""
        return load(self.env, cwd=self.folder)

    def start(self, name: str, command: list[str], env: Mapping[str, str] | None = None) -> None:
        """Start a process under *name*; its log is ``<name>.log`` in the folder."""
        log = self.folder / f"{name}.log"
        self.processes[name] = spawn(command, log=log, env=env or self.env, cwd=self.folder)

    def start_api(self, index: int = 0) -> None:
        """Start one API replica on its port."""
        port, metrics = str(self.ports[index]), str(free_port())
        self.start(f"api-{index}", [_collegium(), "api", "--port", port, "--metrics-port", metrics])

    def start_worker(self, name: str = "worker") -> None:
        """Start a worker; those of further names work beside it."""
        self.start(name, [_collegium(), "worker", "--metrics-port", str(free_port())])

    def kill(self, name: str) -> None:
        """``kill -9``."""
        kill(self.processes[name])

    def wait_for_api(self, index: int = 0) -> None:
        """Return when a replica accepts writes."""
        name = f"api-{index}"
        wait_until(
            lambda: self._is_ready(self.ports[index]),
            what=name,
            timeout=40,
            process=self.processes[name],
            log=self.folder / f"{name}.log",
        )

    @staticmethod
    def _is_ready(port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False

    def log(self, name: str) -> str:
        """Return the end of a process' log."""
        return tail(self.folder / f"{name}.log", 20_000)

    def url(self, tenant: Tenant, *, replica: int = 0) -> str:
        """Return the tenant's xAPI endpoint."""
        return f"http://127.0.0.1:{self.ports[replica]}/{tenant.name}/xAPI"

    def urls(self, tenant: Tenant) -> list[str]:
        """Return the tenant's xAPI endpoints, one for each replica."""
        return [self.url(tenant, replica=index) for index in range(len(self.ports))]

    async def make_tenant(
        self,
        name: str = "",
        *,
        state: TenantState = TenantState.ACTIVE,
        placement: Placement = Placement.DEDICATED,
        scopes: tuple[str, ...] = ("all",),
        secret: str = KEY,
        agent: dict[str, msgspec.Raw] | None = None,
        provision: bool = True,
    ) -> Tenant:
        """Register a tenant with one credential and make its stores, unless they are away (*provision* is false)."""
        names = parse_name(name or f"tenant-{uuid.uuid4().hex[:10]}")
        credential = await asyncio.to_thread(make_credential, "test", "user", secret, scopes, agent)
        record = self.record(names.display, state=state, placement=placement, credentials=(credential,))
        await self.put(record, provision=provision)
        return Tenant(record, "user", secret)

    @staticmethod
    def record(
        name: str,
        *,
        state: TenantState = TenantState.ACTIVE,
        placement: Placement = Placement.DEDICATED,
        credentials: tuple[Credential, ...] = (),
    ) -> TenantRecord:
        """Return the record of a tenant."""
        names = parse_name(name)
        return TenantRecord(
            names.slug, names.display, names.canonical, state=state, placement=placement, credentials=credentials
        )

    async def put(self, record: TenantRecord, *, provision: bool = True) -> None:
        """Register *record* and make its stores."""
        platform = await Platform.open(self.settings)
        try:
            await platform.registry.put(record)
            if provision:
                await platform.scope(record).provision()
        finally:
            await platform.close()

    async def backlog(self, tenant: Tenant) -> Backlog:
        """Return what waits in the tenant's log."""
        platform = await Platform.open(self.settings)
        try:
            return await platform.scope(tenant.record).log.backlog()
        finally:
            await platform.close()

    async def settle(self, tenant: Tenant, *, seconds: float = 60) -> None:
        """Return when everything of *tenant* is indexed.

        :raises TimeoutError: it took longer than *seconds*.
        """
        async with asyncio.timeout(seconds):
            while (await self.backlog(tenant)).statements:
                await asyncio.sleep(0.1)


def _collegium() -> str:
    return str(Path(sys.executable).with_name("collegium"))
