"""The rules of single values: null, types, names, UUIDs, IRIs, scores, durations, timestamps, languages, versions."""

from __future__ import annotations

import json

import pytest

from collegium_testing.lrs_rules import (
    AGENT,
    BOTH,
    ID,
    IRI,
    NEW,
    OLD,
    OTHER,
    REF,
    Case,
    Json,
    definition,
    examine,
    runs,
)

ATTACHMENT: Json = {
    "usageType": "http://example.org/usage",
    "display": {"en-US": "A text"},
    "contentType": "text/plain; charset=ascii",
    "length": 27,
    "sha2": "495395e777cd98da653df9615d09c0fd6bb2f8d4788394cd53c56a3bfdcd848a",
    "fileUrl": "http://example.org/file.txt",
}

CASES = [
    # 1: null nowhere but in extensions
    Case(1, {"context": None}, "context"),
    Case(1, {"actor.name": None}, "actor.name"),
    Case(1, {"verb.display": {"en": None}}, 'verb.display["en"]'),
    Case(1, {"result.score": None}, "result.score"),
    Case(1, definition(moreInfo=None), "object.definition.moreInfo"),
    Case(1, {"context.registration": None}, "context.registration"),
    Case(1, {"timestamp": None}, "timestamp", OLD),
    # 2: anything in extensions
    Case(2, {"result.extensions": {IRI: None, f"{IRI}/2": "", f"{IRI}/3": {}, f"{IRI}/4": [None, {"": None}]}}),
    Case(2, {"context.extensions": {}}),
    Case(2, definition(extensions={IRI: {"no-iri": None}})),
    # 3: keys of extensions are IRIs
    Case(3, {"result.extensions": {"should fail": 1}}, 'result.extensions["should fail"]'),
    Case(3, {"context.extensions": {"": 1}}, 'context.extensions[""]'),
    Case(3, definition(extensions={"id": "x"}), 'object.definition.extensions["id"]'),
    # 4: nothing unknown
    Case(4, {"foo": 1}, "foo"),
    Case(4, {"actor.foo": 1}, "actor.foo"),
    Case(4, {"verb.foo": 1}, "verb.foo"),
    Case(4, {"object.foo": 1}, "object.foo"),
    Case(4, definition(foo=1), "object.definition.foo"),
    Case(4, {"result.foo": 1}, "result.foo"),
    Case(4, {"result.score.foo": 1}, "result.score.foo"),
    Case(4, {"context.foo": 1}, "context.foo"),
    Case(4, {"attachments": [ATTACHMENT | {"foo": 1}]}, "attachments[0].foo"),
    Case(4, {"actor": OTHER | {"account": {"homePage": IRI, "name": "n", "foo": 1}}}, "actor.account.foo"),
    Case(4, {"object": AGENT | {"definition": {}}}, "object.definition"),
    Case(4, {"object": REF | {"definition": {}}}, "object.definition"),
    Case(4, {"object.mbox": "mailto:a@example.org"}, "object.mbox"),
    # 5: names and values in the right case
    Case(5, {"Actor": AGENT}, "Actor"),
    Case(5, {"actor": AGENT | {"objectType": "agent"}}, "actor.objectType"),
    Case(5, {"object.objectType": "activity"}, "object.objectType"),
    Case(5, definition(interactionType="Choice"), "object.definition.interactionType"),
    Case(5, {"object": REF | {"objectType": "statementref"}}, "object.objectType"),
    # 6: types
    Case(6, {"result.score.scaled": "0.5"}, "result.score.scaled"),
    Case(6, {"result.success": "true"}, "result.success"),
    Case(6, {"result.completion": 1}, "result.completion"),
    Case(6, {"result.response": 5}, "result.response"),
    Case(6, {"actor.name": 5}, "actor.name"),
    Case(6, {"result.score.raw": True}, "result.score.raw"),
    Case(6, {"actor": "mailto:a@example.org"}, "actor"),
    # 8: UUIDs
    *(
        Case(8, {place: bad}, place)
        for place in ("context.registration",)
        for bad in (
            "AA97B177-9383-4934-8543-0F91A7A028368",
            "MA97B177-9383-4934-8543-0F91A7A02836",
            12345,
            {"key": "v"},
        )
    ),
    *(
        Case(8, {"context.registration": bad}, "context.registration")
        for bad in (ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n", "")
    ),
    Case(8, {"context.registration": ID.upper()}),
    Case(8, {"id": "not-a-uuid"}, "id", BOTH, in_substatement=False),
    Case(8, {"id": 5}, "id", BOTH, in_substatement=False),
    Case(8, {"context.statement": REF | {"id": "x"}}, "context.statement.id"),
    # 9: IRIs
    *(
        Case(9, {"verb.id": bad}, "verb.id")
        for bad in (
            "",
            "should fail",
            "example.org/verb",
            "//example.org/verb",
            "ab=c://should.fail.com",
            "1a:b",
            "http:",
        )
    ),
    *(Case(9, {"object.id": bad}, "object.id") for bad in ("http://a b", 'http://a"b', "http://a/%zz", "http://a/<b>")),
    *(Case(9, {"object.id": f"http://a/{bad}"}, "object.id") for bad in ("\x00", "\x7f", "{", "|", "\\", "^", "`")),
    *(
        Case(9, {"object.id": good})
        for good in (
            "uuid://x",
            "course-v1:A+B+c",
            "urn:x:y",
            "http://ü.example/é%20?q=ä#z",
            "http://[::1]/",
            "a:b",
            "HTTP://X",
        )
    ),
    Case(9, definition(type="should fail"), "object.definition.type"),
    Case(9, definition(moreInfo="should fail"), "object.definition.moreInfo"),
    # 24: scores
    *(
        Case(24, {"result.score": score})
        for score in (
            {"scaled": 1},
            {"scaled": -1.0},
            {"scaled": 0, "raw": 3, "min": 3, "max": 3},
            {},
            {"raw": -1e300},
            {"min": 5},
        )
    ),
    Case(24, {"result.score.scaled": 1.0000001}, "result.score.scaled"),
    Case(24, {"result.score.scaled": -1.1}, "result.score.scaled"),
    Case(24, {"result.score": {"raw": 11, "max": 10}}, "result.score.raw"),
    Case(24, {"result.score": {"raw": -1, "min": 0}}, "result.score.raw"),
    Case(24, {"result.score": {"min": 2, "max": 1}}, "result.score.min"),
    Case(24, {"result.score": {"raw": 2**53 + 1, "max": 2**53}}, "result.score.raw"),
    # 25: durations
    *(
        Case(25, {"result.duration": good})
        for good in (
            "PT1H0M0.1S",
            "PT4H35M59.14S",
            "PT16559.14S",
            "P3Y1M29DT4H35M59.14S",
            "P3Y",
            "P4W",
            "P0.5W",
            "PT0,5H",
            "P1DT1S",
            "PT0S",
        )
    ),
    *(
        Case(25, {"result.duration": bad}, "result.duration")
        for bad in (
            "P4W1D",
            "P",
            "PT",
            "P1DT",
            "",
            "1H",
            "pt1h",
            "PT1.5H30M",
            "P1H",
            "PT1S1M",
            "P1Y2W",
            "-PT1S",
            "PA1H0M0S",
            "PT1.S",
            12345,
            "P2015-01-01T00:00:00",
            "PT\u0661S",
        )
    ),
    # 26, 37: timestamps
    *(
        Case(26, {"timestamp": good})
        for good in (
            "2015-11-18T12:17:00Z",
            "2015-11-18T12:17:00.123456789+05:30",
            "2016-02-29T23:59:60Z",
            "2008-09-15 15:53:00.601+00:00",
            "2008-09-15t15:53:00z",
            "2015-11-18T12:17:00-12:00",
            "2015-11-18T12:17:00+00:00",
        )
    ),
    *(
        Case(26, {"timestamp": bad}, "timestamp")
        for bad in (
            "2008-09-15T15:53:00.601-00",
            "2008-09-15T15:53:00.601-0000",
            "2008-09-15T15:53:00.601-00:00",
            "01/011/2015",
            "should fail",
            "2015-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "2015-01-01T24:00:00Z",
            "2015-01-01T00:00:00+24:00",
            "2015-01-01",
            "2015-01-01T00:00:00+01:60",
            "2015-01-01T00:00:00.Z",
            "2015-W01-1T00:00:00Z",
            "",
            1447848000,
            "0000-01-01T00:00:00Z",
            "\uff12015-01-01T00:00:00Z",
            "2015-01-01T00:00:00Z\n",
        )
    ),
    *(
        Case(26, {"timestamp": wide}, None, OLD)
        for wide in (
            "2015-11-18T12:17:00",
            "2015-11-18T12:17Z",
            "20151118T121700Z",
            "20151118T1217+0100",
            "2015-11-18T12:17:00+01",
            "2015-11-18T12:17:00+0100",
            "2015-11-18T12:17:00,5Z",
        )
    ),
    *(
        Case(26, {"timestamp": wide}, "timestamp", NEW)
        for wide in (
            "2015-11-18T12:17:00",
            "2015-11-18T12:17Z",
            "20151118T121700Z",
            "2015-11-18T12:17:00+01",
            "2015-11-18T12:17:00+0100",
        )
    ),
    Case(37, {"timestamp": "2999-01-01T00:00:00.000Z"}),
    # 28: languages
    *(
        Case(28, {"verb.display": {tag: "x"}})
        for tag in (
            "und",
            "en",
            "en-US",
            "zh-Hans-CN",
            "de-CH-1996",
            "x-private",
            "sl-rozaj-biske-1994",
            "i-klingon",
            "en-a-bbb-x-a",
            "zh-cmn-Hans-CN",
            "EN-us",
            "es-419",
            "en-GB-oed",
        )
    ),
    *(
        Case(28, {"verb.display": {tag: "x"}}, f"verb.display[{json.dumps(tag)}]")
        for tag in (
            "a12345",
            "something",
            "en_US",
            "e",
            "",
            "en-",
            "-en",
            "en--US",
            "x-",
            "en-x",
            "engl1sh",
        )
    ),
    Case(28, {"verb.display": {}}, "verb.display"),
    Case(28, {"verb.display": "x"}, "verb.display"),
    Case(28, definition(name={"a12345": "x"}), 'object.definition.name["a12345"]'),
    Case(28, definition(description={}), "object.definition.description"),
    Case(28, {"context.language": "en-US"}),
    Case(28, {"context.language": "a12345"}, "context.language"),
    # 33: version
    *(Case(33, {"version": good}, None, BOTH, in_substatement=False) for good in ("1.0", "1.0.0", "1.0.9")),
    *(
        Case(33, {"version": bad}, "version", BOTH, in_substatement=False)
        for bad in ("0.9.9", "1.1.0", "should fail", "1.0.", "", 1.0)
    ),
    Case(33, {"version": "2.0.0"}, None, NEW, in_substatement=False),
    Case(33, {"version": "2.0.0"}, "version", OLD, in_substatement=False),
    # 34: stored
    Case(34, {"stored": "2013-05-18T05:32:34.804Z"}, None, BOTH, in_substatement=False),
    Case(34, {"stored": "should fail"}, "stored", BOTH, in_substatement=False),
    # 36: null timestamp in 2.0, and only there
    Case(36, {"timestamp": None}, None, NEW, in_substatement=False),
]


@pytest.mark.parametrize(("statement", "root", "path", "version"), runs(CASES))
def test_a_rule_accepts_and_refuses(statement: Json, root: str, path: str | None, version: str) -> None:
    """Each rule accepts what it should, and refuses the rest with 400 and the path of the fault (rules 7, 27)."""
    examine(statement, root, path, version)
