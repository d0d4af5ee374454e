"""What has to hold when all is quiet again, whatever happened before."""

from __future__ import annotations

from collegium_testing.load import Seen, Watcher, Writers, every
from collegium_testing.stack import Stack, Tenant

__all__ = ["judge"]


async def judge(
    stack: Stack, tenant: Tenant, writers: Writers, watcher: Watcher, *, seconds: float = 120
) -> list[Seen]:
    """Return the tenant's whole list once everything is indexed, having compared it with what clients were told.

    What was acknowledged is there, nothing is there twice, no page that was read meanwhile lied, nobody got an answer
    that no client may get, and no statement ended in the dead letters.

    :param seconds: how long indexing may take.
    :raises AssertionError: one of these does not hold.
    """
    await stack.settle(tenant, seconds=seconds)
    found = await every(stack.url(tenant), tenant.authorization)
    ids = [statement_id for _, statement_id in found]
    print(
        f"{len(writers.acknowledged)} acknowledged of {len(ids)} stored; answers {dict(writers.answers)}, "
        f"{writers.broken} without, slowest 200 {writers.slowest:.2f} s; lists {dict(watcher.answers)}"
    )
    assert writers.acknowledged
    assert writers.acknowledged <= set(ids), "what was acknowledged is missing"
    assert len(ids) == len(set(ids)), "a statement is there twice"
    assert [] == writers.wrong + watcher.wrong
    assert watcher.check(found)
    assert 0 == (await stack.backlog(tenant)).dead
    return found
