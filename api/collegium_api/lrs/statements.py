"""The statements resource: the hot path, plain ASGI (xAPI-Communication 2.1; xAPI 2.0 4.1.6.1).

Receives, asks the doorkeeper, validates, hands to the tenant's scope, answers. No rule lives here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

import structlog

from collegium_api.body import BodyReader, ClientGone, Receive
from collegium_api.context import Doorkeeper, Visit
from collegium_api.counting import count_request
from collegium_api.lrs.headers import LATEST_1_0, LATEST_2_0, UNVERSIONED, consistent_through, negotiate_version
from collegium_api.problems import encode_problem
from collegium_core.errors import BadRequest, NotFound, Problem, RequestTimeout, Unavailable
from collegium_core.ids import new_id
from collegium_core.lrs.cursor import Continuation, sign, verify
from collegium_core.lrs.query import Place, StatementQuery, parse_query
from collegium_core.lrs.record import StoredStatement
from collegium_core.lrs.syntax import is_uuid
from collegium_core.lrs.validation import Batch, Received, receive
from collegium_core.settings import Settings
from collegium_core.telemetry import metrics
from collegium_core.tenancy.statements import Accepted

__all__ = ["Answer", "Location", "StatementsResource"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_CLOSE: Final = (b"connection", b"close")
_METHODS: Final = (b"allow", b"GET, HEAD, POST, PUT")
_PAGE: Final = 500  # statements, the most that one list answer holds

_log = structlog.get_logger(__name__)


class Location(NamedTuple):
    """Where a request came in: the tenant it names, and the path (with the root path) under which it did."""

    tenant: str
    path: str


class Answer(NamedTuple):
    """A response: status, headers without length, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Request(NamedTuple):
    method: str
    headers: dict[bytes, bytes]
    query: str
    receive: Receive
    location: Location
    address: str


class MethodNotAllowed(Problem):
    """405: the resource has no such method."""

    status = 405
    code = "method-not-allowed"
    title = "Method not allowed"


