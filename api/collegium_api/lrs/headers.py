"""The headers that xAPI adds to requests and answers (xAPI-Communication 1.4, 3.3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from collegium_core.errors import BadRequest
from collegium_core.lrs.record import format_stored

__all__ = ["LATEST_1_0", "LATEST_2_0", "UNVERSIONED", "consistent_through", "negotiate_version"]

LATEST_1_0: Final = "1.0.3"
LATEST_2_0: Final = "2.0.0"
UNVERSIONED: Final = "0.95"
"""What a request without a version is answered with (xAPI-Communication 3.3: such a client speaks 0.95)."""

_ONE_ZERO: Final = re.compile(r"1\.0(\.\d+)?")
_TWO_ZERO: Final = re.compile(r"2\.0(\.\d+)?")


def negotiate_version(header: str | None) -> str:
    """Return the version in which the server answers a request that names *header*.

    :raises BadRequest: none named, or one that this server does not speak.
    """
    if header is None:
        raise BadRequest("the header X-Experience-API-Version is missing")
    if _ONE_ZERO.fullmatch(header):
        return LATEST_1_0
    if _TWO_ZERO.fullmatch(header):
        return LATEST_2_0
    raise BadRequest(f"version {header[:20]!a} is not spoken here; X-Experience-API-Version is 1.0.x or 2.0.x")


@lru_cache(maxsize=1024)
def consistent_through(watermark: int) -> tuple[bytes, bytes]:
    """Return the header that says up to when (microseconds) every list is complete."""
    return b"x-experience-api-consistent-through", format_stored(watermark).encode()
