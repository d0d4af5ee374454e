"""``helm install``, ``kubectl apply``, and a statement travels through what the operator's Deployments run."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium_core.tenancy.names import parse_name
from collegium_testing.installation import EXAMPLES, Tenants
from collegium_testing.pods import run_container
from collegium_testing.processes import end, free_port
from collegium_testing.release import OperatorProcess, Release, eventually

pytestmark = pytest.mark.timeout(240)

PROGRAMS = Path(__file__).resolve().parents[2] / ".venv" / "bin"


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

    def lists(self, statement_id: str) -> bool:
        """Return whether the statement is in the list."""
        status, body = self.ask("GET", "/statements?limit=50")
        return status == 200 and statement_id in [each["id"] for each in body["statements"]]


def acme(base: str) -> Client:
    return Client(f"{base}/acme/xAPI", "acme-lms", "orchard-lantern-52")


def globex(base: str) -> Client:
    return Client(f"{base}/globex/xAPI", "globex-lms", "harbour-violin-38")


def statement() -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "actor": {"mbox": "mailto:learner@acme.example"},
        "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
        "object": {"id": "https://acme.example/activities/1"},
    }


@contextlib.contextmanager
def running(release: Release, folder: Path, api: str, worker: str) -> Iterator[str]:
    """Run what the pods of two Deployments would run, as processes of this machine; give the API's address."""
    processes = []
    port = free_port()
    try:
        for name, listen in ((api, port), (worker, free_port())):
            own = {
                "PATH": f"{PROGRAMS}:/usr/bin:/bin",
                "COLLEGIUM_HOST": "127.0.0.1",
                "COLLEGIUM_PORT": str(listen),
                "COLLEGIUM_METRICS_PORT": str(free_port()),
                "COLLEGIUM_DATA_DIR": str(folder / name),
            }
            document = eventually(lambda name=name: deployment(release, name), what=name)
            log = folder / f"{name}.log"
            processes.append(run_container(release.cluster, document, log=log, overrides=own, cwd=folder))
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: is_ready(base), what="the API is ready", timeout=40)
        yield base
        assert [0, 0] == [end(process, timeout=30) for process in processes]
    finally:
        for process in processes:
            end(process, timeout=1)


def deployment(release: Release, name: str) -> Any:
    found = release.cluster.kubectl(
        "-n", release.namespace, "get", "deployment", name, "-o", "json", "--ignore-not-found"
    )
    return json.loads(found) if found else None


def is_ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except OSError:
        return False


def apply(tenants: Tenants, *names: str) -> None:
    """Apply examples as a newcomer does, and wait until they are ready."""
    for name in names:
        tenants.cluster.kubectl("-n", tenants.namespace, "apply", "-f", EXAMPLES / f"{name}.yaml")
    wait = ("wait", "--for=condition=Ready", "--timeout=60s", *(f"tenant/{name}" for name in names))
    tenants.cluster.kubectl("-n", tenants.namespace, *wait, timeout=70)


@pytest.fixture(scope="module")
def base(
    operator: OperatorProcess, release: Release, tenants: Tenants, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the API that all tenants share, with both examples applied."""
    apply(tenants, "acme", "globex")
    with running(release, tmp_path_factory.mktemp("shared"), "collegium-api", "collegium-worker-index") as base:
        yield base


def test_a_statement_travels(base: str, tenants: Tenants) -> None:
    """Stored under one tenant it is read by id at once and found in the list; the other tenant sees nothing of it."""
    table = tenants.cluster.kubectl("-n", tenants.namespace, "get", "tenants")
    print(table)
    rows = [line.split() for line in table.splitlines()]
    assert ["NAME", "SLUG", "STATE", "READY", "REASON", "API", "POLICY", "AGE"] == rows[0]
    expected = [[name, parse_name(name).slug, "Active", "True", "Ready", "1", "Retain"] for name in ("acme", "globex")]
    assert expected == [row[:7] for row in rows[1:]]

    sent = statement()
    assert (200, [sent["id"]]) == acme(base).ask("POST", "/statements", sent)
    status, found = acme(base).ask("GET", f"/statements?statementId={sent['id']}")
    assert (200, sent["actor"]["mbox"]) == (status, found["actor"]["mbox"])
    eventually(lambda: acme(base).lists(sent["id"]), what="it is in the list", timeout=20)
    assert 404 == globex(base).ask("GET", f"/statements?statementId={sent['id']}")[0]
    assert 200 == globex(base).ask("GET", "/statements")[0]
    assert not globex(base).lists(sent["id"])
    assert 401 == Client(globex(base).base, "acme-lms", "orchard-lantern-52").ask("GET", "/statements")[0]


def test_a_state_counts_within_seconds(base: str, tenants: Tenants) -> None:
    """``ReadOnly`` refuses writes and answers reads, ``Suspended`` refuses both, ``Active`` takes all again."""

    def answers(state: str) -> tuple[int, int]:
        document = {"spec": {"state": state}}
        patch = ["patch", "tenant", "globex", "--type=merge", "-p", json.dumps(document)]
        tenants.cluster.kubectl("-n", tenants.namespace, *patch)
        return {"ReadOnly": (403, 200), "Suspended": (403, 403), "Active": (200, 200)}[state]

    for state in ("ReadOnly", "Suspended", "Active"):
        expected = answers(state)
        eventually(
            lambda expected=expected: (
                expected
                == (globex(base).ask("POST", "/statements", statement())[0], globex(base).ask("GET", "/statements")[0])
            ),
            what=state,
            timeout=10,
        )


def test_a_deleted_tenant_is_taken_up_again(base: str, tenants: Tenants) -> None:
    """Deleting it closes the door and keeps the data (``Retain``); the same manifest gives them back."""
    sent = statement()
    assert 200 == acme(base).ask("POST", "/statements", sent)[0]
    tenants.delete("acme")
    eventually(lambda: acme(base).ask("GET", "/statements")[0] == 401, what="the door is closed", timeout=10)
    apply(tenants, "acme")
    eventually(lambda: acme(base).lists(sent["id"]), what="it is in the list again", timeout=20)


def test_dedicated_pods_serve_their_tenant_alone(base: str, release: Release, tenants: Tenants, tmp_path: Path) -> None:
    """What the Deployments of a dedicated tenant run indexes and answers that tenant; another one is unknown there."""
    document = {"spec": {"api": {"mode": "Dedicated"}, "workers": {"mode": "Dedicated"}}}
    patch = ["patch", "tenant", "globex", "--type=merge", "-p", json.dumps(document)]
    tenants.cluster.kubectl("-n", tenants.namespace, *patch)
    slug = parse_name("globex").slug
    with running(release, tmp_path, f"collegium-api-{slug}", f"collegium-worker-index-{slug}") as own:
        sent = statement()
        assert 200 == globex(own).ask("POST", "/statements", sent)[0]
        eventually(lambda: globex(own).lists(sent["id"]), what="it is in the list", timeout=20)
        assert globex(base).lists(sent["id"])
        assert 200 == acme(base).ask("GET", "/statements")[0]
        assert 401 == acme(own).ask("GET", "/statements")[0]
        assert 401 == acme(own).ask("POST", "/statements", statement())[0]
