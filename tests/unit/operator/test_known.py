"""What the watches have seen: who has to be looked at when something changes, and who was first."""

from __future__ import annotations

from typing import Any

from collegium_operator.known import Deployed, Known, see_deployment, see_tenant
from collegium_operator.queue import Key


def tenant(object_name: str, /, *, uid: str = "", created: str = "2030-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": object_name,
        "namespace": "n",
        "uid": uid or f"uid-{object_name}",
        "creationTimestamp": created,
        "generation": 1,
    }
    return {"metadata": metadata, "spec": spec}


def key(name: str) -> Key:
    return Key("Tenant", "n", name)


def refers(secret: str) -> list[Any]:
    return [{"name": "a", "basic": {"secretRef": {"name": secret}}}]


def test_only_news_is_news() -> None:
    """The status is nobody's news; generation, annotations, finalizers and deletion are."""
    known = Known()
    first = tenant("a")
    assert known.see(see_tenant(first))
    assert not known.see(see_tenant({**first, "status": {"observedGeneration": 1}}))
    for change in ({"generation": 2}, {"annotations": {"x": "y"}}, {"finalizers": ["f"]}, {"deletionTimestamp": "t"}):
        changed = {**first, "metadata": {**first["metadata"], **change}}
        assert known.see(see_tenant(changed)), change


def test_the_oldest_of_one_name() -> None:
    """The first of several Tenants is the one created first, by uid where both were; the name is compared folded."""
    known = Known()
    for each in (tenant("b", created="2030-01-02", name="X"), tenant("a", created="2030-01-01", name="x")):
        known.see(see_tenant(each))
    slug = see_tenant(tenant("c", name="X")).slug
    first = known.first(slug)
    assert first is not None
    assert key("a") == first.key
    assert {key("a"), key("b")} == known.rivals(slug)
    assert {key("b")} == known.forget(key("a"))
    first = known.first(slug)
    assert first is not None
    assert key("b") == first.key
    assert frozenset() == known.forget(key("b"))
    assert known.first(slug) is None


def test_the_same_second() -> None:
    """Of Tenants made in the same second the one that has the name keeps it, else the least uid counts."""
    known = Known()
    for each in (tenant("a", name="x"), tenant("b", name="x"), tenant("c", name="x", created="2040")):
        known.see(see_tenant(each))
    slug = see_tenant(tenant("a", name="x")).slug
    for incumbent, expected in (("", "a"), ("uid-a", "a"), ("uid-b", "b"), ("uid-c", "a"), ("uid-z", "a")):
        first = known.first(slug, incumbent=incumbent)
        assert first is not None
        assert key(expected) == first.key


def test_a_name_that_is_none() -> None:
    """A Tenant whose name cannot be a tenant's has no slug and no rivals."""
    known = Known()
    known.see(see_tenant(tenant("a", name="xapi")))
    known.see(see_tenant(tenant("b", name="xapi")))
    assert frozenset() == known.rivals("")


def test_secrets_concern_who_names_them() -> None:
    """A Secret's new version concerns those that name it, once; others' Secrets leave no trace."""
    known = Known()
    known.see(see_tenant(tenant("a", authentication=refers("s"))))
    assert {key("a")} == known.see_secret("n", "s", "1")
    assert frozenset() == known.see_secret("n", "s", "1")
    assert {key("a")} == known.see_secret("n", "s", "2")
    assert {key("a")} == known.see_secret("n", "s", "")
    assert frozenset() == known.see_secret("n", "t", "1")
    assert frozenset() == known.see_secret("m", "s", "1")
    known.see(see_tenant({**tenant("a"), "metadata": {**tenant("a")["metadata"], "generation": 2}}))
    assert frozenset() == known.see_secret("n", "s", "3")


def test_departures_are_remembered_until_settled() -> None:
    """A Tenant that went, or was made anew under its name, is remembered by uid and slug until it is dealt with."""
    known = Known()
    known.see(see_tenant(tenant("a", uid="1")))
    known.see(see_tenant(tenant("a", uid="2")))
    slug = see_tenant(tenant("a")).slug
    assert {"1": slug} == known.departed(key("a"))
    known.forget(key("a"))
    assert {"1": slug, "2": slug} == known.departed(key("a"))
    known.settle(key("a"), "1")
    known.settle(key("a"), "2")
    assert {} == known.departed(key("a"))


def test_a_list_tells_who_is_gone() -> None:
    """Tenants that a complete list does not hold are gone; those and their rivals are looked at."""
    known = Known()
    for each in (tenant("a", name="x", created="1"), tenant("b", name="x", created="2"), tenant("c")):
        known.see(see_tenant(each))
    assert {key("a"), key("b")} == known.forget_all_but({key("b"), key("c")})
    assert {"uid-b", "uid-c"} == known.uids()
    assert known.key_of("uid-a") is None
    assert key("b") == known.key_of("uid-b")


def test_deployments() -> None:
    """A Deployment counts as available only when its status is that of its present spec."""
    document: dict[str, Any] = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 3},
        "status": {
            "observedGeneration": 2,
            "readyReplicas": 2,
            "conditions": [{"type": "Available", "status": "True"}],
        },
    }
    assert Deployed(3, 2, available=True) == see_deployment(document)
    document["metadata"]["generation"] = 3
    assert Deployed(3, 2, available=False) == see_deployment(document)
    assert Deployed(1, 0, available=False) == see_deployment({"metadata": {"generation": 1}, "spec": {}})
    known = Known()
    assert known.see_deployment("a", Deployed(1, 0, available=False))
    assert not known.see_deployment("a", Deployed(1, 0, available=False))
    assert known.see_deployment("a", None)
    assert not known.see_deployment("a", None)
