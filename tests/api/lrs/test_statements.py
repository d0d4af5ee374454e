"""Statements over HTTP: what is accepted, kept, found, and refused."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections import Counter
from typing import Any

import msgspec
import pytest

from collegium_core.lrs.record import parse_stored
from collegium_core.tenancy.record import TenantState
from collegium_testing.stack import Stack

UNKNOWN = "00000000-0000-4000-8000-000000000000"


async def found_by_list(client: Any, statement_id: str, *, seconds: float = 5) -> float:
    """Return after how many seconds the list shows a statement."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if any(s["id"] == statement_id for s in (await client.get()).json()["statements"]):
            return time.monotonic() - started
        await asyncio.sleep(0.02)
    raise AssertionError(f"not in the list after {seconds} s")


async def test_post_then_get_on_the_other_replica_at_once(client: Any, statement: Any) -> None:
    """A statement is read by id right after the 200, through any replica, with all that the server adds."""
    sent = statement()
    posted = await client.post(sent, replica=0)
    assert (200, [sent["id"]]) == (posted.status, posted.json())
    got = await client.get(f"/statements?statementId={sent['id']}", replica=1)
    read = got.json()
    assert 200 == got.status
    assert sent == {key: read[key] for key in sent}
    assert read["stored"] == read["timestamp"]
    assert "1.0.0" == read["version"]
    assert {"objectType": "Agent", "account": {"homePage": "http://localhost", "name": "user"}} == read["authority"]
    assert "1.0.3" == got.headers["X-Experience-API-Version"]


async def test_bytes_are_kept(client: Any) -> None:
    """What was sent comes back byte for byte, whatever the spelling; the server's members follow."""
    statement_id = str(uuid.uuid4())
    sent = (
        b'{ "id":"' + statement_id.encode() + b'",\n "actor":{"mbox":"mailto:a\\u0040example.org"},'
        b'"verb":{"id":"http://example.org/v"},"object":{"id":"http://example.org/o"},'
        b'"result":{"score":{"raw":1e2,"max":1.0E+2},"extensions":{"http://e.org/x":[1.000,"\\u00e9",null,{"":{}}]}} }'
    )
    assert 200 == (await client.post(sent)).status
    read = (await client.get(f"/statements?statementId={statement_id}")).body
    assert read.startswith(sent[:-1])
    await found_by_list(client, statement_id)
    assert sent[:-1] in (await client.get()).body


async def test_a_list_is_newest_first_and_pages_through_more(client: Any, statement: Any) -> None:
    """All statements in stored order, each once, page by page; `ascending` turns it round."""
    batches = [[statement() for _ in range(7)] for _ in range(3)]
    for batch in batches:
        assert 200 == (await client.post(batch)).status
    sent = [s["id"] for batch in batches for s in batch]
    await found_by_list(client, sent[-1])
    down = await client.every("/statements?limit=4")
    assert sent[::-1] == [s["id"] for s in down]
    assert sent == [s["id"] for s in await client.every("/statements?limit=4&ascending=true")]
    stored = [s["stored"] for s in down]
    assert sorted(set(stored), reverse=True) == stored


async def test_found_in_the_list_within_a_second(client: Any, statement: Any) -> None:
    """A posted statement is in the list within a second: the middle one of twenty, as a machine may stumble."""
    seconds = []
    for _ in range(20):
        sent = statement()
        assert 200 == (await client.post(sent)).status
        seconds.append(await found_by_list(client, sent["id"]))
    assert statistics.median(seconds) < 1


class Listing(msgspec.Struct):
    """A list read to its end: the statements' ids and instants in its order, and the last page's header."""

    shown: list[tuple[str, int]]
    through: int


async def read_all(client: Any, replica: int) -> Listing:
    """Read all pages, oldest first; none shows what is later than its own header, and no header is before the last."""
    listing = Listing([], 0)
    path, base = "/statements?ascending=true&limit=7", client.stack.url(client.tenant, replica=replica)
    while path:
        answer = await client.get(path, base=base)
        page, through = answer.json(), parse_stored(answer.headers["X-Experience-API-Consistent-Through"])
        assert through >= listing.through
        shown = [(each["id"], parse_stored(each["stored"])) for each in page["statements"]]
        assert all(stored <= through for _, stored in shown)
        listing = Listing(listing.shown + shown, through)
        path, base = page["more"], f"http://127.0.0.1:{client.stack.ports[replica]}"
    return listing


