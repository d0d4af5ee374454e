"""The parameters of GET statements (rules 57 to 62, 77)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.errors import BadRequest
from collegium_core.lrs.query import StatementQuery, StatementsRequest, parse_query

ID = "AA97B177-9383-4934-8543-0F91A7A02836"
AGENT = json.dumps({"mbox": "mailto:a@example.org", "name": "A"})
VALUES = {
    "agent": AGENT,
    "verb": "http://example.org/v",
    "activity": "http://example.org/o",
    "registration": ID,
    "related_activities": "true",
    "related_agents": "true",
    "since": "2015-01-01T00:00:00Z",
    "until": "2015-01-01T00:00:00.0000019+01:00",
    "limit": "7",
    "ascending": "true",
}


def parsed(*params: tuple[str, str]) -> StatementsRequest:
    return parse_query(params, max_limit=100)


def faults(*params: tuple[str, str]) -> list[str]:
    with pytest.raises(BadRequest) as caught:
        parsed(*params)
    assert caught.value.detail.startswith(caught.value.errors[0].path)
    return [error.path for error in caught.value.errors]


def test_no_parameters_ask_for_everything() -> None:
    """Without parameters: all statements, newest first, as many as the server gives, exactly as received."""
    assert (
        StatementsRequest(
            statement_id=None, voided=False, query=StatementQuery(), limit=100, format="exact", attachments=False
        )
        == parsed()
    )


def test_every_parameter_has_its_place() -> None:
    """Filters become keys, times microseconds, flags booleans."""
    request = parsed(*VALUES.items(), ("format", "ids"), ("attachments", "true"))
    assert (
        StatementQuery(
            agent="mbox|mailto:a@example.org",
            related_agents=True,
            verb="http://example.org/v",
            activity="http://example.org/o",
            related_activities=True,
            registration=ID.lower(),
            since=1_420_070_400_000_000,
            until=1_420_066_800_000_001,
            ascending=True,
        )
        == request.query
    )
    assert (7, "ids", True) == (request.limit, request.format, request.attachments)


@pytest.mark.parametrize(("name", "voided"), [("statementId", False), ("voidedStatementId", True)])
def test_rule_59_an_id_goes_with_format_and_attachments(name: str, *, voided: bool) -> None:
    """One statement is asked for by its id, in either case, with format and attachments (rule 59)."""
    request = parsed((name, ID), ("format", "canonical"), ("attachments", "false"))
    assert (ID.lower(), voided, "canonical", False) == (
        request.statement_id,
        request.voided,
        request.format,
        request.attachments,
    )


def test_rule_57_both_ids_are_refused() -> None:
    """A statementId beside voidedStatementId is refused (rule 57)."""
    assert ["voidedStatementId"] == faults(("statementId", ID), ("voidedStatementId", ID))


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("single", ["statementId", "voidedStatementId"])
def test_rule_58_an_id_goes_with_nothing_else(single: str, name: str) -> None:
    """An id with any filter, limit or order is refused (rule 58)."""
    assert [name] == faults((name, VALUES[name]), (single, ID))


@pytest.mark.parametrize("name", ["foo", "StatementId", "Verb", "statementid", "limit ", ""])
def test_rule_60_unknown_parameters_are_refused(name: str) -> None:
    """An unknown name, or a known one in the wrong case, is refused (rule 60)."""
    assert [name] == faults((name, "x"))


def test_a_repeated_parameter_is_refused() -> None:
    """Nobody can tell which of two values is meant."""
    assert ["verb"] == faults(("verb", "a:b"), ("verb", "a:b"))


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", 100), ("1", 1), ("100", 100), ("101", 100), ("007", 7), ("9" * 5000, 100), ("0" * 5000, 100)],
)
def test_rule_62_limit(text: str, limit: int) -> None:
    """0 means the server's maximum, more than that as well (rule 62)."""
    assert limit == parsed(("limit", text)).limit


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("limit", text) for text in ("-1", "x", "1.5", "", "+1", "\uff11", "1e2", " 1")),
        *(("statementId", text) for text in ("", "x", ID[:-1], f"{{{ID}}}")),
        *(("registration", text) for text in ("", "x", ID.replace("-", ""))),
        *(("verb", text) for text in ("", "x", "a b:c", "a:\ud800")),
        *(("activity", text) for text in ("", "/x")),
        *(("since", text) for text in ("", "x", "2015-13-01T00:00:00Z", "2015-01-01T00:00:00-00:00", "1420070400")),
        ("until", "yesterday"),
        *(
            (name, text)
            for name in ("ascending", "related_agents", "related_activities", "attachments")
            for text in ("", "True", "1")
        ),
        *(("format", text) for text in ("", "Exact", "full")),
    ],
)
def test_rule_77_malformed_values_are_refused(name: str, text: str) -> None:
    """A value of the wrong form is refused and named (rules 62, 77)."""
    assert [name] == faults((name, text))


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        ("", "agent"),
        ("x", "agent"),
        ("[]", "agent"),
        ("{}", "agent"),
        ("[" * 100_000, "agent"),
        ('"\ud800"', "agent"),
        ('{"mbox":"x"}', "agent.mbox"),
        ('{"mbox":"mailto:a@x","foo":1}', "agent.foo"),
        ('{"mbox":"mailto:a@x","openid":"a:b"}', "agent"),
        ('{"account":{"homePage":"http://x"}}', "agent.account.name"),
        ('{"objectType":"Group","member":[{"mbox":"mailto:a@x"}]}', "agent"),
        ('{"objectType":"Activity","mbox":"mailto:a@x"}', "agent.objectType"),
    ],
)
def test_rule_77_a_malformed_agent_is_refused(agent: str, path: str) -> None:
    """What is no Agent or identified Group is refused, and the place in it named (rule 77)."""
    assert [path] == faults(("agent", agent))


def test_an_identified_group_can_be_asked_for() -> None:
    """The agent parameter may be a Group that has an identifier (rule 75)."""
    group = json.dumps({"objectType": "Group", "account": {"homePage": "http://x", "name": "g"}})
    assert "account|http://x|g" == parsed(("agent", group)).query.agent


def test_all_faults_are_told() -> None:
    """Every wrong parameter is named, not only the first."""
    assert ["foo", "limit", "verb"] == faults(("foo", "1"), ("limit", "-1"), ("verb", "x"), ("ascending", "true"))


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01T01:00:00 01:00", 0),
        ("1970-01-01T00:00:01.5", 1_500_000),
        ("1970-01-01 00:01", 60_000_000),
        ("19700101T000001Z", 1_000_000),
    ],
)
def test_times_are_read_with_indulgence(text: str, microseconds: int) -> None:
    """A plus that became a space is a plus; without an offset a time is in UTC."""
    assert microseconds == parsed(("since", text)).query.since


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*VALUES, "format", "statementId", "x"]), st.text() | st.sampled_from([*VALUES.values()])
        )
    )
)
def test_any_parameters_are_parsed_or_refused(params: list[tuple[str, str]]) -> None:
    """Nothing but a request or a 400 comes of any parameters."""
    outcome: StatementsRequest | BadRequest
    try:
        outcome = parsed(*params)
    except BadRequest as problem:
        outcome = problem
    if isinstance(outcome, BadRequest):
        assert outcome.errors
    else:
        assert 1 <= outcome.limit <= 100
