"""SQLite's own promises: lazy files, few handles, faults told in one sentence, pages found by seeks."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import msgspec
import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.storage.ports import ANY, DocumentKey
from collegium_core.storage.sqlite import SqliteBackend
from collegium_core.storage.sqlite.files import open_file
from collegium_core.storage.sqlite.pool import ConnectionPool
from collegium_core.storage.sqlite.schema import DOCUMENTS, STATEMENTS
from collegium_core.storage.sqlite.statements import _insert, _key
from collegium_core.storage.sqlite.terms import find_sql, terms_of
from collegium_core.storage.sqlite.writer import Writer
from collegium_core.tenancy.record import Placement
from collegium_testing.statements import START, indexed, place_of, statements

SLUG = "t-a"
FAR = START + 10**9
KEY = DocumentKey("state", "o", "d")


@pytest.fixture
async def backend(tmp_path: Path):
    backend = SqliteBackend(tmp_path / "data")
    yield backend
    await backend.close()


def open_handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def file_of(tmp_path: Path, name: str = STATEMENTS.file) -> Path:
    return tmp_path / "data" / "tenants" / SLUG / name


async def test_reading_makes_nothing(backend: SqliteBackend, tmp_path: Path):
    """Neither making ports nor reading or dropping through them leaves a trace on the disk."""
    store, documents = backend.statements(SLUG, Placement.DEDICATED), backend.documents(SLUG, Placement.POOLED)
    assert await store.count() == 0
    assert None is await documents.get(KEY)
    assert await documents.delete(KEY, expected=ANY) is False
    await store.drop()
    await documents.drop()
    assert [] == list(tmp_path.iterdir())


async def test_files_of_a_tenant(backend: SqliteBackend, tmp_path: Path):
    """Statements and documents have a file each, in the folder of the tenant's slug."""
    await backend.statements(SLUG, Placement.DEDICATED).prepare()
    await backend.documents(SLUG, Placement.DEDICATED).put(KEY, b"", "a/b", expected=None)
    assert {"statements.db", "documents.db"} == {path.name for path in file_of(tmp_path).parent.glob("*.db")}
    await backend.close()
    assert {"statements.db", "documents.db"} == {path.name for path in file_of(tmp_path).parent.iterdir()}


@pytest.mark.parametrize("slug", ["", ".", "..", "a/b", "/a", "A", "a b", "-a", "a" * 64, "é", "a\n"])
def test_only_slugs_become_folders(tmp_path: Path, slug: str):
    """What is not a slug is a fault of the caller, never a path."""
    backend = SqliteBackend(tmp_path)
    with pytest.raises(ValueError, match="slug"):
        backend.statements(slug, Placement.DEDICATED)


async def test_many_tenants_take_few_handles(backend: SqliteBackend):
    """Three hundred tenants written and read keep no more files open than the limits of the pools."""
    before = open_handles()
    for number in range(300):
        store = backend.statements(f"t-{number}", Placement.DEDICATED)
        await store.write([indexed(1)])
        assert await store.count() == 1
    # 48 readers and 8 writers: a file, a log and a shared index each, and a closed handle that SQLite keeps for later.
    assert open_handles() - before < 4 * 56 + 20


async def test_writes_that_wait_share_a_transaction(backend: SqliteBackend, tmp_path: Path):
    """A hundred writes at once take a few commits, not a hundred."""
    store = backend.statements(SLUG, Placement.DEDICATED)
    await store.prepare()
    connection = sqlite3.connect(file_of(tmp_path))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    commits = []

    async def write(number: int) -> None:
        await store.write([indexed(number)])
        commits.append(connection.execute("PRAGMA data_version").fetchone()[0])

    await asyncio.gather(*map(write, range(100)))
    connection.close()
    assert await store.count() == 100
    assert len(set(commits)) < 20