async def test_the_list_is_complete_through_its_header(client: Any, statement: Any) -> None:
    """While others write: what was stored up to Consistent-Through is listed, once, in order; nothing later is."""
    ledger: dict[str, int] = {}

    async def write(replica: int) -> None:
        for _ in range(25):
            batch = [statement() for _ in range(3)]
            assert 200 == (await client.post(batch, replica=replica)).status
            for sent in batch:
                read = (await client.get(f"/statements?statementId={sent['id']}", replica=1 - replica)).json()
                ledger[sent["id"]] = parse_stored(read["stored"])

    listings: list[Listing] = []
    async with asyncio.TaskGroup() as tasks:
        writers = [tasks.create_task(write(replica)) for replica in (0, 1)]
        while not all(writer.done() for writer in writers):
            listings.append(await read_all(client, replica=len(listings) % 2))
    await client.stack.settle(client.tenant)
    listings.append(await read_all(client, replica=0))
    stored = sorted(ledger.items(), key=lambda entry: entry[1])
    assert stored == listings[-1].shown
    assert any(0 < len(listing.shown) < len(stored) for listing in listings), "nothing was read while others wrote"
    for listing in listings:
        assert [entry for entry in stored if entry[1] <= listing.through] == listing.shown


async def test_the_same_again_changes_nothing(client: Any, statement: Any) -> None:
    """A repeated POST is answered like the first one, and the list holds the statement once."""
    sent = statement()
    for replica in (0, 1, 0):
        assert (200, [sent["id"]]) == ((answer := await client.post(sent, replica=replica)).status, answer.json())
    await found_by_list(client, sent["id"])
    assert (200, [sent["id"]]) == ((again := await client.post(sent)).status, again.json())
    assert 1 == len(await client.every())


@pytest.mark.parametrize("indexed", [False, True])
async def test_the_same_id_with_other_content_is_a_conflict(client: Any, statement: Any, indexed: bool) -> None:
    """409 for the whole batch, and what is stored stays; before and after indexing."""
    sent, innocent = statement(), statement()
    await client.post(sent)
    if indexed:
        await found_by_list(client, sent["id"])
    answer = await client.post([innocent, {**sent, "verb": {"id": "http://example.org/other"}}])
    assert 409 == answer.status
    assert sent["id"] in answer.json()["detail"]
    assert sent["verb"] == (await client.get(f"/statements?statementId={sent['id']}")).json()["verb"]
    assert 404 == (await client.get(f"/statements?statementId={innocent['id']}")).status


async def test_known_statements_in_a_batch_do_not_hold_up_the_others(client: Any, statement: Any) -> None:
    """A batch of which some are stored already, with the same content, is accepted: the others are added."""
    old, new = [statement() for _ in range(3)], [statement() for _ in range(3)]
    await client.post(old)
    mixed = [old[0], new[0], old[1], new[1], new[2], old[2]]
    answer = await client.post(mixed, replica=1)
    assert [s["id"] for s in mixed] == answer.json()
    await found_by_list(client, new[2]["id"])
    assert {s["id"] for s in mixed} == {s["id"] for s in await client.every()}


async def test_ids_are_compared_without_regard_to_case(client: Any, statement: Any) -> None:
    """An upper-case id is the same id, and is answered in one form."""
    sent = statement()
    upper = {**sent, "id": sent["id"].upper()}
    assert [sent["id"]] == (await client.post(upper)).json()
    assert 200 == (await client.post(sent)).status
    assert sent["id"] == (await client.get(f"/statements?statementId={upper['id']}")).json()["id"]


async def test_twenty_writers_over_two_replicas(client: Any, statement: Any) -> None:
    """Twenty concurrent statements with one id and different content: one is stored, the others are told."""
    base = statement()
    answers = await asyncio.gather(
        *(client.post({**base, "result": {"response": str(i)}}, replica=i % 2) for i in range(20))
    )
    assert Counter({200: 1, 409: 19}) == Counter(answer.status for answer in answers)


