"""What the texts of a statement must look like: IRIs, UUIDs, addresses, languages, durations, media types.

Timestamps have more to them and stand in :mod:`collegium_core.lrs.timestamps`.

Every test is a question that answers ``True`` or ``False``. IRIs, languages and addresses repeat all the time (verbs,
extension keys, home pages), so short ones that were found good are remembered, up to a number; long ones are examined
every time. That bounds the memory that a stranger can make us use.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = [
    "are_iris",
    "are_languages",
    "is_duration",
    "is_iri",
    "is_language",
    "is_mbox",
    "is_media_type",
    "is_sha1",
    "is_sha2",
    "is_uuid",
]

_REMEMBERED_TEXTS: Final = 8192
_REMEMBERED_LENGTH: Final = 256


# RFC 3987 without its inner structure: a scheme, then only characters that may stand in an IRI (no spaces, quotes, <>,
# {}, |, \, ^, `), percent signs always with two hexadecimal digits. Unrolled, so that it is linear in the text.
_IRI_CHARACTERS: Final = r"A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=\u00a0-\ud7ff\ue000-\uffef\U00010000-\U0010fffd"
_IRI: Final = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.\-]*:(?=.)[{_IRI_CHARACTERS}]*(?:%[0-9A-Fa-f]{{2}}[{_IRI_CHARACTERS}]*)*"
)
_ADDRESS_PART: Final = r'[^\s\x00-\x20\x7f@<>()\[\],;:\\"]+'
_MBOX: Final = re.compile(rf"mailto:{_ADDRESS_PART}@{_ADDRESS_PART}")
_LANGUAGE: Final = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"  # language, extended language
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"  # script, region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*"  # extensions
    r"(?:-x(?:-[a-z0-9]{1,8})+)?"  # private use
    r"|x(?:-[a-z0-9]{1,8})+"
    r"|en-gb-oed|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)"  # grandfathered
    r"|sgn-(?:be-fr|be-nl|ch-de)"
    r"|art-lojban|cel-gaulish|no-(?:bok|nyn)|zh-(?:guoyu|hakka|min|min-nan|xiang)",
    re.IGNORECASE | re.ASCII,
)
_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+"  # noqa: S105 - a token in the sense of RFC 9110
_MEDIA_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}[ \t]*(?:;[\t -\U0010ffff]*)?")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}")
_SHA1: Final = re.compile(r"[0-9A-Fa-f]{40}")
_SHA2: Final = re.compile(r"[0-9A-Fa-f]{56}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{96}|[0-9A-Fa-f]{128}")
_NUMBER: Final = r"[0-9]+(?:[.,][0-9]+)?"
_DURATION: Final = re.compile(
    rf"P(?:{_NUMBER}W|(?=[0-9T])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}D)?"
    rf"(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?)"
)
# A fraction is for the last element alone (ISO 8601:2004, 4.4.3.2).
_INNER_FRACTION: Final = re.compile(r"[.,][0-9]+[A-Z].")


_known_iris: set[str] = set()
_known_mboxes: set[str] = set()
_known_languages: set[str] = set()


def _examine(text: str, pattern: re.Pattern[str], known: set[str]) -> bool:
    if pattern.fullmatch(text) is None:
        return False
    if len(text) <= _REMEMBERED_LENGTH:
        if len(known) >= _REMEMBERED_TEXTS:
            known.clear()
        known.add(text)
    return True


def is_iri(text: str) -> bool:
    """Return whether *text* is an absolute IRI (RFC 3987); also the test for the standard's IRLs and URIs."""
    return text in _known_iris or _examine(text, _IRI, _known_iris)


def are_iris(texts: Iterable[str]) -> bool:
    """Return whether every one of *texts* is an absolute IRI."""
    return _known_iris.issuperset(texts) or all(map(is_iri, texts))


def is_mbox(text: str) -> bool:
    """Return whether *text* is ``mailto:`` and an e-mail address (xAPI-Data 2.4.2.3)."""
    return text in _known_mboxes or _examine(text, _MBOX, _known_mboxes)


def is_language(text: str) -> bool:
    """Return whether *text* is a well-formed language tag (RFC 5646, 2.1), private use and grandfathered ones too."""
    return text in _known_languages or _examine(text, _LANGUAGE, _known_languages)


def are_languages(texts: Iterable[str]) -> bool:
    """Return whether every one of *texts* is a well-formed language tag."""
    return _known_languages.issuperset(texts) or all(map(is_language, texts))


def is_media_type(text: str) -> bool:
    """Return whether *text* is a media type, with or without parameters (RFC 9110, 8.3.1)."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Return whether *text* is a UUID in its canonical form with hyphens, either case (RFC 4122, 3)."""
    return _UUID.fullmatch(text) is not None


def is_sha1(text: str) -> bool:
    """Return whether *text* is a SHA-1 in hexadecimal digits."""
    return _SHA1.fullmatch(text) is not None


def is_sha2(text: str) -> bool:
    """Return whether *text* is a SHA-2 (224, 256, 384 or 512 bits) in hexadecimal digits."""
    return _SHA2.fullmatch(text) is not None


def is_duration(text: str) -> bool:
    """Return whether *text* is a duration with designators: ``PT1H0.5S``, or weeks alone (ISO 8601:2004, 4.4.3.2)."""
    return _DURATION.fullmatch(text) is not None and _INNER_FRACTION.search(text) is None
