"""SQLite files under several processes, and under ``kill -9`` of the one that writes."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

from collegium_core.errors import PreconditionFailed
from collegium_core.lrs.query import StatementQuery
from collegium_core.storage.ports import DocumentKey
from collegium_core.storage.sqlite import SqliteBackend
from collegium_core.tenancy.record import Placement
from collegium_testing.processes import kill, spawn
from collegium_testing.statements import START, statement_id, statements

WRITER = Path(__file__).with_name("crash_writer.py")
SUPPORT = Path(__file__).parents[2] / "support"
WRITE = 100
SLUG = "t-crash"
FAR = START + 10**9


def start_writer(folder: Path, first: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return spawn(
        [sys.executable, WRITER, str(folder), SLUG, str(first)],
        log=folder / "writer.log",
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )


async def test_killed_writer_leaves_whole_writes(tmp_path: Path):
    """After ``kill -9`` at any moment every acknowledged write is whole, the one in hand is whole or absent."""
    source = random.Random(20)
    backend = SqliteBackend(tmp_path)
    store = backend.statements(SLUG, Placement.DEDICATED)
    first = 0
    for _ in range(8):
        writer = start_writer(tmp_path, first)
        assert writer.stdout is not None
        acknowledged = -1
        for _ in range(source.randrange(1, 12)):
            acknowledged = int(await asyncio.to_thread(writer.stdout.readline))
        await asyncio.sleep(source.random() * 0.02)
        writer.kill()
        # What was acknowledged while this process slept is in the pipe.
        rest = (await asyncio.to_thread(writer.stdout.read)).split(b"\n")[:-1]
        acknowledged = int(rest[-1]) if rest else acknowledged
        kill(writer)

        ids = [statement_id(number) for number in range((acknowledged + 2) * WRITE)]
        stored = await store.existing(ids)
        assert frozenset(ids[: (acknowledged + 1) * WRITE]) <= stored
        in_hand = frozenset(ids[(acknowledged + 1) * WRITE :])
        assert in_hand & stored in (frozenset(), in_hand)
        assert await store.count() == len(stored)
        assert len(await store.find(StatementQuery(), through=FAR, after=None, limit=10**6)) == len(stored)
        assert len(stored) == len(await store.find(every(), through=FAR, after=None, limit=10**6))
        first = acknowledged + 1
    await backend.close()


def every() -> StatementQuery:
    """Return a query that every test statement matches through the index of keys."""
    return StatementQuery(agent="account|http://example.org|lms", related_agents=True)


async def test_reader_sees_what_another_process_writes(tmp_path: Path):
    """A process that only reads finds each write as soon as the writing process has its acknowledgement."""
    backend = SqliteBackend(tmp_path)
    store = backend.statements(SLUG, Placement.DEDICATED)
    writer = start_writer(tmp_path, 0)
    assert writer.stdout is not None
    for _ in range(20):
        number = int(await asyncio.to_thread(writer.stdout.readline))
        assert await store.existing([statement_id(number * WRITE)])
        assert await store.count() >= (number + 1) * WRITE
    kill(writer)
    await backend.close()


async def test_two_processes_make_and_write_one_file(tmp_path: Path):
    """Writers of two processes start at the same moment on a folder that is not there; no write fails or is lost."""
    folder = tmp_path / "data"
    folder.mkdir()
    writers = [start_writer(folder, first) for first in (0, 1000)]
    last = []
    for writer in writers:
        assert writer.stdout is not None
        numbers = [int((await asyncio.to_thread(writer.stdout.readline)) or -1) for _ in range(10)]
        last.append(numbers[-1])
    for writer in writers:
        kill(writer)
    assert [9, 1009] == last
    backend = SqliteBackend(folder)
    ids = [
        statement_id(write * WRITE + offset) for write in (*range(10), *range(1000, 1010)) for offset in range(WRITE)
    ]
    stored = await backend.statements(SLUG, Placement.DEDICATED).existing(ids)
    assert frozenset(ids) == stored
    await backend.close()


async def test_processes_compare_and_set_one_document(tmp_path: Path):
    """Two backends, as two processes have, add one to a document in turn: no update is lost."""
    backends = [SqliteBackend(tmp_path), SqliteBackend(tmp_path)]
    key = DocumentKey("state", "o", "counter")
    stores = [backend.documents(SLUG, Placement.DEDICATED) for backend in backends]
    await stores[0].put(key, b"0", "text/plain", expected=None)

    async def add_one(number: int) -> None:
        store = stores[number % 2]
        while True:
            found = await store.get(key)
            assert found is not None
            try:
                await store.put(key, b"%d" % (int(found.content) + 1), "text/plain", expected=found.etag)
            except PreconditionFailed:
                continue
            return

    await asyncio.gather(*map(add_one, range(20)))
    found = await stores[0].get(key)
    assert found is not None
    assert int(found.content) == 20
    for backend in backends:
        await backend.close()


async def test_drop_in_one_process_is_seen_in_the_other(tmp_path: Path):
    """After a drop the other process reads nothing and writes on, into the same file."""
    one, two = SqliteBackend(tmp_path), SqliteBackend(tmp_path)
    first, second = one.statements(SLUG, Placement.DEDICATED), two.statements(SLUG, Placement.DEDICATED)
    items = statements(300)
    await first.write(items[:200])
    assert await second.count() == 200
    await second.write(items[200:250])
    await first.drop()
    assert await second.count() == 0
    assert [] == await second.write(items[250:])
    assert frozenset(item.statement.id for item in items[250:]) == await first.existing(
        [item.statement.id for item in items]
    )
    await one.close()
    await two.close()
