"""The one ``/metrics`` of ``collegium up``: its children's counts, added up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from collegium_core.telemetry.exposition import keep_totals, sum_expositions
from collegium_workers.supervisor.probe import get
from collegium_workers.supervisor.processes import Child

__all__ = ["Summary"]

_TIMEOUT_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 5.0


class Summary:
    """Asks the children for their metrics and adds them up.

    What a child had counted when it was last asked outlives it, so that sums do not fall when it is restarted; what it
    counted between the last question and its end is lost.

    :param children: those that serve metrics, on ``COLLEGIUM_METRICS_PORT`` of their environment.
    """

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = tuple(children)
        self._last: dict[str, tuple[int, str]] = {}
        self._ended: dict[str, str] = {}

    async def produce(self) -> bytes:
        """Return the summed exposition."""
        await self._ask()
        texts = [*(text for _, text in self._last.values()), *self._ended.values()]
        return (await asyncio.to_thread(sum_expositions, texts)).encode()

    async def run(self) -> None:
        """Ask now and then for ever: nobody may have asked shortly before a child ends."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._ask()

    async def _ask(self) -> None:
        asked = [(child.spec.name, child.pid, child.environment) for child in self._children]
        answers = await asyncio.gather(*(_read(environment) for _, _, environment in asked))
        for (name, pid, _), answer in zip(asked, answers, strict=True):
            last = self._last.get(name)
            if last is not None and last[0] != pid:
                self._retire(name, last[1])
            if pid is not None and answer is not None:
                self._last[name] = (pid, answer)

    def _retire(self, name: str, text: str) -> None:
        del self._last[name]
        kept = keep_totals(text)
        before = self._ended.get(name)
        self._ended[name] = sum_expositions([before, kept]) if before else kept


async def _read(environment: Mapping[str, str]) -> str | None:
    port = int(environment.get("COLLEGIUM_METRICS_PORT", "0"))
    if not port:
        return None
    try:
        status, body = await get("127.0.0.1", port, "/metrics", timeout=_TIMEOUT_SECONDS)
    except OSError:
        return None
    text = body.decode("utf-8", "replace")
    return text if status == 200 and await asyncio.to_thread(_is_exposition, text) else None


def _is_exposition(text: str) -> bool:
    """Return whether *text* can be added up: another program may have taken the port of a child that has ended."""
    try:
        sum_expositions([text])
    except ValueError:
        return False
    return True
