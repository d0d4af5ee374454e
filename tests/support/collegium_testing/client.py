"""A client that speaks xAPI to one tenant of a :class:`collegium_testing.stack.Stack`."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp

from collegium_testing.stack import Stack, Tenant

__all__ = ["Answer", "Client"]


class Answer:
    """A response that has been read."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)


class Client:
    """Speaks xAPI to one tenant through any replica."""

    def __init__(self, http: aiohttp.ClientSession, stack: Stack, tenant: Tenant) -> None:
        self.http = http
        self.stack = stack
        self.tenant = tenant

    async def send(
        self,
        method: str,
        path: str = "/statements",
        *,
        replica: int = 0,
        body: Any = None,
        version: str | None = "1.0.3",
        headers: dict[str, str] | None = None,
        authorization: str | None = "",
        base: str | None = None,
    ) -> Answer:
        """Send one request; *body* is bytes as they are, or anything that becomes JSON."""
        every = {"Content-Type": "application/json"} if body is not None else {}
        if version is not None:
            every["X-Experience-API-Version"] = version
        if authorization is not None:
            every["Authorization"] = authorization or self.tenant.authorization
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        data = None if content is None else io.BytesIO(content)
        url = (self.stack.url(self.tenant, replica=replica) if base is None else base) + path
        async with self.http.request(method, url, data=data, headers={**every, **(headers or {})}) as response:
            return Answer(response, await response.read())

    async def post(self, body: Any, **more: Any) -> Answer:
        """POST statements."""
        return await self.send("POST", body=body, **more)

    async def get(self, path: str = "/statements", **more: Any) -> Answer:
        """GET a resource."""
        return await self.send("GET", path, **more)

    async def every(self, path: str = "/statements", **more: Any) -> list[Any]:
        """Return all statements of a list, page by page."""
        found: list[Any] = []
        page = (await self.get(path, **more)).json()
        while True:
            found += page["statements"]
            if not page["more"]:
                return found
            root = f"http://127.0.0.1:{self.stack.ports[0]}"
            page = (await self.get(page["more"], base=root)).json()
