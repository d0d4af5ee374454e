"""``collegium up`` on a folder of a test: started, asked, killed, started again."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from collegium_testing.processes import end, kill, spawn, tail, wait_until

__all__ = ["KEY", "OneMachine", "collegium"]

KEY = "ck_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde"

_TENANT = """\
apiVersion: collegium.dev/v1alpha1
kind: Tenant
metadata: {{name: {name}}}
spec:
  authentication:
    - name: lms
      basic: {{secretRef: {{name: {name}-lms}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: {name}-lms}}
stringData: {{username: {name}-user, password: {password}}}
"""


def collegium(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of ``collegium`` to its end; its settings are those of the arguments alone."""
    return subprocess.run(
        [str(_program()), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=_environment({}),
    )


class OneMachine:
    """A data folder, a manifests folder, and ``collegium up`` on them while the block lasts.

    :param options: further options of ``collegium up``.
    """

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data = folder / "data"
        self.manifests = folder / "manifests"
        self.manifests.mkdir(parents=True, exist_ok=True)
        self.options = options
        self.environment = _environment(environment or {})
        self.ready: dict[str, Any] = {}
        self._events = folder / "events.jsonl"
        self._log = folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = self._end()
        assert error is not None or code in {None, 0}, f"it did not stop in good order ({code})\n{self.log}"

    def _end(self) -> int | None:
        """End it; return its exit code, ``None`` where nothing ran any more."""
        if self._process is None or self._process.poll() is not None:
            return None
        return end(self._process, timeout=40)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def endpoint(self, tenant: str = "acme") -> str:
        """Return the tenant's xAPI endpoint."""
        return f"{self.ready['url']}/{tenant}/xAPI"

    @staticmethod
    def authorization(tenant: str = "acme", *, user: str = "", password: str = KEY) -> str:
        """Return the Authorization header of a tenant's user."""
        return "Basic " + base64.b64encode(f"{user or f'{tenant}-user'}:{password}".encode()).decode()

    @property
    def log(self) -> str:
        """The end of the log of all processes."""
        return tail(self._log, 20_000)

    def command(self) -> list[str | Path]:
        """Return the command line that :meth:`start` runs."""
        return [
            *(_program(), "up", "--manifests", self.manifests, "--data", self.data),
            *("--port", "0", "--metrics-port", "0", "--json", *self.options),
        ]

    def start(self, *, timeout: float = 60) -> None:
        """Start it and return when it is ready."""
        self._events.write_bytes(b"")
        with self._events.open("ab") as events:
            self._process = spawn(self.command(), log=self._log, env=self.environment, stdout=events.fileno())
        wait_until(
            lambda: bool(self.events()), what="collegium up", timeout=timeout, process=self._process, log=self._log
        )
        self.ready = self.events()[0]
        assert "ready" == self.ready["event"]

    def stop(self) -> int:
        """SIGTERM; return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    def kill(self) -> None:
        """``kill -9`` of the supervisor alone."""
        assert self._process is not None
        kill(self._process)

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far; a line that is being written does not count yet."""
        return [
            json.loads(line) for line in self._events.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")
        ]

    def children(self) -> dict[str, int]:
        """Return the process ids of the running children by name."""
        return {each["name"]: each["pid"] for each in json.loads((self.data / "pids.json").read_bytes())}

    def write_tenant(self, name: str, *, password: str = KEY) -> Path:
        """Write the documents of a tenant with the user ``<name>-user``."""
        path = self.manifests / f"{name}.yaml"
        path.write_text(_TENANT.format(name=name, password=password))
        return path

    def request(
        self, path: str, *, tenant: str = "acme", password: str = KEY, user: str = "", body: Any = None
    ) -> tuple[int, bytes]:
        """Send one request as a tenant's user; return status and body. ``OSError`` when nobody answers."""
        headers = {
            "Authorization": self.authorization(tenant, user=user, password=password),
            "X-Experience-API-Version": "1.0.3",
            "Content-Type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.endpoint(tenant)}/{path}"
        request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - our own process
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - same
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    def post(self, statement_id: str) -> None:
        """Store one statement; anything but 200 fails the test."""
        body = {
            "id": statement_id,
            "actor": {"mbox": "mailto:ada@example.org"},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
            "object": {"id": "https://example.org/courses/1"},
        }
        assert (200, f'["{statement_id}"]'.encode()) == self.request("statements", body=body)


def _program() -> Path:
    return Path(sys.executable).with_name("collegium")


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COLLEGIUM_", "RALPH_"))}
    return {**kept, **given}
