"""The non-interference harness: what one tenant is answered must not depend on what another one does.

A seeded script of operations runs in a tenant of its own; then again in a fresh tenant, interleaved with the operations
of a neighbour that uses the same ids. Both runs must be answered alike: statuses, bodies, counts, places of pages. A
domain joins by adding its operations to the script that it passes in.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

__all__ = ["Operation", "Script", "check_non_interference", "normalise"]

Operation = Callable[["Script", Any], Awaitable[object]]
"""One step: draws from the script, asks the tenant's client, returns what was observed."""

_TIMES = re.compile(r'"(stored|timestamp)":"[^"]+"')
_TOKENS = re.compile(r"more=[A-Za-z0-9_.\-]+")


class Script:
    """The random choices of one run: equal seeds give equal choices, ids included."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids: list[str] = []

    def new_id(self) -> str:
        """Return a statement id, the same in every run of this seed."""
        made = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        self.ids.append(made)
        return made

    def known_id(self) -> str:
        """Return an id used before, or a new one."""
        return self.random.choice(self.ids) if self.ids else self.new_id()


def normalise(body: bytes, tenant: str) -> str:
    """Return *body* without what differs between any two runs: instants, tokens, the tenant's own name."""
    text = _TIMES.sub(r'"\1":"…"', body.decode())
    return _TOKENS.sub("more=…", text).replace(tenant, "{tenant}")


async def check_non_interference(
    *,
    seed: int,
    steps: int,
    operations: Sequence[Operation],
    client: Callable[[], Awaitable[Any]],
    settle: Callable[[Any], Awaitable[None]],
) -> None:
    """Run the script alone and beside a neighbour.

    :param client: makes a client of a fresh tenant.
    :param settle: returns when everything that a client's tenant accepted is searchable.
    :raises AssertionError: an answer differs; says at which step.
    """

    async def run(neighbour: Any | None) -> list[tuple[str, object]]:
        mine = await client()
        script, noise = Script(seed), Script(seed)
        disturbance = random.Random(seed + 1)
        seen: list[tuple[str, object]] = []
        for _ in range(steps):
            operation = script.random.choice(operations)
            if neighbour is not None:
                # The neighbour draws the same ids in the same order, and does something else with them.
                for _ in range(disturbance.randint(1, 2)):
                    await disturbance.choice(operations)(noise, neighbour)
                    await settle(neighbour)
            seen.append((operation.__name__, await operation(script, mine)))
            await settle(mine)
        return seen

    alone = await run(None)
    beside = await run(await client())
    for step, (expected, seen) in enumerate(zip(alone, beside, strict=True)):
        assert expected == seen, f"seed {seed}, step {step}: alone {expected}, beside a neighbour {seen}"
