"""Clients under which things may fail: they write and read without pause, remember every answer, and judge it later."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import aiohttp

__all__ = ["Seen", "Watcher", "Writers", "every", "headers_of", "make_statement"]

Seen = tuple[str, str]
"""A listed statement: its ``stored``, as the server writes it (in the order of time, compared as text), and its id."""

_PAUSE_SECONDS = 0.05


def headers_of(authorization: str) -> dict[str, str]:
    """Return the headers of a client of xAPI 1.0.3."""
    version = {"X-Experience-API-Version": "1.0.3"}
    return {"Authorization": authorization, **version, "Content-Type": "application/json"}


def make_statement(size: int = 0) -> dict[str, Any]:
    """Return a statement with a new id and about *size* bytes."""
    name = {"name": {"en": "x" * size}} if size else {}
    return {
        "id": str(uuid.uuid4()),
        "actor": {"mbox": "mailto:a@example.org"},
        "verb": {"id": "http://example.org/v"},
        "object": {"id": "http://example.org/o", **({"definition": name} if size else {})},
    }


class Writers:
    """Clients that post batches, send again what was not acknowledged, and remember what was.

    :param endpoints: asked before each request for the xAPI endpoints to choose from.
    :param authorization: the header of a user who may write.
    :param count: how many at a time.
    :param pause: seconds between two batches of one client.
    :param sizes: a batch has one of these numbers of statements.
    :param statement_bytes: about the size of a statement.
    """

    def __init__(
        self,
        endpoints: Callable[[], Sequence[str]],
        authorization: str,
        *,
        count: int = 6,
        pause: float = 0.0,
        sizes: Sequence[int] = (1, 1, 1, 5),
        statement_bytes: int = 0,
    ) -> None:
        self._endpoints = endpoints
        self._headers = headers_of(authorization)
        self._count = count
        self._pause = pause
        self._sizes = sizes
        self._bytes = statement_bytes
        self._stop = asyncio.Event()
        self.acknowledged: set[str] = set()
        """The ids of what was answered with 200."""
        self.answers: Counter[int] = Counter()
        """How often each status was the answer."""
        self.wrong: list[str] = []
        """Answers that no client may get: anything but 200, and 503 with ``Retry-After`` and a problem document."""
        self.broken = 0
        """Requests without an answer: refused, reset, timed out."""
        self.slowest = 0.0
        """Seconds that the slowest 200 took."""
        self.news = asyncio.Event()
        """Set with each acknowledgement; the reader clears it."""

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write while the block lasts; requests under way at its end are waited for."""
        self._stop.clear()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as http, asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._write(http))
            try:
                yield
            finally:
                self._stop.set()

    async def _write(self, http: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            batch = [make_statement(self._bytes) for _ in range(random.choice(self._sizes))]
            body = json.dumps(batch if len(batch) > 1 else batch[0]).encode()
            while not self._stop.is_set() and not await self._send(http, body):
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(self._pause)

    async def _send(self, http: aiohttp.ClientSession, body: bytes) -> bool:
        """Post *body*; return whether it is done with."""
        url = f"{random.choice(self._endpoints())}/statements"
        began = time.monotonic()
        try:
            async with http.post(url, data=body) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, OSError):
            self.broken += 1
            return False
        self.answers[answer.status] += 1
        if answer.status == 200:
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.acknowledged.update(json.loads(text))
            self.news.set()
            return True
        if not _is_clean_refusal(answer):
            self.wrong.append(f"{answer.status} {text[:300]}")
            return True
        return False


class Watcher:
    """Reads the newest page over and over, and in the end knows whether any of those pages lied.

    :param endpoints: the xAPI endpoints, asked in turn.
    :param limit: statements of a page.
    """

    def __init__(self, endpoints: Callable[[], Sequence[str]], authorization: str, *, limit: int = 200) -> None:
        self._endpoints = endpoints
        self._headers = headers_of(authorization)
        self._limit = limit
        self._samples: list[tuple[str, list[Seen]]] = []
        self.answers: Counter[int] = Counter()
        """How often each status was the answer."""
        self.wrong: list[str] = []
        """As :attr:`Writers.wrong`."""

    @contextlib.asynccontextmanager
    async def watching(self, *, pause: float = 0.2) -> AsyncIterator[None]:
        """Read while the block lasts, with *pause* seconds in between."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._watch(pause))
            try:
                yield
            finally:
                task.cancel()

    @property
    def through(self) -> str:
        """Up to when the page read last said that it is complete."""
        return self._samples[-1][0] if self._samples else ""

    async def _watch(self, pause: float) -> None:
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, headers=self._headers) as http:
            for number in itertools.count():
                endpoints = self._endpoints()
                url = f"{endpoints[number % len(endpoints)]}/statements?limit={self._limit}"
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    async with http.get(url) as answer:
                        await self._note(answer)
                await asyncio.sleep(pause)

    async def _note(self, answer: aiohttp.ClientResponse) -> None:
        body = await answer.text()
        self.answers[answer.status] += 1
        if answer.status == 200:
            through = answer.headers["X-Experience-API-Consistent-Through"]
            self._samples.append((through, _seen(json.loads(body)["statements"])))
        elif not _is_clean_refusal(answer):
            self.wrong.append(f"{answer.status} {body[:300]}")

    def check(self, final: Sequence[Seen]) -> int:
        """Compare every page with *final*, the whole list read when all was quiet; return how many there were.

        A page has to hold exactly what is stored up to its watermark, or the newest of it where that is more.

        :raises AssertionError: it does not: the watermark was beyond what could be searched, or something came twice.
        """
        newest = sorted(final, reverse=True)
        last = ""
        for through, page in self._samples:
            assert last <= through, f"the watermark went back from {last} to {through}"
            last = through
            held = [seen for seen in newest if seen[0] <= through][: self._limit]
            assert held == page, f"at {through} the list lacked {set(held) - set(page)}, had {set(page) - set(held)}"
        return len(self._samples)


def _seen(statements: Sequence[Mapping[str, Any]]) -> list[Seen]:
    return [(statement["stored"], statement["id"]) for statement in statements]


def _is_clean_refusal(answer: aiohttp.ClientResponse) -> bool:
    wait = answer.headers.get("Retry-After", "")
    return answer.status == 503 and wait.isdecimal() and answer.content_type == "application/problem+json"


async def every(endpoint: str, authorization: str) -> list[Seen]:
    """Return the whole list of the tenant at *endpoint*, oldest first, page by page.

    :raises aiohttp.ClientError: a page was no 200.
    """
    found: list[Seen] = []
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers_of(authorization), raise_for_status=True) as http:
        url = f"{endpoint}/statements?limit=500&ascending=true"
        while True:
            async with http.get(url) as answer:
                page = await answer.json()
            found += _seen(page["statements"])
            if not page["more"]:
                return found
            url = f"{answer.url.origin()}{page['more']}"
