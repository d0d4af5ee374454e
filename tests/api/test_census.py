"""The table of routes, held against the running application: every row is served, with the scope that it states."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from collegium_api.census import ROUTES, Route
from collegium_core.security.credentials import make_key
from collegium_core.security.scopes import KNOWN, permits
from collegium_core.tenancy.names import DEFAULT_TENANT, parse_name
from collegium_core.tenancy.platform import Platform
from collegium_testing.client import Answer, Client
from collegium_testing.stack import Stack

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
PATHS = sorted({route.path for route in ROUTES})
ROWS = [(route, method) for route in ROUTES for method in route.methods]


def name_of(row: Any) -> str:
    return row.path if isinstance(row, Route) else str(row)


async def call(client: Client, method: str, path: str, **more: Any) -> Answer:
    """Send a request as good as the resource wants it; the body is there where the method wants one."""
    statement = {
        "id": str(uuid.uuid4()),
        "actor": {"mbox": "mailto:learner@example.org"},
        "verb": {"id": "http://example.org/verb"},
        "object": {"id": "http://example.org/object"},
    }
    query = f"?statementId={statement['id']}" if method == "PUT" else ""
    base = f"http://127.0.0.1:{client.stack.ports[0]}{path.replace('{tenant}', client.tenant.name)}"
    body = statement if method in {"POST", "PUT"} else None
    return await client.send(method, query, base=base, body=body, **more)


@pytest.fixture
async def default_tenant(stack: Stack) -> AsyncIterator[None]:
    """Close the default tenant's door afterwards: other tests rely on nobody entering by it."""
    yield
    platform = await Platform.open(stack.settings)
    try:
        await platform.registry.remove(parse_name(DEFAULT_TENANT).slug)
    finally:
        await platform.close()


async def status_for(client: Client, route: Route, method: str, scopes: Iterable[str]) -> int:
    """Return what a credential with *scopes* alone is answered."""
    name = client.tenant.name if "{tenant}" in route.path else DEFAULT_TENANT
    tenant = await client.stack.make_tenant(name, scopes=tuple(scopes), secret=make_key())
    end = time.monotonic() + 2  # by then every replica knows the new credential
    while True:
        answer = await call(Client(client.http, client.stack, tenant), method, route.path)
        if answer.status != 401 or time.monotonic() > end:
            return answer.status
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("default_tenant")
@pytest.mark.parametrize(("route", "method"), ROWS, ids=name_of)
async def test_every_row_is_served_with_its_scope(client: Client, route: Route, method: str) -> None:
    """Who has the scope gets an answer, nobody else does; where none is stated nobody has to say who he is."""
    anonymous = (await call(client, method, route.path, authorization=None)).status
    if not route.scope:
        assert 200 == anonymous
        return
    assert 401 == anonymous
    assert await status_for(client, route, method, [route.scope]) in {200, 204}
    others = sorted(scope for scope in KNOWN if not permits([scope], route.scope))
    assert 403 == await status_for(client, route, method, others)


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_has_a_method_that_the_table_lacks(client: Client, path: str) -> None:
    """405, and ``Allow`` names the methods of the table."""
    stated = {method for route in ROUTES if route.path == path for method in route.methods}
    for method in sorted(METHODS - stated):
        answer = await call(client, method, path)
        assert (405, stated) == (answer.status, set(answer.headers["Allow"].split(", ")) - {"OPTIONS"}), method
