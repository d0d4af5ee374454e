"""The floor of a durable POST: a bare ASGI application that reads the body, decodes it and does one coalesced XADD.

No authentication, no validation, no claims, no metrics: what the server, the decoder and the log cost in any case.
``python floor.py PORT REDIS_URL``.
"""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import uvicorn

from collegium_core.lrs.statement import Statement
from collegium_core.streams.pipe import Pipe, parse_address

DECODER = msgspec.json.Decoder(Statement)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"8")]


def application(redis_url: str) -> Any:
    """Return the ASGI application."""
    pipe = Pipe(parse_address(redis_url))

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        DECODER.decode(body)
        await pipe.call("XADD", "floor", "*", "s", body)
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b'["done"]'})

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="warning",
    )
