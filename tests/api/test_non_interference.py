"""What one tenant is answered does not depend on what another one does."""

from __future__ import annotations

import os
from typing import Any

import pytest

from collegium_testing.client import Client
from collegium_testing.interference import Operation, Script, check_non_interference, normalise

BASE = {
    "actor": {"mbox": "mailto:learner@example.org"},
    "object": {"id": "http://example.org/lesson/1"},
}
VERBS = ("http://example.org/began", "http://example.org/ended")


def observed(client: Any, answer: Any) -> tuple[int, str]:
    return answer.status, normalise(answer.body, client.tenant.name)


def drawn(script: Script, statement_id: str) -> dict[str, Any]:
    return {**BASE, "id": statement_id, "verb": {"id": script.random.choice(VERBS)}}


async def post_new(script: Script, client: Any) -> object:
    batch = [drawn(script, script.new_id()) for _ in range(script.random.randint(1, 4))]
    return observed(client, await client.post(batch))


async def post_known(script: Script, client: Any) -> object:
    return observed(client, await client.post(drawn(script, script.known_id())))


async def get_known(script: Script, client: Any) -> object:
    return observed(client, await client.get(f"/statements?statementId={script.known_id()}"))


async def list_all(script: Script, client: Any) -> object:
    verb = script.random.choice(("", f"&verb={VERBS[0]}"))
    return observed(client, await client.get(f"/statements?limit={script.random.randint(1, 5)}{verb}"))


async def walk_pages(script: Script, client: Any) -> object:
    return [s["id"] for s in await client.every(f"/statements?limit={script.random.randint(1, 5)}")]


async def put_known(script: Script, client: Any) -> object:
    statement_id = script.known_id()
    answer = await client.send("PUT", f"/statements?statementId={statement_id}", body=drawn(script, statement_id))
    return observed(client, answer)


STATEMENTS: list[Operation] = [post_new, post_new, post_known, get_known, list_all, walk_pages, put_known]


@pytest.mark.parametrize("seed", [int(os.environ.get("COLLEGIUM_SEED", "1")), 2, 3])
async def test_statements(http: Any, stack: Any, seed: int) -> None:
    """Ids, conflicts, lists and pages of one tenant are its own, whatever a neighbour with the same ids does."""

    async def client() -> Any:
        return Client(http, stack, await stack.make_tenant())

    async def settle(client: Any) -> None:
        await stack.settle(client.tenant)

    await check_non_interference(seed=seed, steps=25, operations=STATEMENTS, client=client, settle=settle)
