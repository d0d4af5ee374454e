"""What the operator's Deployments run is the platform: a statement travels through API, log, worker and store."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium_testing.pods import run_container
from collegium_testing.processes import end, free_port
from collegium_testing.release import OperatorProcess, Release, eventually

pytestmark = pytest.mark.timeout(180)


class Client:
    """An LMS that speaks xAPI with one credential."""

    def __init__(self, base: str, username: str, password: str) -> None:
        self.base = base
        self.authorization = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and body of the answer."""
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": self.authorization,
                "X-Experience-API-Version": "1.0.3",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - same
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


@pytest.fixture
def api_url(operator: OperatorProcess, release: Release, tmp_path: Path) -> Iterator[str]:
    """The API and the worker of the Deployments that the operator made, as processes of this machine."""

    def deployment(name: str) -> Any:
        names = release.cluster.kubectl("-n", release.namespace, "get", "deployments", "-o", "name")
        return release.cluster.get("deployment", name, "-n", release.namespace) if f"/{name}\n" in names else None

    port = free_port()
    processes = []
    for name, listen in (("collegium-api", port), ("collegium-worker-index", free_port())):
        own = {
            "PATH": f"{Path(__file__).resolve().parents[3]}/.venv/bin:/usr/bin:/bin",
            "COLLEGIUM_HOST": "127.0.0.1",
            "COLLEGIUM_PORT": str(listen),
            "COLLEGIUM_METRICS_PORT": str(free_port()),
            "COLLEGIUM_DATA_DIR": str(tmp_path / name),
        }
        document = eventually(lambda name=name: deployment(name), what=name)
        processes.append(
            run_container(release.cluster, document, log=tmp_path / f"{name}.log", overrides=own, cwd=tmp_path)
        )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    try:
        eventually(ready, what="the API is ready", timeout=40)
        yield f"http://127.0.0.1:{port}"
        assert [0, 0] == [end(process, timeout=30) for process in processes]
    finally:
        for process in processes:
            end(process, timeout=1)


def test_a_statement_travels(api_url: str, tenants: Any, unique: str) -> None:
    """Stored under one tenant it is read by id at once and found in the list; the other tenant sees nothing of it."""
    for name in ("acme", "globex"):
        tenants.example(name, f"{name} {unique}")
        eventually(lambda name=name: tenants.has(name, "Ready", "True"), what=f"{name} is ready", timeout=60)
    acme = Client(api_url + tenants.get("acme")["status"]["endpoint"], "acme-lms", "orchard-lantern-52")
    globex = Client(api_url + tenants.get("globex")["status"]["endpoint"], "globex-lms", "harbour-violin-38")
    statement = {
        "id": str(uuid.uuid4()),
        "actor": {"mbox": f"mailto:{uuid.uuid4().hex}@acme.example"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
        "object": {"id": "https://acme.example/activities/1"},
    }
    assert (200, [statement["id"]]) == acme.ask("POST", "/statements", statement)
    status, found = acme.ask("GET", f"/statements?statementId={statement['id']}")
    assert (200, statement["actor"]) == (status, {"mbox": found["actor"]["mbox"]})

    def listed() -> bool:
        status, body = acme.ask("GET", f"/statements?verb={statement['verb']['id']}&limit=50")  # type: ignore[index] # a verb has an id
        return status == 200 and statement["id"] in [each["id"] for each in body["statements"]]

    eventually(listed, what="it is in the list", timeout=20)
    assert 404 == globex.ask("GET", f"/statements?statementId={statement['id']}")[0]
    assert [] == [each for each in globex.ask("GET", "/statements")[1]["statements"] if each["id"] == statement["id"]]
    assert 401 == Client(globex.base, "acme-lms", "orchard-lantern-52").ask("GET", "/statements")[0]

    tenants.apply("acme", {**tenants.get("acme")["spec"], "state": "ReadOnly"})
    other = {**statement, "id": str(uuid.uuid4())}
    eventually(lambda: acme.ask("POST", "/statements", other)[0] == 403, what="writes are refused", timeout=10)
    assert 200 == acme.ask("GET", f"/statements?statementId={statement['id']}")[0]
    tenants.delete("acme")
    eventually(lambda: acme.ask("GET", "/statements")[0] in {401, 404}, what="the door is closed", timeout=10)
