"""Every route of the API, with the scope it needs or the reason why it needs none.

The reference page is made from this table; a test compares it with what the application answers.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["ROUTES", "Route"]


class Route(msgspec.Struct, frozen=True):
    """One route: path template, methods, the scope a caller needs (empty: public), and what it is."""

    path: str
    methods: tuple[str, ...]
    scope: str
    meaning: str


_STATEMENTS: Final = (
    "/{tenant}/xAPI/statements",
    "/xAPI/{tenant}/statements",
    "/TCAPI/{tenant}/statements",
    "/xAPI/statements",
)

ROUTES: Final[tuple[Route, ...]] = (
    *(
        route
        for path in _STATEMENTS
        for route in (
            Route(path, ("GET", "HEAD"), "statements/read", "one statement by `statementId`, or a list with filters"),
            Route(path, ("POST", "PUT"), "statements/write", "store a batch (POST) or one statement (PUT)"),
        )
    ),
    Route("/healthz", ("GET", "HEAD"), "", "whether the process serves requests"),
    Route("/readyz", ("GET", "HEAD"), "", "whether writes are accepted, and what is missing"),
    Route("/ping", ("GET", "HEAD"), "", '`{"ping":"pong"}`'),
    Route("/schema", ("GET",), "", "the OpenAPI document, in several renderings"),
)
