"""Is it alive, is it ready: the routes that probes and newcomers ask first."""

from __future__ import annotations

from typing import Any, Final

from litestar import HttpMethod, Response, route
from litestar.datastructures import State

from collegium_core.tenancy.platform import Platform

__all__ = ["healthz", "ping", "readyz"]

_METHODS: Final = [HttpMethod.GET, HttpMethod.HEAD]


@route("/healthz", http_method=_METHODS, sync_to_thread=False)
def healthz() -> dict[str, str]:
    """Answer that the process serves requests."""
    return {"status": "ok"}


@route("/ping", http_method=_METHODS, sync_to_thread=False)
def ping() -> dict[str, str]:
    """Answer as a ping is answered."""
    return {"ping": "pong"}


@route("/readyz", http_method=_METHODS)
async def readyz(state: State) -> Response[dict[str, Any]]:
    """Answer whether writes are accepted (200) or which dependency is missing (503).

    An absent store is told but does not make the process unready: writes go on without it.
    """
    platform: Platform = state.platform
    missing = await platform.check()
    degraded = await platform.check_store()
    body: dict[str, Any] = {"status": "unready" if missing else "ready", "missing": missing, "degraded": degraded}
    return Response(body, status_code=503 if missing else 200)
