"""Alive and ready, by work and not by the mere fact of answering: the routes that Kubernetes' probes ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

__all__ = ["Check", "serve"]

Check = Callable[[], str]
"""Returns what is wrong in one sentence, or an empty string."""


async def serve(host: str, port: int, *, alive: Mapping[str, Check], ready: Mapping[str, Check]) -> web.AppRunner:
    """Serve ``/healthz`` and ``/readyz`` on *host* and *port* until the result's ``cleanup`` is awaited.

    Each answers 200, or 503 with what is wrong by the name of the check.

    :raises OSError: the address cannot be used.
    """
    application = web.Application()
    application.router.add_get("/healthz", _route(alive))
    application.router.add_get("/readyz", _route(ready))
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _route(checks: Mapping[str, Check]) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        problems = {name: problem for name, check in checks.items() if (problem := check())}
        body: dict[str, Any] = {"status": "unwell" if problems else "ok", "problems": problems}
        return web.json_response(
            body=msgspec.json.encode(body), status=503 if problems else 200, content_type="application/json"
        )

    return answer
