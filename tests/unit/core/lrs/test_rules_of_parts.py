"""The rules of the parts of a statement: agents, groups, objects, interactions, context, authority, attachments."""

from __future__ import annotations

import pytest

from collegium_testing.lrs_rules import (
    AGENT,
    BOTH,
    GROUP,
    ID,
    IRI,
    NEW,
    OLD,
    OTHER,
    REF,
    TEAM,
    Case,
    Json,
    definition,
    examine,
    runs,
)

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
CHOICE: Json = {"interactionType": "choice", "choices": [{"id": "a"}, {"id": "b", "description": {"en": "B"}}]}
ATTACHMENT: Json = {
    "usageType": "http://example.org/usage",
    "display": {"en-US": "A text"},
    "contentType": "text/plain; charset=ascii",
    "length": 27,
    "sha2": "495395e777cd98da653df9615d09c0fd6bb2f8d4788394cd53c56a3bfdcd848a",
    "fileUrl": "http://example.org/file.txt",
}

CASES = [
    # 11, 12: identifiers of agents
    *(
        Case(11, {"actor.mbox": bad}, "actor.mbox")
        for bad in (
            "http://should.fail.com",
            "mailto:should.fail.com",
            "a@example.org",
            "mailto:@x",
            "mailto:a b@x",
            "MAILTO:a@x",
        )
    ),
    Case(11, {"actor.mbox": "mailto:ä+tag@example.org"}),
    Case(12, {"actor": {"mbox_sha1sum": "a" * 40}}),
    Case(12, {"actor": {"mbox_sha1sum": "a" * 39}}, "actor.mbox_sha1sum"),
    Case(12, {"actor": {"mbox_sha1sum": {"key": "v"}}}, "actor.mbox_sha1sum"),
    Case(12, {"actor": {"openid": "http://a.openid.example.org/"}}),
    Case(12, {"actor": {"openid": "ab=c://should.fail.com"}}, "actor.openid"),
    Case(12, {"actor": {"account": {"homePage": "http://example.org", "name": ""}}}),
    Case(12, {"actor": {"account": {"name": "b"}}}, "actor.account.homePage"),
    Case(12, {"actor": {"account": {"homePage": "http://example.org"}}}, "actor.account.name"),
    Case(12, {"actor": {"account": {"homePage": "example.org", "name": "b"}}}, "actor.account.homePage"),
    Case(12, {"actor": {"account": {"homePage": "http://example.org", "name": {}}}}, "actor.account.name"),
    # 13, 14: exactly one identifier
    Case(13, {"actor": AGENT | OTHER}, "actor"),
    Case(13, {"actor": TEAM | OTHER}, "actor"),
    Case(13, {"object": AGENT | {"openid": IRI}}, "object"),
    Case(14, {"actor": {"name": "nobody"}}, "actor"),
    Case(14, {"actor": {}}, "actor"),
    Case(14, {"object": {"objectType": "Agent"}}, "object"),
    # 15, 16: groups
    Case(15, {"actor": GROUP}),
    Case(15, {"actor": TEAM}),
    Case(15, {"actor": TEAM | {"member": []}}),
    Case(15, {"actor": {"objectType": "Group"}}, "actor.member"),
    Case(15, {"actor": {"objectType": "Group", "member": []}}, "actor.member"),
    Case(16, {"actor": {"objectType": "Group", "member": AGENT}}, "actor.member"),
    Case(16, {"actor": {"objectType": "Group", "member": [AGENT, TEAM]}}, "actor.member[1]"),
    Case(16, {"actor": {"objectType": "Group", "member": [{"mbox": "x"}]}}, "actor.member[0].mbox"),
    Case(16, {"actor": {"member": [AGENT], "mbox": "mailto:a@example.org"}}, "actor.member"),
    # 17: agents as object
    Case(17, {"object": AGENT}),
    Case(17, {"object": GROUP}),
    Case(17, {"object": {"mbox": "mailto:a@example.org"}}, "object.mbox"),
    Case(17, {"object": {"definition": {}}}, "object.id"),
    # 20: references
    Case(20, {"object": REF}),
    Case(20, {"object": {"objectType": "StatementRef", "id": "x"}}, "object.id"),
    Case(20, {"object": {"objectType": "StatementRef"}}, "object.id"),
    Case(20, {"object": {"id": ID}}, "object.id"),
    # 21: voiding
    Case(21, {"verb.id": VOIDED, "object": REF}, None, BOTH, in_substatement=False),
    Case(21, {"verb.id": VOIDED}, "object", BOTH, in_substatement=False),
    Case(21, {"verb.id": VOIDED, "object": AGENT}, "object", BOTH, in_substatement=False),
    # 22, 23: interactions
    *(
        Case(
            22,
            definition(interactionType=kind, correctResponsesPattern=["x"], **{name: [{"id": "a"}] for name in names}),
        )
        for kind, names in {
            "true-false": (),
            "choice": ("choices",),
            "fill-in": (),
            "long-fill-in": (),
            "matching": ("source", "target"),
            "performance": ("steps",),
            "sequencing": ("choices",),
            "likert": ("scale",),
            "numeric": (),
            "other": (),
        }.items()
    ),
    Case(22, definition(choices=[{"id": "a"}]), "object.definition.interactionType"),
    Case(22, definition(correctResponsesPattern=["a"]), "object.definition.interactionType"),
    Case(22, definition(**CHOICE | {"interactionType": "likert"}), "object.definition.choices"),
    Case(22, definition(interactionType="numeric", scale=[{"id": "a"}]), "object.definition.scale"),
    Case(22, definition(interactionType="should fail"), "object.definition.interactionType"),
    Case(
        22,
        definition(interactionType="choice", correctResponsesPattern="a"),
        "object.definition.correctResponsesPattern",
    ),
    Case(23, definition(**CHOICE)),
    Case(
        23, definition(interactionType="choice", choices=[{"id": "a"}, {"id": "a"}]), "object.definition.choices[1].id"
    ),
    Case(23, definition(interactionType="choice", choices=[{}]), "object.definition.choices[0].id"),
    Case(23, definition(interactionType="choice", choices={"id": "a"}), "object.definition.choices"),
    Case(
        23,
        definition(interactionType="choice", choices=[{"id": "a", "description": {"a12345": "x"}}]),
        'object.definition.choices[0].description["a12345"]',
    ),
    Case(
        23,
        definition(interactionType="choice", choices=[{"id": "a", "description": "x"}]),
        "object.definition.choices[0].description",
    ),
    # 29, 30: context
    Case(29, {"context.revision": "1", "context.platform": "p"}),
    Case(29, {"context.revision": "1", "object.objectType": "Activity"}),
    *(
        Case(29, {f"context.{name}": "x", "object": target}, f"context.{name}")
        for name in ("revision", "platform")
        for target in (AGENT, GROUP, REF)
    ),
    Case(30, {"context.statement": REF}),
    Case(30, {"context.statement": {"id": ID}}, "context.statement.objectType"),
    Case(30, {"context.statement": REF | {"objectType": "Activity"}}, "context.statement.objectType"),
    Case(30, {"context.instructor": GROUP}),
    Case(30, {"context.instructor": {"name": "x"}}, "context.instructor"),
    Case(30, {"context.team": TEAM}),
    Case(30, {"context.team": AGENT}, "context.team"),
    # 31: contextActivities
    *(
        Case(31, {f"context.contextActivities.{name}": {"id": IRI}})
        for name in ("parent", "grouping", "category", "other")
    ),
    Case(31, {"context.contextActivities.parent": [{"id": IRI}, {"id": f"{IRI}/2", "objectType": "Activity"}]}),
    Case(31, {"context.contextActivities.parent": []}),
    Case(31, {"context.contextActivities": {}}, "context.contextActivities"),
    Case(31, {"context.contextActivities": "x"}, "context.contextActivities"),
    Case(31, {"context.contextActivities.foo": [{"id": IRI}]}, "context.contextActivities.foo"),
    Case(31, {"context.contextActivities.other": "x"}, "context.contextActivities.other"),
    Case(31, {"context.contextActivities.other": [{"id": IRI}, {"id": "x"}]}, "context.contextActivities.other[1].id"),
    Case(31, {"context.contextActivities.other": {"id": "x"}}, "context.contextActivities.other.id"),
    Case(31, {"context.contextActivities.other": [AGENT]}, "context.contextActivities.other[0].objectType"),
    Case(
        31,
        {"context.contextActivities.other": [{"id": IRI, "definition": {"type": "x"}}]},
        "context.contextActivities.other[0].definition.type",
    ),
    # 32: authority
    Case(32, {"authority": AGENT}, None, BOTH, in_substatement=False),
    Case(32, {"authority": GROUP}, None, BOTH, in_substatement=False),
    Case(32, {"authority": GROUP | {"mbox": "mailto:g@example.org"}}, "authority", BOTH, in_substatement=False),
    Case(32, {"authority": TEAM}, "authority", BOTH, in_substatement=False),
    Case(32, {"authority": GROUP | {"member": [AGENT]}}, "authority.member", BOTH, in_substatement=False),
    Case(32, {"authority": GROUP | {"member": [AGENT] * 3}}, "authority.member", BOTH, in_substatement=False),
    Case(32, {"authority": {"name": "x"}}, "authority", BOTH, in_substatement=False),
    # 40: attachments
    Case(40, {"attachments": [ATTACHMENT, ATTACHMENT | {"description": {"es": "x"}}]}),
    Case(40, {"attachments": []}),
    Case(40, {"attachments": [{k: v for k, v in ATTACHMENT.items() if k != "fileUrl"}]}),
    Case(40, {"attachments": ATTACHMENT}, "attachments"),
    Case(40, {"attachments": [5]}, "attachments[0]"),
    *(
        Case(40, {"attachments": [{k: v for k, v in ATTACHMENT.items() if k != name}]}, f"attachments[0].{name}")
        for name in ("usageType", "display", "contentType", "length", "sha2")
    ),
    *(
        Case(40, {"attachments": [ATTACHMENT | {name: bad}]}, f"attachments[0].{name}")
        for name, bad in {
            "usageType": "should fail",
            "display": "should fail",
            "contentType": "should fail",
            "length": "27",
            "sha2": "x",
            "fileUrl": "should fail",
            "description": {},
        }.items()
    ),
    Case(40, {"attachments": [ATTACHMENT | {"length": 27.5}]}, "attachments[0].length"),
    Case(40, {"attachments": [ATTACHMENT | {"length": -1}]}, "attachments[0].length"),
    Case(40, {"attachments": [ATTACHMENT | {"sha2": 12345}]}, "attachments[0].sha2"),
    # 41, 42: contextAgents and contextGroups
    Case(
        41,
        {"context.contextAgents": [{"objectType": "contextAgent", "agent": AGENT, "relevantTypes": [IRI]}]},
        None,
        NEW,
    ),
    Case(41, {"context.contextAgents": [{"objectType": "contextAgent", "agent": OTHER}]}, None, NEW),
    Case(41, {"context.contextGroups": [{"objectType": "contextGroup", "group": GROUP}]}, None, NEW),
    Case(
        41,
        {"context.contextAgents": [{"objectType": "Agent", "agent": AGENT}]},
        "context.contextAgents[0].objectType",
        NEW,
    ),
    Case(41, {"context.contextAgents": [{"agent": AGENT}]}, "context.contextAgents[0].objectType", NEW),
    Case(41, {"context.contextAgents": [{"objectType": "contextAgent"}]}, "context.contextAgents[0].agent", NEW),
    Case(
        41,
        {"context.contextAgents": [{"objectType": "contextAgent", "agent": GROUP}]},
        "context.contextAgents[0].agent",
        NEW,
    ),
    Case(
        41,
        {"context.contextAgents": [{"objectType": "contextAgent", "agent": {}}]},
        "context.contextAgents[0].agent",
        NEW,
    ),
    Case(
        41,
        {"context.contextGroups": [{"objectType": "contextGroup", "group": AGENT}]},
        "context.contextGroups[0].group",
        NEW,
    ),
    Case(
        41,
        {"context.contextAgents": [{"objectType": "contextAgent", "agent": AGENT, "relevantTypes": []}]},
        "context.contextAgents[0].relevantTypes",
        NEW,
    ),
    Case(
        41,
        {"context.contextGroups": [{"objectType": "contextGroup", "group": TEAM, "relevantTypes": [IRI, "abc"]}]},
        "context.contextGroups[0].relevantTypes[1]",
        NEW,
    ),
    Case(42, {"context.contextAgents": [{"objectType": "contextAgent", "agent": AGENT}]}, "context.contextAgents", OLD),
    Case(42, {"context.contextGroups": []}, "context.contextGroups", OLD),
]


@pytest.mark.parametrize(("statement", "root", "path", "version"), runs(CASES))
def test_a_rule_accepts_and_refuses(statement: Json, root: str, path: str | None, version: str) -> None:
    """Each rule accepts what it should, and refuses the rest with 400 and the path of the fault (rules 7, 27)."""
    examine(statement, root, path, version)
