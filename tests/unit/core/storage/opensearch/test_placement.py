"""Where a tenant's documents are."""

from __future__ import annotations

import pytest

from collegium_core.storage.opensearch.placement import DocumentClass, Target, locate
from collegium_core.tenancy.record import Placement


def test_a_dedicated_tenant_has_indices_of_its_own() -> None:
    """One index per class, with the slug in its name."""
    target = locate("t-acme-x", Placement.DEDICATED, DocumentClass.STATEMENTS)

    assert (
        Target(slug="t-acme-x", index="c-t-acme-x-statements", kind=DocumentClass.STATEMENTS, dedicated=True) == target
    )


def test_a_pooled_tenant_shares_its_indices() -> None:
    """Every pooled tenant has the same index and ids that begin with its own slug."""
    one = locate("t-acme-x", Placement.POOLED, DocumentClass.DOCUMENTS)
    other = locate("t-globex-y", Placement.POOLED, DocumentClass.DOCUMENTS)

    assert "c-pool-documents" == one.index == other.index
    assert ("t-acme-x:1", "t-globex-y:1") == (one.document_id("1"), other.document_id("1"))


@pytest.mark.parametrize(
    "slug",
    ["", "pool", "Acme", "acme", "t-a/b", "t-a,b", "*", "t-*", "-a", "t-a-", "_all", "t-a:b", "t-" + "a" * 62, "t-a\n"],
)
@pytest.mark.parametrize("placement", list(Placement))
def test_a_slug_that_would_name_something_else_is_refused(slug: str, placement: Placement) -> None:
    """No pattern, list, path or the pool's own name ever becomes part of an index name."""
    with pytest.raises(ValueError, match="slug"):
        locate(slug, placement, DocumentClass.STATEMENTS)


@pytest.mark.parametrize("prefix", ["", "C", "c-x", "*", "1c", "c" * 17])
def test_a_prefix_is_a_plain_word(prefix: str) -> None:
    """A hyphen in it would let two platforms' templates overlap."""
    with pytest.raises(ValueError, match="prefix"):
        locate("t-a", Placement.POOLED, DocumentClass.STATEMENTS, prefix=prefix)
