"""From a request's body to statements that may be kept: decoded, checked, normalised (xAPI-Data 2).

Whatever the body is, the outcome is a :class:`Batch` or a :class:`collegium_core.errors.Problem` that says what is
wrong and where. What is accepted here, every store and every reader takes.

Where an object has one member twice the last one counts, as with nearly every reader of JSON: in checking, normalising,
deriving keys, comparing and formatting alike, so that no two parts of the platform ever see different statements. What
it replaces must be readable nevertheless (:mod:`collegium_core.lrs.whole`), because its bytes are kept.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from collegium_core import ids
from collegium_core.errors import BadRequest, FieldError, PayloadTooLarge
from collegium_core.ids import IdSource
from collegium_core.lrs.checks import check_statement
from collegium_core.lrs.faults import MAX_FAULTS, Faults, not_json, refuse, structural_fault
from collegium_core.lrs.normal import normalise
from collegium_core.lrs.record import Missing
from collegium_core.lrs.statement import Statement
from collegium_core.lrs.versions import VersionRules, rules_for
from collegium_core.lrs.whole import check_whole

__all__ = ["Batch", "Received", "receive"]

_STATEMENT: Final = msgspec.json.Decoder(Statement)
_LIST: Final = msgspec.json.Decoder(list[Raw])
_JSON_SPACE: Final = b" \t\r\n"
# Looked up, because the arithmetic of flags costs a microsecond each time.
_MISSING: Final = tuple(Missing(bits) for bits in range(8))
_TOO_DEEP: Final = "is nested too deeply to be read"


class Received(msgspec.Struct, frozen=True, gc=False):
    """One statement that was found good.

    :param id: its UUID, lower case; made here (UUIDv7) when the client sent none.
    :param raw: its bytes as received, changed only as :mod:`collegium_core.lrs.normal` says.
    :param missing: what the client left out.
    :param version: the version to supply when ``Missing.VERSION``.
    """

    id: str
    raw: bytes
    missing: Missing
    version: str


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The statements of one request, in order; ``single`` when the body was one statement and not a list."""

    single: bool
    statements: tuple[Received, ...]


def receive(body: bytes, *, version: str, max_statements: int, new_id: IdSource = ids.new_id) -> Batch:
    """Return the statements in *body*, all of them good; an empty list is a batch of none.

    :param body: JSON in UTF-8, one statement or a list of statements.
    :param version: ``"1.0.3"`` or ``"2.0.0"``: which rules hold.
    :param max_statements: more in one request are refused.
    :param new_id: makes ids for statements that come without.
    :raises BadRequest: the body is not JSON, or a statement breaks a rule; ``errors`` name up to 20 places.
    :raises PayloadTooLarge: more than *max_statements*.
    """
    rules = rules_for(version)
    text = body.strip(_JSON_SPACE)
    if not text:
        raise BadRequest("the body is empty: a statement or a list of statements is expected")
    if text[:1] != b"[":
        received = _receive_one(text, None, rules, Faults(), new_id)
        return Batch(single=True, statements=(received,))
    documents = _split(text)
    if len(documents) > max_statements:
        raise PayloadTooLarge(f"{len(documents)} statements in one request; at most {max_statements} are taken")
    return Batch(single=False, statements=_receive_all(documents, rules, new_id))


def _split(text: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _LIST.decode(text)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
    except RecursionError:
        raise BadRequest(f"the body {_TOO_DEEP}") from None


def _receive_all(documents: list[bytes], rules: VersionRules, new_id: IdSource) -> tuple[Received, ...]:
    statements: list[Received] = []
    faults = Faults()
    places: dict[str, int] = {}
    errors: list[FieldError] = []
    for index, document in enumerate(documents):
        try:
            received = _receive_one(document, index, rules, faults, new_id)
        except BadRequest as problem:
            if not problem.errors:  # not JSON in UTF-8: nothing after it can be trusted
                raise
            errors.extend(problem.errors)
            if len(errors) >= MAX_FAULTS:
                break
            continue
        first = places.setdefault(received.id, index)
        if first != index:
            errors.append(FieldError(f"statements[{index}].id", f"{received.id} is the id of statements[{first}] too"))
        statements.append(received)
    if errors:
        raise refuse(errors[:MAX_FAULTS])
    return tuple(statements)


def _receive_one(document: bytes, index: int | None, rules: VersionRules, faults: Faults, new_id: IdSource) -> Received:
    try:
        statement = _STATEMENT.decode(document)
        lone = check_statement(statement, rules, faults)
        if not faults.found:
            check_whole(document, statement, faults)
    except msgspec.ValidationError as error:
        raise _refusal([structural_fault(error, document)], index) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
    except RecursionError:
        faults.take()
        raise _refusal([FieldError("", _TOO_DEEP)], index) from None
    if faults.found:
        raise _refusal(faults.take(), index)
    try:
        raw = normalise(document, statement, rules, lone)
    except OverflowError:
        raise _refusal([FieldError(".timestamp", "lies outside the years 1 to 9999 in UTC")], index) from None
    given = statement.id
    missing = 0
    if given is UNSET:
        missing = Missing.ID.value
    if not statement.timestamp:  # absent or null
        missing += Missing.TIMESTAMP.value
    if statement.version is UNSET:
        missing += Missing.VERSION.value
    statement_id = new_id() if given is UNSET else given.lower()
    return Received(statement_id, raw, _MISSING[missing], rules.filled_version)


def _refusal(faults: list[FieldError], index: int | None) -> BadRequest:
    """Return the answer that tells *faults*, whose paths are relative to the statement at *index* (``None``: alone)."""
    name = "statement" if index is None else f"statements[{index}]"
    return refuse([FieldError(name + fault.path, fault.detail) for fault in faults[:MAX_FAULTS]])
