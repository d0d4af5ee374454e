"""What the rules remember is bounded, and remembering never changes an answer."""

from __future__ import annotations

import pytest

from collegium_core.errors import BadRequest
from collegium_core.lrs import parts, syntax
from collegium_core.lrs.validation import receive

BODY = '{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"%s"},"object":{"id":"http://example.org/o"}}'
TYPE = BODY.replace('/o"', '/o","definition":{"type":"%s"}') % ("http://example.org/v", "%s")


def verb(iri: str) -> bytes:
    return (BODY % iri).encode()


def typed(iri: str) -> bytes:
    return (TYPE % iri).encode()


def test_known_texts_and_parts_are_bounded() -> None:
    """However many definitions come, no more than a number of them are remembered, and long ones never."""
    for number in range(syntax._REMEMBERED_TEXTS + 100):
        receive(typed(f"http://example.org/types/{number}"), version="1.0.3", max_statements=1)
    assert len(syntax._known_iris) <= syntax._REMEMBERED_TEXTS
    assert 0 < len(parts.DEFINITION._known) <= parts._REMEMBERED_PARTS
    long = f"http://example.org/{'x' * 2000}"
    receive(typed(long), version="1.0.3", max_statements=1)
    assert long not in syntax._known_iris
    assert all(len(document) <= parts._REMEMBERED_BYTES for document in parts.DEFINITION._known)


def test_a_fault_is_found_every_time() -> None:
    """What was refused is refused again, with the path of where it stands this time."""
    for _ in range(3):
        with pytest.raises(BadRequest, match=r'^statement\.verb\.id: "no iri" is not an absolute IRI$'):
            receive(verb("no iri"), version="1.0.3", max_statements=1)
    with pytest.raises(BadRequest, match=r"^statements\[1\]\.verb\.id: "):
        receive(b"[" + verb("a:b") + b"," + verb("no iri") + b"]", version="2.0.0", max_statements=2)


def test_one_statement_s_faults_do_not_stick_to_the_next() -> None:
    """Statements of a batch are judged one by one."""
    batch = b"[" + verb("no iri") + b"," + verb("a:b") + b"," + verb("neither") + b"]"
    with pytest.raises(BadRequest) as caught:
        receive(batch, version="1.0.3", max_statements=3)
    assert ["statements[0].verb.id", "statements[2].verb.id"] == [error.path for error in caught.value.errors]
