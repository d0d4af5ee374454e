"""OpenSearch away: every call says so quickly, and goes on by itself when it is back."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import OpenSearchBackend
from collegium_core.storage.ports import ANY, DocumentKey, IndexedStatement
from collegium_core.tenancy.record import Placement

KEY = DocumentKey(resource="state", owner="o", id="i")
ITEM = IndexedStatement(
    statement=StoredStatement(id="s" * 36, raw=b'{"actor":1}', stored=5, position=5, authority=b"{}"),
    keys=FilterKeys(verb="v:1"),
)
CALLS: dict[str, Callable[[OpenSearchBackend], Awaitable[object]]] = {
    "check": lambda backend: backend.check(),
    "adopt": lambda backend: backend.adopt("t-a", Placement.DEDICATED, "uid"),
    "prepare": lambda backend: backend.statements("t-a", Placement.DEDICATED).prepare(),
    "write": lambda backend: backend.statements("t-a", Placement.DEDICATED).write([ITEM]),
    "existing": lambda backend: backend.statements("t-a", Placement.DEDICATED).existing(["x"]),
    "get statement": lambda backend: backend.statements("t-a", Placement.DEDICATED).get(["x"]),
    "find": lambda backend: backend.statements("t-a", Placement.DEDICATED).find(
        StatementQuery(), through=9, after=None, limit=5
    ),
    "count": lambda backend: backend.statements("t-a", Placement.POOLED).count(),
    "drop": lambda backend: backend.statements("t-a", Placement.POOLED).drop(),
    "get": lambda backend: backend.documents("t-a", Placement.DEDICATED).get(KEY),
    "put": lambda backend: backend.documents("t-a", Placement.DEDICATED).put(KEY, b"", "text/plain", expected=ANY),
    "delete": lambda backend: backend.documents("t-a", Placement.DEDICATED).delete(KEY, expected=ANY),
    "ids": lambda backend: backend.documents("t-a", Placement.DEDICATED).ids("state", "o"),
}


class Gate:
    """A way to OpenSearch through a port of our own, which can be shut, or opened to silence."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._upstream = parts.hostname, parts.port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.silent = False

    @property
    def url(self) -> str:
        """Where a client finds it, with credentials that must not show anywhere."""
        return f"http://someone:hidden-word@127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Let connections through, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Refuse new connections and break those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if self.silent:
                await reader.read(-1)
                return
            far_reader, far_writer = await asyncio.open_connection(self._host, self._upstream)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_copy(reader, far_writer))
                    group.create_task(_copy(far_reader, writer))
            finally:
                far_writer.close()
        except (asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError


@pytest.fixture
async def gate(opensearch_url: str) -> AsyncIterator[Gate]:
    gate = Gate(opensearch_url)
    await gate.open()
    yield gate
    await gate.shut()


@pytest.fixture
async def backend(gate: Gate, opensearch_url: str) -> AsyncIterator[OpenSearchBackend]:
    prefix = "abs" + secrets.token_hex(4)
    backend = OpenSearchBackend(gate.url, prefix=prefix, timeout=5.0, connect_timeout=0.5)
    yield backend
    await backend.close()
    direct = OpenSearchBackend(opensearch_url)
    for path in ("t-a-statements", "t-a-documents"):
        await direct._client.call("DELETE", f"/{prefix}-{path}", accept={404})
    for kind in ("statements", "documents"):
        await direct._client.call("DELETE", f"/_index_template/{prefix}-{kind}", accept={404})
    await direct.close()


def assert_tells(error: BaseException) -> None:
    """What is said of the failure: when to come back, and neither address nor credentials."""
    assert isinstance(error, Unavailable)
    assert error.headers
    assert "hidden-word" not in error.detail
    assert "127.0.0.1" not in error.detail
    link: BaseException | None = error
    while link is not None:
        assert "hidden-word" not in f"{link!s} {link!r}"
        link = link.__cause__ or link.__context__


@pytest.mark.parametrize("name", CALLS)
async def test_away_from_the_start_every_call_says_so_at_once(
    gate: Gate,
    backend: OpenSearchBackend,
    name: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``Unavailable`` within the time of a connection, without address or credentials, in no log either."""
    await gate.shut()

    before = time.monotonic()
    with pytest.raises(Unavailable) as failure:
        await CALLS[name](backend)

    assert time.monotonic() - before < 2.0
    assert_tells(failure.value)
    assert "hidden-word" not in caplog.text + "".join(capsys.readouterr())


async def test_it_goes_on_by_itself_when_the_cluster_is_back(gate: Gate, backend: OpenSearchBackend) -> None:
    """Away at the start, there, away, there again: nothing needs to be made anew, and a repeated write is no error."""
    await gate.shut()
    with pytest.raises(Unavailable):
        await CALLS["write"](backend)

    await gate.open()
    assert [] == await CALLS["write"](backend)
    await gate.shut()
    with pytest.raises(Unavailable):
        await CALLS["find"](backend)

    await gate.open()
    assert [] == await CALLS["write"](backend)
    assert [ITEM.statement] == await CALLS["find"](backend)
    await backend.check()


async def test_a_cluster_that_does_not_answer_is_given_up(gate: Gate, backend: OpenSearchBackend) -> None:
    """A connection is made and nothing comes: the check gives up within two seconds, with the reason."""
    gate.silent = True

    before = time.monotonic()
    with pytest.raises(Unavailable) as failure:
        await backend.check()

    assert time.monotonic() - before < 3.0
    assert "the search store did not answer in time" == failure.value.detail
    assert_tells(failure.value)


async def test_a_look_up_before_an_append_is_given_up_soon(gate: Gate, backend: OpenSearchBackend) -> None:
    """Clients wait for it: two seconds, whatever the time of other requests."""
    statements = backend.statements("t-a", Placement.DEDICATED)
    await statements.write([ITEM])
    await gate.shut()
    gate.silent = True
    await gate.open()

    before = time.monotonic()
    with pytest.raises(Unavailable) as failure:
        await statements.existing([ITEM.statement.id])

    assert time.monotonic() - before < 3.0
    assert_tells(failure.value)


async def test_a_cancelled_call_leaves_the_connections_in_order(gate: Gate, backend: OpenSearchBackend) -> None:
    """Who waits may go away at any time; the next call works."""
    gate.silent = True
    task = asyncio.ensure_future(backend.check())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    gate.silent = False
    await backend.check()
