"""Everything that can go wrong with a meaning for the caller: one class, a few subclasses, one shape (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

__all__ = [
    "BadRequest",
    "Conflict",
    "FieldError",
    "Forbidden",
    "NotFound",
    "PayloadTooLarge",
    "PreconditionFailed",
    "Problem",
    "RequestTimeout",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
]


class FieldError(msgspec.Struct, frozen=True, gc=False):
    """One fault of the input: where it is (``statements[3].result.score.scaled``) and what is wrong there."""

    path: str
    detail: str


class Problem(Exception):  # noqa: N818 - the word RFC 9457 uses
    """An answer that is not a success.

    :param detail: one sentence for the person who reads the answer; never a secret, never another tenant's data.
    :param errors: faults by place, for validation problems.
    :param headers: further response headers, lower-case names.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, errors: Sequence[FieldError] = (), headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = tuple(headers)


class BadRequest(Problem):
    """400: the request itself is wrong; sending it again unchanged cannot help."""

    status = 400
    code = "bad-request"
    title = "Bad request"


class Unauthorized(Problem):
    """401: no credential, or none that is known here."""

    status = 401
    code = "unauthorized"
    title = "Not authenticated"

    def __init__(self, detail: str = "Not authenticated") -> None:
        super().__init__(detail, headers=[("www-authenticate", 'Basic realm="collegium", charset="UTF-8"')])


class Forbidden(Problem):
    """403: a known credential that may not do this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFound(Problem):
    """404: nothing here by that name."""

    status = 404
    code = "not-found"
    title = "Not found"


class RequestTimeout(Problem):
    """408: the body did not arrive in time."""

    status = 408
    code = "request-timeout"
    title = "Request timeout"


class Conflict(Problem):
    """409: the same id exists with other content, or the resource changed meanwhile."""

    status = 409
    code = "conflict"
    title = "Conflict"


class PreconditionFailed(Problem):
    """412: the stated ETag is not the present one."""

    status = 412
    code = "precondition-failed"
    title = "Precondition failed"


class PayloadTooLarge(Problem):
    """413: more bytes or more statements than this platform takes in one request."""

    status = 413
    code = "payload-too-large"
    title = "Payload too large"


class TooManyRequests(Problem):
    """429: a quota or a rate limit; says when to come back."""

    status = 429
    code = "too-many-requests"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail, headers=[("retry-after", str(retry_after_seconds))])


class Unavailable(Problem):
    """503: a dependency is away or the backlog is full. Nothing was promised; the request may be sent again."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"

    def __init__(self, detail: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(detail, headers=[("retry-after", str(retry_after_seconds))])
