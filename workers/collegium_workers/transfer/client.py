"""The HTTP client of the transfer commands: one tenant of one platform, patient with what passes by itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urljoin

import aiohttp
import msgspec

from collegium_workers.backoff import Backoff

__all__ = ["Answer", "Client", "PlatformAwayError", "RefusedError", "Target"]

_VERSION: Final = "1.0.3"
_PASSING: Final = frozenset({408, 429, 502, 503, 504})
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0
_LONGEST_RETRY_AFTER: Final = 60.0


class Target(msgspec.Struct, frozen=True):
    """Where a platform is and who calls.

    :param url: with the root path, no slash at its end.
    :param identity: names the same platform next time, when it may have another port.
    """

    url: str
    username: str
    password: str
    identity: str

    def __repr__(self) -> str:
        return f"Target({self.url!r}, {self.username!r})"


class Answer(msgspec.Struct, frozen=True):
    """One response: status, body, header fields by lower-case name."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def detail(self) -> str:
        """What the problem document says is wrong, faults by place included."""
        try:
            problem = msgspec.json.decode(self.body, type=_Problem)
        except msgspec.MsgspecError:
            return f"HTTP status {self.status}"
        faults = "; ".join(f"{fault.path}: {fault.detail}" for fault in problem.errors[:5])
        return ": ".join(part for part in (problem.detail or f"HTTP status {self.status}", faults) if part)


class _Fault(msgspec.Struct):
    path: str = ""
    detail: str = ""


class _Problem(msgspec.Struct):
    detail: str = ""
    errors: list[_Fault] = []


class PlatformAwayError(Exception):
    """The platform did not answer for so long that waiting on makes no sense."""


class RefusedError(Exception):
    """The platform answers, but not to this caller or not for this tenant: no request of this kind can succeed."""


class Client:
    """Requests to one tenant; an asynchronous context manager.

    A connection that fails, and the statuses 408, 429, 502, 503 and 504, are tried again (Retry-After is honoured)
    until *patience* seconds have gone by without any success. Safe for statements, because each is sent with its id.

    :param waiting: called with a reason whenever a request has to wait, and with an empty string when it goes on.
    """

    def __init__(
        self,
        target: Target,
        tenant: str,
        *,
        connections: int = 8,
        timeout: float = 60.0,
        patience: float = 300.0,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._base = f"{target.url}/{quote(tenant, safe='')}/xAPI/"
        self._tenant = tenant
        self._headers = {
            "Authorization": aiohttp.encode_basic_auth(target.username, target.password, "utf-8"),
            "X-Experience-API-Version": _VERSION,
        }
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=10.0)
        self._patience = patience
        self._waiting = waiting
        self._session: aiohttp.ClientSession | None = None
        self._alive = time.monotonic()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=self._timeout,
            headers=self._headers,
            # Every statement passes here: what is sent is bytes already, what comes is wanted as bytes.
            auto_decompress=True,
        )
        self._alive = time.monotonic()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post_statements(self, body: bytes) -> Answer:
        """Send a JSON array of statements; return the first answer that is no passing trouble.

        :raises PlatformAwayError: none came for *patience* seconds.
        :raises RefusedError: the answer concerns the caller or the tenant, not the statements (401, 403, 404).
        """
        return await self._request("POST", f"{self._base}statements", body)

    async def get_statements(self, *, more: str = "", **parameters: str) -> Answer:
        """Read one page: the first by *parameters*, the others by the ``more`` of the page before. Errors as above."""
        url = urljoin(self._base, more) if more else f"{self._base}statements"
        return await self._request("GET", url, None, parameters)

    async def _request(
        self, method: str, url: str, body: bytes | None, parameters: Mapping[str, str] | None = None
    ) -> Answer:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        waited = False
        while True:
            answer, trouble = await self._try(method, url, body, parameters)
            if answer is not None and answer.status not in _PASSING:
                self._alive = time.monotonic()
                if waited:
                    self._waiting("")
                self._check(answer)
                return answer
            pause = backoff.next()
            if answer is not None:
                trouble = answer.detail
                pause = max(pause, _retry_after(answer))
            if time.monotonic() + pause - self._alive > self._patience:
                raise PlatformAwayError(f"no success for {self._patience:.0f} s; the last trouble: {trouble}")
            waited = True
            self._waiting(trouble)
            await asyncio.sleep(pause)

    async def _try(
        self, method: str, url: str, body: bytes | None, parameters: Mapping[str, str] | None
    ) -> tuple[Answer | None, str]:
        if self._session is None:
            raise AssertionError("used outside of its context")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(method, url, data=body, params=parameters, headers=headers) as response:
                fields = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, await response.read(), fields), ""
        except TimeoutError:
            return None, "the platform did not answer in time"
        except aiohttp.ClientError as error:
            return None, f"no connection to the platform: {error}"

    def _check(self, answer: Answer) -> None:
        match answer.status:
            case 401:
                # By design the answer is the same for both.
                raise RefusedError(f"there is no tenant {self._tenant!r}, or it does not know this user")
            case 403 | 404:
                raise RefusedError(f"the platform refuses: {answer.detail}")


def _retry_after(answer: Answer) -> float:
    """Return the seconds that the platform asks for; a date or nonsense counts as none."""
    with contextlib.suppress(ValueError):
        return max(0.0, min(float(answer.headers.get("retry-after", "0")), _LONGEST_RETRY_AFTER))
    return 0.0
