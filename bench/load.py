"""A bounded load from a process of its own: statements with client-chosen ids over keep-alive connections, on loopback.

``python load.py``: reads its task as JSON on standard input, prints one JSON object with what it saw.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
import uuid
from itertools import islice
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def bodies(source: str, count: int) -> list[bytes]:
    """Return *count* statements without ids, each a JSON object as bytes without its closing brace."""
    if source:
        opener = gzip.open if source.endswith(".gz") else open
        with opener(source, "rb") as lines:
            found = [json.loads(line) for _, line in zip(range(count), lines, strict=False)]
    else:
        from collegium_workers.transfer.generator import generate  # noqa: PLC0415 - only without a file

        found = [json.loads(line) for line in islice(generate(1), count)]
    for statement in found:
        statement.pop("id", None)
    return [json.dumps(statement, separators=(",", ":")).encode()[:-1] for statement in found]


def with_id(body: bytes) -> bytes:
    """Return the statement with a fresh id of the client's choice."""
    return body + b',"id":"' + str(uuid.uuid4()).encode() + b'"}'


async def connection(task: dict[str, Any], requests: list[bytes], seen: dict[str, Any]) -> None:
    """Send *requests* one after the other over one connection."""
    reader, writer = await asyncio.open_connection(task["host"], task["port"])
    try:
        for request in requests:
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = head.lower().index(b"content-length: ") + 16
            await reader.readexactly(int(head[length : head.index(b"\r\n", length)]))
            seen["milliseconds"].append((time.perf_counter() - started) * 1000)
            seen["statuses"][status] = seen["statuses"].get(status, 0) + 1
    finally:
        writer.close()


async def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task; return counts, seconds and latencies in milliseconds."""
    if task["host"] not in LOOPBACK:
        raise SystemExit("load goes to loopback only")
    batch, total = task["batch"], task["requests"]
    pool = bodies(task.get("source", ""), 2000)
    head = (
        f"POST {task['path']} HTTP/1.1\r\nHost: bench\r\nAuthorization: {task.get('authorization', '')}\r\n"
        "X-Experience-API-Version: 1.0.3\r\nContent-Type: application/json\r\nContent-Length: "
    ).encode()
    requests = []
    for index in range(total):
        statements = [with_id(pool[(index * batch + i) % len(pool)]) for i in range(batch)]
        body = statements[0] if batch == 1 else b"[" + b",".join(statements) + b"]"
        requests.append(head + str(len(body)).encode() + b"\r\n\r\n" + body)
    seen: dict[str, Any] = {"milliseconds": [], "statuses": {}}
    lanes = task["connections"]
    started = time.perf_counter()
    async with asyncio.timeout(task.get("seconds", 120)):
        await asyncio.gather(*(connection(task, requests[lane::lanes], seen) for lane in range(lanes)))
    seconds = time.perf_counter() - started
    times = sorted(seen["milliseconds"])
    return {
        "statuses": seen["statuses"],
        "seconds": seconds,
        "requests": total,
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.stdin.read())))))
