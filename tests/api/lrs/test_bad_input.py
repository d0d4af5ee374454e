"""Whatever is sent: a clear error, never a 500, never a traceback, nothing stored, and the next request is served."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

VALID = b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"http://example.org/v"},"object":{"id":"http://example.org/o"}'

BAD = {
    "not JSON": b"{nonsense",
    "nothing": b"",
    "wrong UTF-8": VALID + b',"result":{"response":"\xff\xfe"}}',
    "deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep extension": VALID + b',"result":{"extensions":{"http://e.org/x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}",
    "NaN": VALID + b',"result":{"score":{"raw":NaN}}}',
    "infinite": VALID + b',"result":{"score":{"raw":1e999}}}',
    "a lone surrogate": VALID + b',"result":{"response":"\\ud800"}}',
    "a string": b'"statement"',
    "a number": b"7",
    "null": b"null",
    "a list of null": b"[null]",
    "a trailing comma": VALID + b",}",
    "two documents": VALID + b"}" + VALID + b"}",
    "an unknown member": VALID + b',"colour":"red"}',
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_bodies(client: Any, name: str) -> None:
    """Each is a 400 with a reason."""
    answer = await client.post(BAD[name])
    assert 400 == answer.status, answer.body
    document = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(document)
    assert "Traceback" not in answer.body.decode()


async def test_duplicate_ids_in_a_batch(client: Any, statement: Any) -> None:
    """400, naming both places."""
    twice = statement()
    answer = await client.post([twice, statement(), {**twice, "id": twice["id"].upper()}])
    assert 400 == answer.status
    assert any("statements[2].id" in error["path"] for error in answer.json()["errors"])


async def test_nothing_that_is_accepted_is_refused_later(client: Any) -> None:
    """Depth, long numbers and long keys within an extension are accepted and come back as they were."""
    odd = {
        "depth": b"[" * 200 + b"]" * 200,
        "digits": b"1" * 1200,
        "fraction": b"0." + b"1234567890" * 120,
        "key": b'{"http://e.org/' + b"k" * 60_000 + b'":1}',
        "exponent": b"1e-400",
    }
    sent = {}
    for value in odd.values():
        statement_id = str(uuid.uuid4())
        body = (
            VALID + b',"id":"' + statement_id.encode() + b'","result":{"extensions":{"http://e.org/x":' + value + b"}}}"
        )
        answer = await client.post(body)
        assert 200 == answer.status, answer.body
        sent[statement_id] = body
    for _ in range(100):
        shown = (await client.get()).body
        if all(statement_id.encode() in shown for statement_id in sent):
            break
        await asyncio.sleep(0.05)
    for statement_id, body in sent.items():
        assert body[:-1] in shown
        assert (await client.get(f"/statements?statementId={statement_id}")).body.startswith(body[:-1])


async def test_too_large_a_body(client: Any) -> None:
    """413 beyond MAX_BODY_BYTES, declared or chunked."""
    large = VALID + b',"result":{"response":"' + b"x" * 1_100_000 + b'"}}'
    assert 413 == (await client.post(large)).status

    async def chunks() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    headers = {
        "Authorization": client.tenant.authorization,
        "X-Experience-API-Version": "1.0.3",
        "Content-Type": "application/json",
    }
    url = client.stack.url(client.tenant) + "/statements"
    async with client.http.post(url, data=chunks(), headers=headers) as answer:
        assert 413 == answer.status


async def test_too_many_statements(client: Any, statement: Any) -> None:
    """413 beyond MAX_BATCH_STATEMENTS, whatever their size."""
    small = [{**statement(), "id": str(uuid.uuid4())} for _ in range(5001)]
    for item in small:
        item["verb"] = {"id": "http://e.org/v"}
    body = json.dumps(small, separators=(",", ":")).encode()
    answer = await client.post(body)
    assert 413 == answer.status


async def raw(client: Any, request: bytes, *, pause: bytes = b"", seconds: float = 10) -> bytes:
    """Send bytes as they are; return what came back until the server closed or *seconds* passed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.stack.ports[0])
    try:
        writer.write(request)
        await writer.drain()
        if pause:
            await asyncio.sleep(0.3)
            writer.write(pause)
        async with asyncio.timeout(seconds):
            return await reader.read(65_536)
    finally:
        writer.close()


def head(client: Any, *more: str) -> bytes:
    """Return the head of a POST."""
    lines = [
        f"POST /{client.tenant.name}/xAPI/statements HTTP/1.1",
        "Host: h",
        f"Authorization: {client.tenant.authorization}",
        "X-Experience-API-Version: 1.0.3",
        "Content-Type: application/json",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def test_a_body_that_does_not_come(client: Any) -> None:
    """408 after BODY_TIMEOUT_SECONDS, from the first byte or in the middle."""
    assert b"408" in (await raw(client, head(client, "Content-Length: 100"))).split(b"\r\n")[0]
    assert b"408" in (await raw(client, head(client, "Content-Length: 1000") + VALID)).split(b"\r\n")[0]


@pytest.mark.parametrize("body", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"-1\r\n\r\n"])
async def test_chunked_nonsense(client: Any, body: bytes) -> None:
    """A broken chunked body is a 400."""
    assert b"400" in (await raw(client, head(client, "Transfer-Encoding: chunked") + body)).split(b"\r\n")[0]


