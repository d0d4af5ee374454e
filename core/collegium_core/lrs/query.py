"""What a GET of the statements resource asks for, parsed from the request's parameters (xAPI-Communication 2.1.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from collegium_core.errors import FieldError
from collegium_core.lrs.actors import check_actor
from collegium_core.lrs.faults import Faults, refuse, shown, structural_fault
from collegium_core.lrs.keys import agent_key, text_key
from collegium_core.lrs.statement import Actor
from collegium_core.lrs.syntax import is_iri, is_uuid
from collegium_core.lrs.timestamps import microseconds

__all__ = ["Format", "Place", "StatementQuery", "StatementsRequest", "parse_query"]

Format = Literal["ids", "exact", "canonical"]
ValueT = TypeVar("ValueT")

_ACTOR: Final = msgspec.json.Decoder(Actor)
_MOST_DIGITS: Final = 18


class Place(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A place in a tenant's order of statements: microseconds stored, then position."""

    stored: int
    position: int


class StatementQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """The filters of one list; filter values are keys as :class:`collegium_core.lrs.keys.FilterKeys` holds them.

    ``since`` is exclusive and ``until`` inclusive, both microseconds on ``stored``.
    """

    agent: str | None = None
    related_agents: bool = False
    verb: str | None = None
    activity: str | None = None
    related_activities: bool = False
    registration: str | None = None
    since: int | None = None
    until: int | None = None
    ascending: bool = False


class StatementsRequest(msgspec.Struct, frozen=True):
    """One GET: a single statement when ``statement_id`` is set, else the list that ``query`` describes.

    :param statement_id: the id asked for, lower case.
    :param voided: whether it was asked for as ``voidedStatementId``.
    :param limit: so many statements at most, 1 to the server's maximum.
    :param attachments: whether attachments are to come along.
    """

    statement_id: str | None
    voided: bool
    query: StatementQuery
    limit: int
    format: Format
    attachments: bool


class _Refused(ValueError):  # noqa: N818 - it never leaves this module
    """A value that a parameter does not take; the text says what it takes, or what is wrong below it."""

    def __init__(self, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.path = path


def parse_query(params: Sequence[tuple[str, str]], *, max_limit: int) -> StatementsRequest:
    """Return what *params* ask for.

    :param params: names and values, percent-decoded, in the order of the request.
    :param max_limit: the server's maximum, which also holds for ``limit=0`` or none.
    :raises BadRequest: an unknown or repeated parameter, a value of the wrong form, or parameters that exclude each
        other; ``errors`` name every one of them.
    """
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for name, text in params:
        parse = _PARSERS.get(name)
        if parse is None:
            errors.append(FieldError(name, "is not a parameter of this resource"))
        elif name in values:
            errors.append(FieldError(name, "stands more than once"))
        else:
            try:
                values[name] = parse(text)
            except _Refused as refused:
                values[name] = None
                errors.append(FieldError(name + refused.path, refused.detail))
    single = [name for name in ("statementId", "voidedStatementId") if name in values]
    if len(single) > 1:
        errors.append(FieldError("voidedStatementId", "cannot stand beside statementId"))
    elif single:
        errors.extend(
            FieldError(name, f"cannot stand beside {single[0]}") for name in values if name not in _BESIDE_AN_ID
        )
    if errors:
        raise refuse(errors)

    def value(name: str, kind: type[ValueT]) -> ValueT | None:
        given = values.get(name)
        return given if isinstance(given, kind) else None

    limit = value("limit", int) or max_limit
    return StatementsRequest(
        statement_id=value(single[0], str) if single else None,
        voided=single == ["voidedStatementId"],
        query=StatementQuery(
            agent=value("agent", str),
            related_agents=value("related_agents", bool) or False,
            verb=value("verb", str),
            activity=value("activity", str),
            related_activities=value("related_activities", bool) or False,
            registration=value("registration", str),
            since=value("since", int),
            until=value("until", int),
            ascending=value("ascending", bool) or False,
        ),
        limit=min(limit, max_limit),
        format=_FORMATS[value("format", str) or "exact"],
        attachments=value("attachments", bool) or False,
    )


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise _Refused(f"{shown(text)} is not a UUID")
    return text.lower()


def _iri(text: str) -> str:
    if not is_iri(text):
        raise _Refused(f"{shown(text)} is not an absolute IRI")
    return text_key(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise _Refused(f"{shown(text)} is neither true nor false")
    return text == "true"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise _Refused(f"{shown(text)} is not a whole number from 0 on")
    digits = text.lstrip("0")
    return int(digits[:_MOST_DIGITS] or "0")  # more digits than that are more than any maximum, whichever they are


def _moment(text: str) -> int:
    # A plus sign that was not percent-encoded arrives as a space.
    for spelling in (text, f"{text[:-6]}+{text[-5:]}" if text[-6:-5] == " " else text):
        try:
            return microseconds(spelling)
        except ValueError:
            continue
    raise _Refused(f"{shown(text)} is not a timestamp")


def _format(text: str) -> str:
    if text not in _FORMATS:
        raise _Refused(f"{shown(text)} is none of ids, exact, canonical")
    return text


def _agent(text: str) -> str:
    document = text.encode("utf-8", "surrogatepass")
    try:
        actor = _ACTOR.decode(document)
    except msgspec.ValidationError as error:
        fault = structural_fault(error, document)
        raise _Refused(fault.detail, fault.path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Refused("is not an Agent or a Group in JSON") from None
    faults = Faults()
    check_actor(actor, "", faults)
    if faults.found:
        raise _Refused(faults.found[0].detail, faults.found[0].path)
    key = agent_key(document)
    if key is None:
        raise _Refused("a Group without an identifier cannot be searched for")
    return key


_FORMATS: Final[dict[str, Format]] = {"ids": "ids", "exact": "exact", "canonical": "canonical"}
_BESIDE_AN_ID: Final = frozenset({"statementId", "voidedStatementId", "format", "attachments"})
_PARSERS: Final[dict[str, Callable[[str], object]]] = {
    "statementId": _uuid,
    "voidedStatementId": _uuid,
    "agent": _agent,
    "verb": _iri,
    "activity": _iri,
    "registration": _uuid,
    "related_activities": _flag,
    "related_agents": _flag,
    "since": _moment,
    "until": _moment,
    "limit": _limit,
    "format": _format,
    "attachments": _flag,
    "ascending": _flag,
}