async def test_failing_change_takes_no_other_along(tmp_path: Path):
    """When one of the changes that share a transaction breaks, the others are stored; its caller alone is told."""
    writer = Writer(DOCUMENTS)
    path = tmp_path / "tenants" / SLUG / DOCUMENTS.file

    def put(name: str):
        sql = "INSERT INTO document (resource, owner, id, etag, updated, content_type, content) VALUES (?,?,?,?,?,?,?)"
        return lambda connection: connection.execute(sql, ("r", "o", name, "e", 1, "t", b"")) and name

    def broken(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise RuntimeError("broken")

    changes = [put("a"), broken, put("b"), put("a"), put("c")]
    outcomes = await asyncio.gather(*(writer.run(path, change) for change in changes), return_exceptions=True)
    assert ["a", RuntimeError, "b", Unavailable, "c"] == [
        type(outcome) if isinstance(outcome, Exception) else outcome for outcome in outcomes
    ]
    await asyncio.to_thread(writer.close)
    connection = sqlite3.connect(path)
    assert [("a",), ("b",), ("c",)] == connection.execute("SELECT id FROM document ORDER BY id").fetchall()
    connection.close()


async def test_log_is_written_back_when_the_file_rests(tmp_path: Path):
    """Some time after the last write the log is empty, so that idle tenants take no space twice."""
    writer = Writer(DOCUMENTS, quiet_seconds=0.05)
    path = tmp_path / "tenants" / SLUG / DOCUMENTS.file
    await writer.run(path, lambda connection: connection.execute("PRAGMA user_version").fetchone())
    log = path.with_name(path.name + "-wal")
    for _ in range(100):
        if log.stat().st_size == 0:
            break
        await asyncio.sleep(0.05)
    assert log.stat().st_size == 0
    await asyncio.to_thread(writer.close)


async def test_closed_backend_says_so(tmp_path: Path):
    """After ``close`` every call is refused; closing again does no harm."""
    backend = SqliteBackend(tmp_path)
    store = backend.statements(SLUG, Placement.DEDICATED)
    await store.write([indexed(1)])
    await backend.close()
    await backend.close()
    for call in (store.count(), store.write([indexed(2)])):
        with pytest.raises(Unavailable, match="closed"):
            await call


async def test_what_waits_is_written_before_closing(tmp_path: Path):
    """``close`` finishes the writes that were begun."""
    backend = SqliteBackend(tmp_path)
    store = backend.statements(SLUG, Placement.DEDICATED)
    writes = [asyncio.create_task(store.write([indexed(number)])) for number in range(50)]
    await asyncio.sleep(0)
    await backend.close()
    assert [[]] * 50 == await asyncio.gather(*writes)


async def test_folder_that_cannot_be_made(tmp_path: Path):
    """A data folder that is a file is told in a sentence, on writing and by ``check``; reading finds nothing."""
    (tmp_path / "data").write_text("not a folder")
    backend = SqliteBackend(tmp_path / "data")
    store = backend.statements(SLUG, Placement.DEDICATED)
    with pytest.raises(Unavailable, match=r"t-a/statements\.db cannot be used: ") as caught:
        await store.write([indexed(1)])
    assert str(tmp_path) not in caught.value.detail
    with pytest.raises(Unavailable, match="data folder cannot be written"):
        await backend.check()
    assert await store.count() == 0
    await backend.close()


async def test_usable_folder_passes_the_check(backend: SqliteBackend, tmp_path: Path):
    """``check`` returns and leaves nothing behind but the folder."""
    await backend.check()
    assert [] == list((tmp_path / "data" / "tenants").iterdir())


async def test_full_disk(backend: SqliteBackend, tmp_path: Path):
    """When the file cannot grow the write is refused in a sentence and undone; there is life after it."""
    store = backend.statements(SLUG, Placement.DEDICATED)
    await store.write(statements(10))
    # The limit of the one connection that writes stands for the disk's: the same code comes out of SQLite.
    with backend._statements[1]._pool.lend(file_of(tmp_path)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(Unavailable, match=r"t-a/statements\.db cannot grow: the disk is full"):
        await store.write(statements(500, first=10, size=2000))
    assert await store.count() == 10
    assert [] == await store.write(statements(500, first=10, size=2000))
    assert await store.count() == 510


@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [
        ("user_version = 99", r"t-a/statements\.db has version 99, this program knows versions up to 1"),
        ("application_id = 5", r"t-a/statements\.db is a database of another program"),
    ],
)
async def test_file_of_another_version_or_program(tmp_path: Path, pragma: str, sentence: str):
    """A file that this program does not know is left as it is, and the answer says why."""
    backend = SqliteBackend(tmp_path / "data")
    await backend.statements(SLUG, Placement.DEDICATED).write([indexed(1)])
    await backend.close()
    connection = sqlite3.connect(file_of(tmp_path))
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    backend = SqliteBackend(tmp_path / "data")
    store = backend.statements(SLUG, Placement.DEDICATED)
    for call in (store.count(), store.write([indexed(2)])):
        with pytest.raises(Unavailable, match=sentence):
            await call
    await backend.close()


@pytest.mark.parametrize("content", [b"x" * 9000, b"SQLite format 3\x00" + b"\xff" * 9000])
async def test_damaged_file(backend: SqliteBackend, tmp_path: Path, content: bytes):
    """A file that is no database is told as that, for reading and for writing, and is not overwritten."""
    file_of(tmp_path).parent.mkdir(parents=True)
    file_of(tmp_path).write_bytes(content)
    store = backend.statements(SLUG, Placement.DEDICATED)
    for call in (store.count(), store.write([indexed(2)])):
        with pytest.raises(Unavailable, match=r"t-a/statements\.db is .*restore it from a backup"):
            await call
    assert content == file_of(tmp_path).read_bytes()


async def test_foreign_database_is_left_alone(backend: SqliteBackend, tmp_path: Path):
    """A database that somebody put there is not turned into one of ours."""
    file_of(tmp_path).parent.mkdir(parents=True)
    connection = sqlite3.connect(file_of(tmp_path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(Unavailable, match="another program"):
        await backend.statements(SLUG, Placement.DEDICATED).write([indexed(1)])


async def test_replaced_file_is_noticed(backend: SqliteBackend, tmp_path: Path):
    """When the tenant's folder is taken away or restored, connections to the old file are not used any more."""
    store = backend.statements(SLUG, Placement.DEDICATED)
    await store.write(statements(5))
    assert await store.count() == 5
    shutil.rmtree(file_of(tmp_path).parent)
    assert await store.count() == 0
    assert [] == await store.write(statements(3))
    assert await store.count() == 3


async def test_statement_that_is_none_is_rejected_alone(backend: SqliteBackend):
    """An id that is no UUID can never be stored; the rest of the write is."""
    store = backend.statements(SLUG, Placement.DEDICATED)
    item = indexed(1)
    bad = msgspec.structs.replace(item, statement=msgspec.structs.replace(item.statement, id="no-uuid"))
    assert [("no-uuid", "the id is not a UUID")] == [(r.id, r.reason) for r in await store.write([bad, item])]
    assert frozenset({item.statement.id}) == await store.existing(["no-uuid", "", item.statement.id, "0" * 31 + "g"])


def test_connections_are_lent_to_one_at_a_time(tmp_path: Path):
    """Two that borrow at once get two connections; one on which something failed is not kept."""
    pool = ConnectionPool(DOCUMENTS, idle=4, cache_kib=100)
    path = tmp_path / "tenants" / SLUG / DOCUMENTS.file
    with pool.lend(path, create=True) as one, pool.lend(path) as two:
        assert one is not two
    with pool.lend(path) as again:
        assert again in (one, two)
    with pytest.raises(Unavailable), pool.lend(path) as broken:
        broken.execute("no SQL")
    with pool.lend(path) as after:
        assert after is not broken
    pool.close()
    with pytest.raises(sqlite3.ProgrammingError):
        after.execute("SELECT 1")


QUERIES = {
    "none": StatementQuery(),
    "verb": StatementQuery(verb="http://adlnet.gov/expapi/verbs/passed"),
    "agent": StatementQuery(agent="account|http://example.org|user-3"),
    "all": StatementQuery(
        agent="account|http://example.org|lms",
        related_agents=True,
        verb="http://adlnet.gov/expapi/verbs/passed",
        activity="http://example.org/recipe",
        related_activities=True,
        registration="00000000-0000-0000-0000-000000000003",
        since=START,
        until=FAR,
    ),
}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("ascending", [False, True])
def test_pages_are_found_by_seeks(tmp_path: Path, name: str, ascending: bool):
    """SQLite answers every page by a range of one tree and look-ups: no scan, no sort, whatever the depth."""
    connection = open_file(tmp_path / "tenants" / SLUG / STATEMENTS.file, STATEMENTS, create=True, cache_kib=8192)
    assert connection is not None
    query = msgspec.structs.replace(QUERIES[name], ascending=ascending)
    sql, parameters = find_sql(connection, query, through=FAR, after=Place(START + 9, START + 9), limit=10)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    connection.close()
    assert "(stored,tie)>(?,?) AND (stored,tie)<(?,?)" in plan[0]
    for step in plan:
        assert step.startswith(("SEARCH", "CORRELATED")), plan
        assert "TEMP" not in step


def steps(connection: sqlite3.Connection, query: StatementQuery, after: Place) -> int:
    """Return how many steps of its machine SQLite takes for one page."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    sql, parameters = find_sql(connection, query, through=FAR, after=after, limit=20)
    connection.set_progress_handler(count, 1)
    rows = connection.execute(sql, parameters).fetchall()
    connection.set_progress_handler(None, 1)
    assert len(rows) == 20
    return taken


def test_cost_of_a_page_does_not_depend_on_its_depth(tmp_path: Path):
    """The first page and the one 10,000 statements deep take the same work, with and without filters."""
    path = tmp_path / "tenants" / SLUG / STATEMENTS.file
    connection = open_file(path, STATEMENTS, create=True, cache_kib=8192)
    assert connection is not None
    items = statements(11_000)
    connection.execute("BEGIN")
    _insert(connection, {_key(item.statement.id): item for item in items})
    connection.execute("COMMIT")
    frequent = StatementQuery(agent="account|http://example.org|lms", related_agents=True)
    for query in (StatementQuery(), frequent, msgspec.structs.replace(frequent, verb=items[0].keys.verb)):
        first = steps(connection, query, place_of(items[-1].statement))
        deep = steps(connection, query, place_of(items[1000].statement))
        assert deep < first * 1.5
    connection.close()


def test_rare_filter_is_the_one_that_is_walked(tmp_path: Path):
    """A frequent and a rare filter together cost what the rare one costs, whichever of the two it is."""
    path = tmp_path / "tenants" / SLUG / STATEMENTS.file
    connection = open_file(path, STATEMENTS, create=True, cache_kib=8192)
    assert connection is not None
    rare_verb, rare_agent = "http://example.org/rare", "mbox|mailto:rare@example.org"
    items = []
    for number, item in enumerate(statements(4000)):
        keys = item.keys
        if number % 100 == 50:
            keys = msgspec.structs.replace(keys, verb=rare_verb)
        if number % 100 == 70:
            keys = msgspec.structs.replace(keys, related_agents=tuple(sorted({*keys.related_agents, rare_agent})))
        items.append(msgspec.structs.replace(item, keys=keys))
    connection.execute("BEGIN")
    _insert(connection, {_key(item.statement.id): item for item in items})
    connection.execute("COMMIT")
    place = place_of(items[-1].statement)
    lms, recipe = "account|http://example.org|lms", "http://example.org/recipe"
    both = (
        StatementQuery(agent=lms, related_agents=True, verb=rare_verb),
        StatementQuery(agent=rare_agent, related_agents=True, activity=recipe, related_activities=True),
    )
    for query in both:
        assert steps(connection, query, place) < 4000
    connection.close()


def test_terms_depend_on_the_file_and_the_kind(tmp_path: Path):
    """One text has another term in another file and as another kind of key; a lone surrogate has one too."""
    source = random.Random(3)
    keys = statements(1)[0].keys
    one, two = source.randbytes(16), source.randbytes(16)
    assert not set(terms_of(one, keys)) & set(terms_of(two, keys))
    assert len(set(terms_of(one, keys))) == 1 + sum(
        map(len, (keys.agents, keys.related_agents, keys.activities, keys.related_activities))
    ) + (keys.registration is not None)
    assert len(terms_of(one, msgspec.structs.replace(keys, verb="\ud800"))) == len(terms_of(one, keys))