async def test_content_types(client: Any, statement: Any) -> None:
    """Statements are JSON; anything else is said to be not."""
    for content_type in ("text/plain", "multipart/form-data; boundary=x", ""):
        answer = await client.post(statement(), headers={"Content-Type": content_type})
        assert 400 == answer.status
    accepted = {"Content-Type": "application/json; charset=utf-8"}
    assert 200 == (await client.post(statement(), headers=accepted)).status


async def test_parameters_on_post(client: Any, statement: Any) -> None:
    """POST takes none."""
    assert 400 == (await client.send("POST", "/statements?limit=1", body=statement())).status


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/%00/xAPI/statements", "/a%2Fb/xAPI/statements", "/../etc/passwd", "/xAPI", "//xAPI//"]
)
async def test_paths_that_lead_nowhere(client: Any, path: str) -> None:
    """No route: a 404 (or, at a tenant's door, a 401) in the one shape."""
    answer = await client.get(path, base=f"http://127.0.0.1:{client.stack.ports[0]}")
    assert answer.status in {401, 404}
    assert answer.status == answer.json()["status"]


async def test_endless_headers(client: Any) -> None:
    """431 for too many or too long header fields, whether they end or not."""
    start = b"GET /ping HTTP/1.1\r\nHost: h\r\n"
    many = start + b"".join(b"X-%d: y\r\n" % n for n in range(1000)) + b"\r\n"
    long = start + b"X-Long: " + b"y" * 200_000
    for request in (many, long):
        answer = await raw(client, request)
        assert b" 431 " in answer.split(b"\r\n")[0]
        assert b"application/problem+json" in answer


async def test_half_a_head(client: Any) -> None:
    """A connection that says nothing, or half of a head, is answered 408 and closed."""
    for request in (b"", b"GET /ping HTTP/1.1\r\nHost:"):
        assert b" 408 " in (await raw(client, request)).split(b"\r\n")[0]


async def test_trailers_are_no_headers(client: Any, statement: Any) -> None:
    """What comes after the body changes nothing: no credential, no other content type."""
    body = json.dumps(statement()).encode()
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    authorization = b"Authorization: " + client.tenant.authorization.encode()
    without = head(client, "Transfer-Encoding: chunked", "Connection: close").replace(authorization + b"\r\n", b"")
    assert b" 401 " in (await raw(client, without + chunk + authorization + b"\r\n\r\n")).split(b"\r\n")[0]
    complete = head(client, "Transfer-Encoding: chunked", "Connection: close")
    trailer = b"Authorization: Basic bm86bm8=\r\nContent-Type: text/plain\r\n\r\n"
    assert b" 200 " in (await raw(client, complete + chunk + trailer)).split(b"\r\n")[0]


async def test_refused_bodies_are_not_kept(client: Any) -> None:
    """A process does not grow with what it refuses."""
    pid = client.stack.processes["api-0"].pid
    body = b'{"id":5,"x":"' + b"y" * 900_000 + b'"}'

    def resident() -> int:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096

    for _ in range(20):
        await client.post(body)
    before = resident()
    for _ in range(80):
        assert 400 == (await client.post(body)).status
    assert resident() - before < 20 * 2**20


async def test_a_page_is_bounded_in_bytes(client: Any, statement: Any) -> None:
    """Large statements make short pages; all of them are reached through `more`."""
    sent = [statement(result={"response": "x" * 900_000}) for _ in range(12)]
    for item in sent:
        assert 200 == (await client.post(item)).status
    await client.stack.settle(client.tenant)
    page = await client.get()
    assert len(page.body) < 9 * 2**20
    assert page.json()["more"]
    assert [s["id"] for s in sent[::-1]] == [s["id"] for s in await client.every()]


async def test_a_strange_host(client: Any) -> None:
    """A Host that is none breaks nothing."""
    for host in (b"a:b", b"a:99999999", b"a:b:c:d"):
        answer = await raw(client, b"GET /nope HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        assert b" 404 " in answer.split(b"\r\n")[0]


async def test_an_endless_tenant_name_costs_little(client: Any) -> None:
    """A name that nobody can have is unknown at once, however long it takes to normalise."""
    path = "/a" + "%CC%81%CC%96" * 2000 + "/xAPI/statements"
    answer = await client.get(path, base=f"http://127.0.0.1:{client.stack.ports[0]}")
    assert 401 == answer.status