async def test_a_batch_is_all_or_nothing(client: Any, statement: Any) -> None:
    """One bad statement refuses the batch, says where, and nothing of it is stored."""
    good = statement()
    answer = await client.post([good, statement(result={"score": {"scaled": 7}})])
    assert 400 == answer.status
    assert "application/problem+json" == answer.headers["Content-Type"]
    assert any("statements[1].result.score.scaled" in error["path"] for error in answer.json()["errors"])
    assert 404 == (await client.get(f"/statements?statementId={good['id']}")).status


async def test_put(client: Any, statement: Any) -> None:
    """PUT stores one statement under the id in the URL: 204, again 204, other content 409, other id 400."""
    sent = statement()
    del sent["id"]
    statement_id = str(uuid.uuid4())
    path = f"/statements?statementId={statement_id}"
    assert (204, b"") == ((answer := await client.send("PUT", path, body=sent)).status, answer.body)
    assert 204 == (await client.send("PUT", path, body={**sent, "id": statement_id}, replica=1)).status
    assert 409 == (await client.send("PUT", path, body={**sent, "verb": {"id": "http://e.org/x"}})).status
    assert 400 == (await client.send("PUT", path, body={**sent, "id": str(uuid.uuid4())})).status
    assert 400 == (await client.send("PUT", "/statements", body=sent)).status
    assert 400 == (await client.send("PUT", "/statements?statementId=7", body=sent)).status
    assert statement_id == (await client.get(path)).json()["id"]


async def test_head_is_get_without_a_body(client: Any, statement: Any) -> None:
    """HEAD answers what GET would, without the body."""
    sent = statement()
    await client.post(sent)
    path = f"/statements?statementId={sent['id']}"
    got, head = await client.get(path), await client.send("HEAD", path)
    assert (200, b"") == (head.status, head.body)
    assert got.headers["Content-Length"] == head.headers["Content-Length"]


async def test_the_other_tenant_sees_nothing(client: Any, stranger: Any, statement: Any) -> None:
    """Ids, lists and links of one tenant mean nothing in another, and the same id can live in both."""
    batch = [statement() for _ in range(3)]
    await client.post(batch)
    await found_by_list(client, batch[-1]["id"])
    assert 404 == (await stranger.get(f"/statements?statementId={batch[0]['id']}")).status
    assert [] == await stranger.every()
    assert 200 == (await stranger.post({**batch[0], "verb": {"id": "http://example.org/theirs"}})).status
    assert batch[0]["verb"] == (await client.get(f"/statements?statementId={batch[0]['id']}")).json()["verb"]
    more = (await client.get("/statements?limit=1")).json()["more"]
    token = more.split("more=")[1]
    refused, made_up = await stranger.get(f"/statements?more={token}"), await stranger.get("/statements?more=abc")
    assert (400, refused.json()["detail"]) == (made_up.status, made_up.json()["detail"])


@pytest.mark.parametrize("who", ["no tenant", "other tenant", "wrong secret", "no header"])
async def test_who_may_not_enter_learns_nothing(client: Any, stranger: Any, who: str) -> None:
    """An unknown tenant, another tenant's credential and a wrong secret get the same answer."""
    stack: Stack = client.stack
    base = f"http://127.0.0.1:{stack.ports[0]}/{client.tenant.name}/xAPI"
    authorization: str | None = {
        "no tenant": client.tenant.authorization,
        "other tenant": stranger.tenant.authorization.replace("Basic ", "Basic  "),
        "wrong secret": "Basic dXNlcjpja193cm9uZw==",
        "no header": None,
    }[who]
    if who == "no tenant":
        base = base.replace(client.tenant.name, "nobody-here")
    if who == "other tenant":  # the same user name and key are every test tenant's; another key is needed here
        authorization = (await stack.make_tenant(secret="ck_" + "Z" * 43)).authorization
    answer = await client.get(base=base, authorization=authorization)
    assert 401 == answer.status
    assert "Not authenticated" == answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


async def test_a_changed_credential_counts_within_two_seconds(client: Any) -> None:
    """A new secret works and the old one does not, on every replica, two seconds after the record changed."""
    stack: Stack = client.stack
    assert 200 == (await client.get()).status
    changed = await stack.make_tenant(client.tenant.name, secret="ck_" + "N" * 43)
    await asyncio.sleep(2)
    for replica in (0, 1):
        assert 401 == (await client.get(replica=replica)).status
        assert 200 == (await client.get(replica=replica, authorization=changed.authorization)).status


