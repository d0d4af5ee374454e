"""The metrics port: a small HTTP server, and the sum of what several processes expose.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4).
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from prometheus_client import generate_latest

from collegium_core.telemetry.metrics import REGISTRY, greatest

__all__ = ["CONTENT_TYPE", "Exposition", "keep_totals", "render", "serve", "sum_expositions"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 30.0
_LONGEST_REQUEST: Final = 16 * 1024
_TOTALS: Final = frozenset({"counter", "histogram", "summary"})

Render = Callable[[], "bytes | Awaitable[bytes]"]
Healthy = Callable[[], "bool | Awaitable[bool]"]

_log: Final = structlog.get_logger()


def render() -> bytes:
    """Return this process' metrics as exposition text."""
    return generate_latest(REGISTRY)


class Exposition:
    """A running metrics server; ``port`` is the one it really listens on."""

    def __init__(self, produce: Render, healthy: Healthy | None) -> None:
        self._produce = produce
        self._healthy = healthy
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen on *host* and *port*; 0 takes a free port.

        :raises OSError: the address cannot be used.
        """
        self._server = await asyncio.start_server(self._accept, host, port, limit=_LONGEST_REQUEST)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end what is under way; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def end(task: asyncio.Task[None]) -> None:
            self._connections.discard(task)
            writer.transport.abort()  # without effect where the answer went out whole

        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(_ANSWER_SECONDS):
                writer.write(await self._answer(head))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that is slow, gone or no HTTP client gets nothing; it is nobody's error

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        status, kind, body = await self._respond(method, path)
        fields = [
            f"HTTP/1.1 {status}",
            f"content-type: {kind}",
            f"content-length: {len(body)}",
            "connection: close",
            *(["allow: GET, HEAD"] if status.startswith("405") else []),
        ]
        return "\r\n".join(fields).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else body)

    async def _respond(self, method: str, path: str) -> tuple[str, str, bytes]:
        if path not in {"/metrics", "/healthz"}:
            return "404 Not Found", "text/plain", b"only /metrics and /healthz are here\n"
        if method not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", "text/plain", b"only GET and HEAD\n"
        try:
            if path == "/metrics":
                produced = self._produce()
                return "200 OK", CONTENT_TYPE, await produced if inspect.isawaitable(produced) else produced
            verdict = True if self._healthy is None else self._healthy()
            well = await verdict if inspect.isawaitable(verdict) else verdict
        except Exception:  # noqa: BLE001 - a fault in a collector must not end the server; it is logged with its trace
            _log.exception("metrics_request_failed", path=path)
            return "500 Internal Server Error", "text/plain", b"see the log\n"
        return ("200 OK", "text/plain", b"ok\n") if well else ("503 Service Unavailable", "text/plain", b"unwell\n")


async def serve(host: str, port: int, *, produce: Render = render, healthy: Healthy | None = None) -> Exposition:
    """Serve ``/metrics`` and ``/healthz`` on *host* and *port* until the result's ``close`` is awaited.

    *produce* gives the exposition text, by default this process' own; *healthy* decides between 200 and 503 on
    ``/healthz``. Both may be coroutine functions.

    :raises OSError: the address cannot be used.
    """
    exposition = Exposition(produce, healthy)
    await exposition.start(host, port)
    return exposition


class _Merged:
    """One metric of several expositions: its header lines, and a value for each line's text before the value."""

    __slots__ = ("headers", "kind", "values")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.kind = "untyped"
        self.values: dict[str, float] = {}


def sum_expositions(texts: Iterable[str]) -> str:
    """Return one exposition for the processes that wrote *texts*.

    Counters, histograms and gauges are added up; gauges whose declaration says so give their greatest value. The texts
    are those of :func:`render`: labels in one order, no time stamps.

    :raises ValueError: a line is no sample; the message holds the line.
    """
    metrics: dict[str, _Merged] = {}
    for text in texts:
        _merge(text, metrics)
    lines: list[str] = []
    for metric in metrics.values():
        lines += metric.headers.values()
        lines += (f"{key} {_number(value)}" for key, value in metric.values.items())
    return "\n".join(lines) + "\n" if lines else ""


def keep_totals(text: str) -> str:
    """Return of the exposition *text* what outlives its process: counters and histograms.

    Adding it for a process that has ended keeps the sums from falling, which Prometheus would take for a restart of
    every process.

    :raises ValueError: a line is no sample.
    """
    metrics: dict[str, _Merged] = {}
    _merge(text, metrics)
    lines: list[str] = []
    for metric in metrics.values():
        if metric.kind in _TOTALS:
            lines += metric.headers.values()
            lines += (f"{key} {_number(value)}" for key, value in metric.values.items())
    return "\n".join(lines) + "\n" if lines else ""


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def _merge(text: str, metrics: dict[str, _Merged]) -> None:
    current = _Merged()
    larger = False
    for line in text.split("\n"):
        if line.startswith(("# HELP ", "# TYPE ")):
            _, word, name, rest = (*line.split(" ", 3), "")[:4]
            current = metrics.setdefault(name, _Merged())
            current.headers.setdefault(word, line)
            if word == "TYPE":
                current.kind = rest
            larger = greatest(name)
        elif line and not line.startswith("#"):
            key, _, number = line.rpartition(" ")
            try:
                value = float(number)
            except ValueError:
                raise ValueError(f"not a sample of an exposition: {line!r}") from None
            if not key:
                raise ValueError(f"not a sample of an exposition: {line!r}")
            known = current.values.get(key)
            if known is None:
                current.values[key] = value
            else:
                current.values[key] = max(known, value) if larger else known + value
