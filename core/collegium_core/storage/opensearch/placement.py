"""Where a tenant's documents of one class are: the index, and how they are told apart from others' in it.

Both placements work alike, so nothing else need know which one it is: every document carries its tenant and has an
``_id`` that begins with the tenant's slug, every request is routed by the slug. Only the index differs.
"""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

from collegium_core.tenancy.names import is_slug
from collegium_core.tenancy.record import Placement

__all__ = ["DocumentClass", "Target", "locate"]

_POOL: Final = "pool"
_PREFIX: Final = re.compile(r"[a-z][a-z0-9]{0,15}")


class DocumentClass(enum.StrEnum):
    """What an index holds."""

    STATEMENTS = "statements"
    DOCUMENTS = "documents"


class Target(msgspec.Struct, frozen=True, gc=False):
    """One tenant's part of one index.

    :param slug: the tenant; also the routing value.
    :param index: the name of the index.
    :param kind: the class of documents.
    :param dedicated: whether the index is this tenant's alone.
    """

    slug: str
    index: str
    kind: DocumentClass
    dedicated: bool

    def document_id(self, name: str) -> str:
        """Return the ``_id`` of *name*; it names the tenant, as with routing one ``_id`` may exist on two shards."""
        return f"{self.slug}:{name}"

    @property
    def alias(self) -> str:
        """Return the name that writes go by. The catalog alone gives it, to an index that it has checked."""
        return f"{self.index}-writes"

    def path(self, action: str = "") -> str:
        """Return the URL path of the index, or of *action* (``_search``) on it."""
        return f"/{self.index}/{action}" if action else f"/{self.index}"


def locate(slug: str, placement: Placement, kind: DocumentClass, *, prefix: str = "c") -> Target:
    """Return where *slug* keeps its documents of class *kind*.

    :param prefix: what the names of all indices begin with.
    :raises ValueError: *slug* has not the form of one, or *prefix* is no plain word; either would make an index name
        that means something else.
    """
    if not is_slug(slug):
        raise ValueError(f"{slug!a} is not a tenant's slug")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!a} is not a prefix for index names")
    dedicated = placement is Placement.DEDICATED
    owner = slug if dedicated else _POOL
    return Target(slug=slug, index=f"{prefix}-{owner}-{kind}", kind=kind, dedicated=dedicated)