async def test_states_of_a_tenant(client: Any, statement: Any) -> None:
    """ReadOnly refuses writes with 403, Suspended everything."""
    stack: Stack = client.stack
    for state, get, post in ((TenantState.READ_ONLY, 200, 403), (TenantState.SUSPENDED, 403, 403)):
        tenant = await stack.make_tenant(state=state)
        client.tenant = tenant
        assert (get, post) == ((await client.get()).status, (await client.post(statement())).status)


async def test_a_credential_without_the_scope_is_told_which(client: Any, statement: Any) -> None:
    """403 names the scope."""
    client.tenant = await client.stack.make_tenant(scopes=("statements/read",))
    answer = await client.post(statement())
    assert 403 == answer.status
    assert "statements/write" in answer.json()["detail"]
    assert 200 == (await client.get()).status


@pytest.mark.parametrize("path", ["/{t}/xAPI", "/xAPI/{t}", "/TCAPI/{t}"])
async def test_every_spelling_of_the_endpoint(client: Any, statement: Any, path: str) -> None:
    """The tenant may stand before or after xAPI; a trailing slash is accepted."""
    base = f"http://127.0.0.1:{client.stack.ports[0]}" + path.format(t=client.tenant.name)
    sent = statement()
    assert 200 == (await client.post(sent, base=base)).status
    assert 200 == (await client.get(f"/statements/?statementId={sent['id']}", base=base)).status


async def test_names_that_are_one_tenant(client: Any, statement: Any) -> None:
    """A tenant's name is compared without regard to case."""
    base = client.stack.url(client.tenant).replace(client.tenant.name, client.tenant.name.upper())
    assert 200 == (await client.post(statement(), base=base)).status


@pytest.mark.parametrize(
    ("version", "status", "answered"),
    [
        ("1.0", 200, "1.0.3"),
        ("1.0.0", 200, "1.0.3"),
        ("2.0.0", 200, "2.0.0"),
        (None, 400, "0.95"),
        ("0.9", 400, "2.0.0"),
        ("banana", 400, "2.0.0"),
    ],
)
async def test_versions(client: Any, version: str | None, status: int, answered: str) -> None:
    """Each request says its version, each answer too."""
    answer = await client.get(version=version)
    assert (status, answered) == (answer.status, answer.headers["X-Experience-API-Version"])


@pytest.mark.parametrize(
    "query",
    [
        "statementId=7",
        "limit=-1",
        "limit=many",
        "StatementId=" + UNKNOWN,
        "unknown=1",
        "since=yesterday",
        "agent=notjson",
        "verb=noiri",
        f"statementId={UNKNOWN}&limit=1",
        f"statementId={UNKNOWN}&voidedStatementId={UNKNOWN}",
        "more=x",
        "limit=1&limit=2",
        "verb=%FF",
        "&".join(f"a{i}=1" for i in range(100)),
    ],
)
async def test_malformed_queries(client: Any, query: str) -> None:
    """A query that the standard does not know is a 400 with a reason, never an answer to another question."""
    answer = await client.get(f"/statements?{query}")
    assert 400 == answer.status
    assert answer.json()["detail"]


async def test_a_tampered_link_is_refused(client: Any, statement: Any) -> None:
    """A `more` link works as given, on every replica, and not otherwise."""
    await client.post([statement() for _ in range(3)])
    last = (await client.post(statement())).json()[0]
    await found_by_list(client, last)
    more = (await client.get("/statements?limit=1")).json()["more"]
    assert more.startswith(f"/{client.tenant.name}/xAPI/statements?more=")
    for replica in (0, 1):
        root = f"http://127.0.0.1:{client.stack.ports[replica]}"
        assert 200 == (await client.get(more, base=root)).status
        flipped = more[:-5] + ("A" if more[-5] != "A" else "B") + more[-4:]
        assert 400 == (await client.get(flipped, base=root)).status


async def test_other_methods(client: Any) -> None:
    """405 names the methods that there are."""
    answer = await client.send("DELETE")
    assert (405, "GET, HEAD, POST, PUT") == (answer.status, answer.headers["Allow"])
