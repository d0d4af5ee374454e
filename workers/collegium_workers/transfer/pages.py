"""Pages of statements, taken apart into the bytes of each."""

from __future__ import annotations

import re
from typing import Final

import msgspec

__all__ = ["Page", "split_page"]

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]', re.DOTALL)
_IN_PAGE: Final = 1
_IN_LIST: Final = 2


class Page(msgspec.Struct):
    """One answer to a query: the statements as they were sent, and where the next page is (``""``: nowhere)."""

    statements: list[msgspec.Raw]
    more: str = ""


def split_page(body: bytes) -> Page:
    """Return the page in *body*; what the statements say, and whether anyone could read them, plays no part.

    :raises msgspec.DecodeError: it is no page.
    """
    try:
        return msgspec.json.decode(body, type=Page)
    except RecursionError:  # one of the statements is nested deeper than the decoder goes
        return _split_by_brackets(body)


def _split_by_brackets(body: bytes) -> Page:
    page = Page([])
    name = text = b""
    depth = start = 0
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token in b"[{":
            if depth == _IN_LIST:
                start = match.start()
            depth += 1
        elif token in b"]}":
            depth -= 1
            if depth == _IN_LIST and name == b'"statements"':
                page.statements.append(msgspec.Raw(body[start : match.end()]))
        elif depth == _IN_PAGE:
            if token == b":":
                name = text
            elif token == b",":
                name = b""
            elif name == b'"more"':
                page.more = msgspec.json.decode(token, type=str)
            else:
                text = token
    return page
