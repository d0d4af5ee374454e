"""The lease: one holder at a time, renewals, loss, and giving it up."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from collegium_operator.kube import ApiError, Resource
from collegium_operator.lease import Leadership

DURATION = 0.3


class Leases:
    """An API server that knows Leases alone, with its optimistic locking; ``away`` makes it unreachable."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.away = False

    async def get(self, resource: Resource, namespace: str, name: str) -> Any:  # noqa: ARG002 - the client's signature
        """Return the lease."""
        self._reach()
        return copy.deepcopy(self.lease)

    async def create(self, resource: Resource, namespace: str, document: Any) -> Any:  # noqa: ARG002 - same
        """Make the lease where there is none."""
        self._reach()
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "is there")
        return self._store(document, 1)

    async def replace(self, resource: Resource, namespace: str, name: str, document: Any) -> Any:  # noqa: ARG002 - same
        """Change the lease that is as it was read."""
        self._reach()
        assert self.lease is not None
        if document["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "has changed")
        return self._store(document, int(self.lease["metadata"]["resourceVersion"]) + 1)

    def _store(self, document: Any, version: int) -> Any:
        self.lease = {**document, "metadata": {**document["metadata"], "resourceVersion": str(version)}}
        return copy.deepcopy(self.lease)

    def _reach(self) -> None:
        if self.away:
            raise ApiError(0, "Unreachable", "away")

    @property
    def holder(self) -> str:
        """Who holds the lease."""
        return self.lease["spec"]["holderIdentity"] if self.lease else ""


class Rival:
    """A competitor that counts how often it leads, and how many lead at once."""

    leading = 0

    def __init__(self, leases: Leases, name: str) -> None:
        self.leadership = Leadership(leases, "n", "lease", name, duration=DURATION)  # type: ignore[arg-type] # see Leases
        self.begun = 0
        self.task = asyncio.create_task(self.leadership.run(self.lead))

    async def lead(self) -> None:
        """Lead until cancelled."""
        self.begun += 1
        Rival.leading += 1
        assert 1 == Rival.leading
        try:
            await asyncio.Event().wait()
        finally:
            Rival.leading -= 1

    async def stop(self) -> None:
        """End it and wait."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition: Any, seconds: float = 3) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_one_leads_and_the_other_follows_at_once() -> None:
    """The second leads only when the first is stopped, and then without waiting for the lease to run out."""
    leases = Leases()
    first = Rival(leases, "first")
    await until(lambda: first.begun == 1)
    second = Rival(leases, "second")
    await asyncio.sleep(DURATION * 3)
    assert ("first", 0) == (leases.holder, second.begun)
    await first.stop()
    assert "" == leases.holder
    await until(lambda: second.begun == 1)
    assert "second" == leases.holder
    await second.stop()


async def test_a_silent_holder_is_replaced() -> None:
    """A holder that renews no more loses the lease after its duration, by the rival's own clock."""
    leases = Leases()
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 1, "renewTime": "2099-01-01T00:00:00.000000Z"}
    leases.lease = {"metadata": {"name": "lease", "resourceVersion": "7"}, "spec": spec}
    rival = Rival(leases, "alive")
    await asyncio.sleep(0.5)
    assert 0 == rival.begun
    await until(lambda: rival.begun == 1)
    assert leases.lease is not None
    assert 1 == leases.lease["spec"]["leaseTransitions"]
    await rival.stop()


async def test_without_the_api_server_it_stops_leading_before_the_lease_runs_out() -> None:
    """Who cannot renew stops in time for a rival, and leads again when the API server is back."""
    leases = Leases()
    rival = Rival(leases, "a")
    await until(lambda: rival.begun == 1)
    leases.away = True
    await until(lambda: not rival.leadership.held, seconds=DURATION * 1.2)
    leases.away = False
    await until(lambda: rival.begun == 2)
    await rival.stop()


async def test_what_the_work_raises_is_raised() -> None:
    """An error under the lease ends the competition with it, and gives the lease up."""
    leases = Leases()

    async def lead() -> None:
        raise ValueError("broken")

    leadership = Leadership(leases, "n", "lease", "a", duration=DURATION)  # type: ignore[arg-type] # see Leases
    with pytest.raises(ValueError, match="broken"):
        await leadership.run(lead)
    assert "" == leases.holder
