"""A tenant's three names: the one people read, the one that is compared, the one that stores and Kubernetes take.

``display`` is NFC as given; ``canonical`` is NFKC and case-folded, so ``ACME``, ``acme`` and its full-width
form are one tenant; ``slug`` is a valid RFC 1123 label and part of every index, key and folder name.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

import msgspec

from collegium_core.errors import BadRequest

__all__ = ["DEFAULT_TENANT", "MAX_CODE_POINTS", "RESERVED", "TenantName", "is_slug", "parse_name"]

DEFAULT_TENANT: Final = "default"
MAX_CODE_POINTS: Final = 64
_MAX_CANONICAL: Final = 256
_MAX_RAW: Final = 256
_FORBIDDEN: Final = frozenset('/\\%?#."<>')
_READABLE: Final = 20
_SLUG: Final = re.compile(r"t-[a-z0-9-]{0,60}[a-z0-9]")

# First path elements of the API, and words that would mislead; compared in canonical form.
RESERVED: Final = frozenset(
    {
        "__heartbeat__",
        "__lbheartbeat__",
        "api",
        "console",
        "docs",
        "health",
        "healthz",
        "lrs",
        "metrics",
        "ping",
        "readyz",
        "recipes",
        "schema",
        "system",
        "tcapi",
        "tenants",
        "token",
        "tokens",
        "whoami",
        "xapi",
    }
)


class TenantName(msgspec.Struct, frozen=True, gc=False):
    """The three forms of one name."""

    display: str
    canonical: str
    slug: str


@lru_cache(maxsize=16_384)
def parse_name(text: str) -> TenantName:
    r"""Return the forms of *text*, a tenant's name as a person or a URL gives it (already percent-decoded).

    :raises BadRequest: empty, longer than 64 code points after NFC, a control character, one of ``/ \\ % ? # . " < >``,
        white space at an end, or a reserved word.
    """
    if len(text) > _MAX_RAW:  # normalising costs the square of the length of what strangers may send
        raise BadRequest(f"a tenant's name has at most {MAX_CODE_POINTS} characters")
    display = unicodedata.normalize("NFC", text)
    if not display:
        raise BadRequest("a tenant's name must not be empty")
    if len(display) > MAX_CODE_POINTS:
        raise BadRequest(f"a tenant's name has at most {MAX_CODE_POINTS} characters, this one has {len(display)}")
    if display != display.strip():
        raise BadRequest("a tenant's name must not begin or end with white space")
    for character in display:
        if character in _FORBIDDEN or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            raise BadRequest(f"a tenant's name must not contain {character!a}")
    canonical = _canonical(display)
    if not canonical or len(canonical) > _MAX_CANONICAL:
        raise BadRequest("a tenant's name is empty or too long in its compared form")
    if canonical in RESERVED:
        raise BadRequest(f"{canonical!r} is a reserved word and cannot be a tenant's name")
    return TenantName(display=display, canonical=canonical, slug=_slug(canonical))


def is_slug(text: str) -> bool:
    """Return whether *text* has the form of a slug: an RFC 1123 label of at most 63 characters that begins with ``t-``.

    So it is no path, pattern or list, and none of the names that stores keep for themselves.
    """
    return _SLUG.fullmatch(text) is not None


def _canonical(display: str) -> str:
    # Twice: folding can leave a sequence that NFKC composes differently.
    form = display
    for _ in range(2):
        form = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", form).casefold())
    return form.strip()


def _slug(canonical: str) -> str:
    digest = hashlib.blake2b(canonical.encode(), digest_size=10).digest()
    suffix = base64.b32encode(digest).decode().lower()
    readable = re.sub(r"[^a-z0-9]+", "-", canonical).strip("-")[:_READABLE].strip("-")
    return f"t-{readable}-{suffix}" if readable else f"t-{suffix}"