class StatementsResource:
    """Answers requests to ``…/statements``."""

    def __init__(self, doorkeeper: Doorkeeper, settings: Settings) -> None:
        self._doorkeeper = doorkeeper
        self._settings = settings
        self._bodies = BodyReader(limit=settings.max_body_bytes, seconds=settings.body_timeout_seconds)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send, location: Location) -> None:
        """Answer one request; never raises but for cancellation."""
        started = time.perf_counter()
        method: str = scope["method"]
        headers = dict(scope["headers"])
        client = scope.get("client")
        request = _Request(
            method, headers, scope["query_string"].decode("latin-1"), receive, location, client[0] if client else ""
        )
        version = UNVERSIONED
        try:
            header = headers.get(b"x-experience-api-version")
            if header is not None:
                version = LATEST_2_0
            version = negotiate_version(header.decode("latin-1") if header is not None else None)
            answer = await self._answer(request, version)
        except Problem as problem:
            answer = _refusal(problem, location.path)
        except ClientGone:
            return
        except Exception:  # noqa: BLE001 - the last resort: a problem document, never a traceback
            _log.exception("request_failed", method=method, route="statements")
            answer = _refusal(Problem("the server failed; the fault is logged"), location.path)
        await _send(send, answer, version, head=method == "HEAD")
        count_request("statements", method, answer.status, started)

    async def _answer(self, request: _Request, version: str) -> Answer:
        match request.method:
            case "POST":
                return await self._post(request, version)
            case "GET" | "HEAD":
                return await self._get(request)
            case "PUT":
                return await self._put(request, version)
        raise MethodNotAllowed(
            f"statements take GET, HEAD, POST and PUT, not {request.method[:20]}",
            headers=[(_METHODS[0].decode(), _METHODS[1].decode())],
        )

    # --- writing ---------------------------------------------------------------------------------------------------

    async def _post(self, request: _Request, version: str) -> Answer:
        visit = await self._admit(request, needs="statements/write", writes=True)
        if request.query:
            raise BadRequest("POST takes no query parameters")
        body = await self._body(request)
        accepted = await self._accept(visit, version, body, lambda: self._receive(body, version).statements)
        ids = '","'.join([statement.id for statement in accepted.statements])
        return Answer(200, [_JSON, *await self._through(visit)], f'["{ids}"]'.encode() if ids else b"[]")

    async def _put(self, request: _Request, version: str) -> Answer:
        visit = await self._admit(request, needs="statements/write", writes=True)
        params = _params(request.query)
        statement_id = dict(params).get("statementId", "").lower()
        if len(params) != 1 or not is_uuid(statement_id):
            raise BadRequest("PUT takes exactly one parameter, statementId, which is a UUID")
        body = await self._body(request)

        def prepare() -> Sequence[Received]:
            batch = self._receive(body, version, new_id=lambda: statement_id)
            if not batch.single:
                raise BadRequest("PUT takes one statement, not a list")
            if batch.statements[0].id != statement_id:
                raise BadRequest("the statement's id is not the one that statementId names")
            return batch.statements

        await self._accept(visit, version, body, prepare, ids_chosen=True)
        return Answer(204, await self._through(visit), b"")

    async def _body(self, request: _Request) -> bytes:
        content_type = request.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if content_type != b"application/json":
            raise BadRequest("statements are sent as application/json")
        return await self._bodies.read(request.receive, declared=request.headers.get(b"content-length"))

    def _receive(self, body: bytes, version: str, *, new_id: Callable[[], str] = new_id) -> Batch:
        return receive(body, version=version, max_statements=self._settings.max_batch_statements, new_id=new_id)

    async def _accept(
        self,
        visit: Visit,
        version: str,
        body: bytes,
        prepare: Callable[[], Sequence[Received]],
        *,
        ids_chosen: bool = False,
    ) -> Accepted:
        accepted = await visit.scope.statements.accept(
            prepare,
            size=len(body),
            authority=visit.principal.authority,
            version="1.0.0" if version == LATEST_1_0 else LATEST_2_0,
            ids_chosen=ids_chosen,
        )
        metrics.statements_accepted_total.labels(visit.scope.record.display).inc(accepted.added)
        return accepted

    # --- reading ---------------------------------------------------------------------------------------------------

    async def _get(self, request: _Request) -> Answer:
        visit = await self._admit(request, needs="statements/read", writes=False)
        params = _params(request.query)
        if len(params) == 1 and params[0][0] == "more":
            key = await visit.scope.signing_key()
            link = verify(params[0][1], key, slug=visit.scope.slug, principal=visit.principal.name)
            return await self._page(request, visit, link.query, limit=link.limit, after=link.place)
        asked = parse_query(params, max_limit=_PAGE)
        if asked.voided or asked.format != "exact" or asked.attachments:
            raise BadRequest("voidedStatementId, format and attachments are not served yet")
        if asked.statement_id is not None:
            return await self._one(visit, asked.statement_id)
        return await self._page(request, visit, asked.query, limit=asked.limit, after=None)

    async def _one(self, visit: Visit, statement_id: str) -> Answer:
        found = await visit.scope.statements.get([statement_id])
        if statement_id not in found:
            raise NotFound("no statement has this id")
        return Answer(200, [_JSON, *await self._through(visit)], found[statement_id].exact())

    async def _page(
        self, request: _Request, visit: Visit, query: StatementQuery, *, limit: int, after: Place | None
    ) -> Answer:
        page = await visit.scope.statements.page(query, after=after, limit=limit)
        more = ""
        if page.rest is not None:
            link = Continuation(
                slug=visit.scope.slug,
                principal=visit.principal.name,
                query=query,
                limit=limit,
                format="exact",
                attachments=False,
                place=page.rest,
                issued=int(time.time()),
            )
            more = f"{quote(request.location.path)}?more={sign(link, await visit.scope.signing_key())}"
        return Answer(200, [_JSON, consistent_through(page.through)], _list(page.statements, more))

    # --- both ------------------------------------------------------------------------------------------------------

    async def _admit(self, request: _Request, *, needs: str, writes: bool) -> Visit:
        tenant, authorization = request.location.tenant, request.headers.get(b"authorization")
        visit = self._doorkeeper.recognise(tenant, authorization, needs=needs, writes=writes)
        if visit is not None:
            return visit
        return await self._doorkeeper.admit(tenant, authorization, needs=needs, writes=writes, address=request.address)

    @staticmethod
    async def _through(visit: Visit) -> list[tuple[bytes, bytes]]:
        try:
            return [consistent_through(await visit.scope.statements.consistent_through())]
        except Unavailable:
            return []  # what was asked is done; an old promise is better left out than made up


def _params(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise BadRequest("the query string is malformed") from None


def _list(statements: list[StoredStatement], more: str) -> bytes:
    body = b",".join([statement.exact() for statement in statements])
    return b'{"statements":[' + body + b'],"more":"' + more.encode() + b'"}'


def _refusal(problem: Problem, path: str) -> Answer:
    # A client that is too slow with this body would be so with the rest of it.
    closing = [_CLOSE] if problem.status == RequestTimeout.status else []
    headers = [_PROBLEM, *closing, *((name.encode(), value.encode()) for name, value in problem.headers)]
    return Answer(problem.status, headers, encode_problem(problem, path))


async def _send(send: Send, answer: Answer, version: str, *, head: bool) -> None:
    headers = [
        *answer.headers,
        (b"x-experience-api-version", version.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
