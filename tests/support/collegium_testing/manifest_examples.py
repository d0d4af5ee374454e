"""Tenants that are accepted, Tenants that are refused: one table for the local parser and the real API server."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["TENANT_EXAMPLES", "Example"]


@dataclasses.dataclass(frozen=True)
class Example:
    """One Tenant and the verdict on it.

    ``field`` is where the fault of a refused one is, as our own messages write it. ``before`` is the spec that the
    object has when this one is applied over it. ``server`` is false where only the operator and the local parser can
    know: Kubernetes takes the object, and its condition ``SpecAccepted`` is false.
    """

    title: str
    spec: Any
    field: str | None = None
    name: str = "acme"
    before: Any = None
    server: bool = True

    @property
    def accepted(self) -> bool:
        """Whether the object is right."""
        return self.field is None

    def document(self, spec: Any = None) -> dict[str, Any]:
        """Return the whole object, or the one that it replaces when that one's *spec* is given."""
        return {
            "apiVersion": "collegium.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": self.name},
            "spec": self.spec if spec is None else spec,
        }


def _basic(name: str = "lms", **more: Any) -> dict[str, Any]:
    return {"name": name, "basic": {"secretRef": {"name": "acme-lms"}}, **more}


def _agent(**agent: Any) -> dict[str, Any]:
    return {"authentication": [_basic(agent=agent)]}


_ACCOUNT = {"homePage": "https://lms.example", "name": "lms"}
_IFI = "spec.authentication[0].agent"

