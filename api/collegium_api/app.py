"""What is mounted where: the hot path in front, everything else in Litestar behind it."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.types import ASGIApp, ControllerRouterHandler

from collegium_api.census import ROUTES
from collegium_api.context import Doorkeeper
from collegium_api.cors import Cors
from collegium_api.counting import count_request
from collegium_api.health import healthz, ping, readyz
from collegium_api.lrs.statements import Location, StatementsResource
from collegium_api.problems import encode_problem
from collegium_core.errors import Problem
from collegium_core.security.authenticator import Authenticator
from collegium_core.settings import Settings
from collegium_core.tenancy.names import DEFAULT_TENANT
from collegium_core.tenancy.platform import Platform

__all__ = ["HANDLERS", "Application", "locate_statements"]

_XAPI: Final = ("xAPI", "TCAPI")

_COUNTED: Final = frozenset(route.path for route in ROUTES if not route.scope)

HANDLERS: Final[list[ControllerRouterHandler]] = [healthz, ping, readyz]
"""What Litestar serves."""

_log = structlog.get_logger(__name__)


def locate_statements(path: str) -> str | None:
    """Return the tenant that a path to the statements resource names, or ``None`` when it is no such path.

    ``/{tenant}/xAPI/statements``, ``/xAPI/{tenant}/statements``, ``/TCAPI/{tenant}/statements``, and for the default
    tenant ``/xAPI/statements``; a trailing slash is accepted.
    """
    match path.rstrip("/").split("/"):
        case ["", tenant, "xAPI", "statements"] if tenant and tenant not in _XAPI:
            return tenant
        case ["", "xAPI" | "TCAPI", tenant, "statements"] if tenant:
            return tenant
        case ["", "xAPI", "statements"]:
            return DEFAULT_TENANT
    return None


def _on_problem(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    return Response(
        encode_problem(problem, request.scope["path"]),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type="application/problem+json",
    )


class _HTTPProblem(Problem):
    """An HTTP error that Litestar found (no such route, wrong method)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status  # type: ignore[misc]  # one class for every status of the framework
        self.title = detail  # type: ignore[misc]  # same
        self.code = detail.lower().replace(" ", "-")  # type: ignore[misc]  # same


def _on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    # The framework's own text may quote the request; the status says enough.
    titles = {404: "Not found", 405: "Method not allowed"}
    problem = _HTTPProblem(error.status_code, titles.get(error.status_code, "Bad request"))
    response = _on_problem(request, problem)
    response.headers.update({k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"})
    return response


def _on_failure(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("request_failed", route=request.scope["path"], exc_info=error)
    return _on_problem(request, Problem("the server failed; the fault is logged"))


class Application:
    """The ASGI application of one API process."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self._root_path = settings.root_path.rstrip("/")
        self._cors = Cors(settings.cors_allow_origins)
        self._authenticator = Authenticator(settings)
        self._statements = StatementsResource(Doorkeeper(platform, self._authenticator), settings)
        self._litestar: ASGIApp = Litestar(
            route_handlers=HANDLERS,
            openapi_config=OpenAPIConfig(title="Collegium", version="1", path="/schema"),
            exception_handlers={Problem: _on_problem, HTTPException: _on_http_error, Exception: _on_failure},
            logging_config=None,
            debug=False,
        )
        self._litestar.state.platform = platform

    async def close(self) -> None:
        """End what requests left under way."""
        await self._authenticator.close()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one connection. The root path may be there or stripped by a proxy; links begin with it in any case."""
        if scope["type"] != "http":
            await self._litestar(scope, receive, send)  # type: ignore[arg-type]  # the same protocol, typed narrower
            return
        if (origin := self._cors.origin_of(scope)) is not None:
            if self._cors.is_preflight(scope):
                await self._cors.answer_preflight(send, origin)
                return
            send = self._cors.marking(send, origin)
        path: str = scope["path"]
        if self._root_path and path.startswith(self._root_path + "/"):
            path = path[len(self._root_path) :]
        # An encoded slash is part of a name, not a way to another resource.
        tenant = None if b"%2f" in scope["raw_path"].lower() else locate_statements(path)
        if tenant is not None:
            await self._statements(scope, receive, send, Location(tenant, self._root_path + path.rstrip("/")))
            return
        await self._other({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    async def _other(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer through Litestar, and count it."""
        started, status = time.perf_counter(), 500

        async def counted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._litestar(scope, receive, counted)  # type: ignore[arg-type]  # the same protocol, typed narrower
        route = scope["path"] if scope["path"] in _COUNTED else "other"
        count_request(route, scope["method"], status, started)