TENANT_EXAMPLES: tuple[Example, ...] = (
    Example("nothing stated", {}),
    Example(
        "everything stated",
        {
            "name": "Acme Université 株式会社",
            "state": "ReadOnly",
            "deletionPolicy": "Delete",
            "authentication": [_basic(scopes=["all", "tenant/admin"], agent={"name": "LMS", "account": _ACCOUNT})],
            "storage": {"placement": "Pooled"},
            "api": {"mode": "Dedicated"},
            "workers": {"mode": "Dedicated"},
        },
    ),
    Example("a null is a field left out", {"name": None, "state": None, "authentication": None}),
    Example("an unknown field", {"sate": "Active"}, "spec.sate"),
    Example(
        "an unknown field deep inside", {"authentication": [_basic(scope=["all"])]}, "spec.authentication[0].scope"
    ),
    Example("a field of a later version", {"authentication": [_basic(oidc={})]}, "spec.authentication[0].oidc"),
    Example("a spec that is a list", [], "spec"),
    Example("a number for a string", {"name": 12}, "spec.name"),
    Example("a boolean for a string", {"state": True}, "spec.state"),
    Example("a string for a list", {"authentication": "all"}, "spec.authentication"),
    Example("a string for an object", {"storage": "Pooled"}, "spec.storage"),
    Example("a state in lower case", {"state": "active"}, "spec.state"),
    Example("an unknown deletion policy", {"deletionPolicy": "Keep"}, "spec.deletionPolicy"),
    Example("an unknown placement", {"storage": {"placement": "Shared"}}, "spec.storage.placement"),
    Example("storage without placement", {"storage": {}}, "spec.storage.placement"),
    Example("an unknown mode", {"api": {"mode": "Own"}}, "spec.api.mode"),
    Example("mode left out", {"api": {}, "workers": {}}),
    # Names
    Example("a name of 64 characters beyond the BMP", {"name": "\U0001d49c" * 64}),
    Example("a name of 65 characters", {"name": "é" * 65}, "spec.name"),
    Example("an empty name", {"name": ""}, "spec.name"),
    Example("a name with a slash", {"name": "a/b"}, "spec"),
    Example("a name with a full stop", {"name": "a.b"}, "spec"),
    Example("a name with a quotation mark", {"name": 'a"b'}, "spec"),
    Example("a name with a backslash", {"name": "a\\b"}, "spec"),
    Example("a name with a per cent sign", {"name": "100%"}, "spec"),
    Example("a name with spaces inside", {"name": "Acme of Texas"}),
    Example("a name with an apostrophe", {"name": "Queen's"}),
    Example("a name that begins with a space", {"name": " acme"}, "spec"),
    Example("a name that ends with a no-break space", {"name": "acme\u00a0"}, "spec"),
    Example("a name with a line feed", {"name": "ac\nme"}, "spec"),
    Example("a name that ends with a line feed", {"name": "acme\n"}, "spec"),
    Example("a name with a zero-width joiner", {"name": "ac\u200dme"}, "spec"),
    Example("a name with a line separator", {"name": "ac\u2028me"}, "spec"),
    Example("a name of one character", {"name": "a"}),
    Example("a reserved word", {"name": "xAPI"}, ""),
    Example("a reserved word as the object's name", {}, "", name="tenants"),
    Example("a reserved word as the object's name, but a name", {"name": "acme"}, name="tenants"),
    Example("a reserved word in full-width letters", {"name": "\uff58\uff41\uff50\uff49"}, "spec.name", server=False),
    Example("the default tenant", {"name": "default"}),
    Example("an object's name of 40 characters", {}, name="a" * 40),
    Example("an object's name of 41 characters", {}, "", name="a" * 41),
    Example("an object's name with a full stop", {}, "", name="acme.example"),
    Example("an object's name with a full stop, but a name", {"name": "acme"}, name="acme.example"),
    # Changes
    Example("the name stays", {"name": "acme", "state": "Suspended"}, before={"name": "acme"}),
    Example("the name is changed", {"name": "acme2"}, "spec", before={"name": "acme"}),
    Example("the name is set afterwards", {"name": "acme"}, "spec", before={}),
    Example("the name is unset afterwards", {}, "spec", before={"name": "acme"}),
    Example(
        "the placement is changed",
        {"storage": {"placement": "Pooled"}},
        "spec",
        before={"storage": {"placement": "Dedicated"}},
    ),
    Example("the placement is set afterwards", {"storage": {"placement": "Pooled"}}, "spec", before={}),
    Example("the placement is unset afterwards", {}, "spec", before={"storage": {"placement": "Pooled"}}),
    Example(
        "all that may change does",
        {
            "state": "Suspended",
            "deletionPolicy": "Delete",
            "api": {"mode": "Dedicated"},
            "authentication": [_basic()],
        },
        before={"deletionPolicy": "Retain"},
    ),
    # Authentication
    Example("two credentials", {"authentication": [_basic("a"), _basic("b")]}),
    Example("two credentials of one name", {"authentication": [_basic(), _basic()]}, "spec.authentication[1]"),
    Example("32 credentials", {"authentication": [_basic(f"c{number}") for number in range(32)]}),
    Example(
        "33 credentials", {"authentication": [_basic(f"c{number}") for number in range(33)]}, "spec.authentication"
    ),
    Example(
        "a credential without a name",
        {"authentication": [{"basic": {"secretRef": {"name": "x"}}}]},
        "spec.authentication[0].name",
    ),
    Example("a credential's name in upper case", {"authentication": [_basic("LMS")]}, "spec.authentication[0].name"),
    Example("a credential without a method", {"authentication": [{"name": "lms"}]}, "spec.authentication[0].basic"),
    Example(
        "a Secret without a name",
        {"authentication": [{"name": "lms", "basic": {"secretRef": {}}}]},
        "spec.authentication[0].basic.secretRef.name",
    ),
    Example(
        "a Secret in another namespace",
        {"authentication": [{"name": "lms", "basic": {"secretRef": {"name": "x", "namespace": "y"}}}]},
        "spec.authentication[0].basic.secretRef.namespace",
    ),
    Example("no scopes", {"authentication": [_basic(scopes=[])]}, "spec.authentication[0].scopes"),
    Example("a scope that nobody knows", {"authentication": [_basic(scopes=["statements/dance"])]}),
    Example(
        "a scope that is there twice",
        {"authentication": [_basic(scopes=["all", "all"])]},
        "spec.authentication[0].scopes[1]",
    ),
    Example(
        "a scope with a space",
        {"authentication": [_basic(scopes=["statements read"])]},
        "spec.authentication[0].scopes[0]",
    ),
    Example("a scope that is a number", {"authentication": [_basic(scopes=[1])]}, "spec.authentication[0].scopes[0]"),
    # Agents
    Example("an agent with mbox", _agent(mbox="mailto:lms@acme.example")),
    Example("an agent with mbox_sha1sum", _agent(mbox_sha1sum="0" * 40, objectType="Agent")),
    Example("an agent with openid", _agent(openid="https://acme.example/lms")),
    Example("an agent with account", _agent(account=_ACCOUNT)),
    Example("an agent without identifier", _agent(name="LMS"), _IFI),
    Example("an agent with two identifiers", _agent(mbox="mailto:a@b.example", account=_ACCOUNT), _IFI),
    Example("an agent that is a group", _agent(objectType="Group", account=_ACCOUNT), f"{_IFI}.objectType"),
    Example("an mbox without scheme", _agent(mbox="lms@acme.example"), f"{_IFI}.mbox"),
    Example("an mbox that ends with a line feed", _agent(mbox="mailto:lms@acme.example\n"), f"{_IFI}.mbox"),
    Example("a short mbox_sha1sum", _agent(mbox_sha1sum="0" * 39), f"{_IFI}.mbox_sha1sum"),
    Example("an account without home page", _agent(account={"name": "lms"}), f"{_IFI}.account.homePage"),
    Example("a home page that is no IRI", _agent(account={"homePage": "lms", "name": "x"}), f"{_IFI}.account.homePage"),
)
