"""Makes, checks and deletes indices: the only module that changes what indices there are.

Writes go by an alias, and ask that it is one (``require_alias``). So a cluster that makes indices by itself, as it does
unless ``action.auto_create_index`` forbids it, never makes one of ours with a shape of its own choice: where the index
is gone its alias is gone too, the write is refused, and the index is made here. The same goes for an index that someone
else put in its place: it has no alias until it was checked.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog

from collegium_core.errors import Conflict, Unavailable
from collegium_core.storage.opensearch import builder, mappings, reader
from collegium_core.storage.opensearch.client import Client, Refused
from collegium_core.storage.opensearch.placement import DocumentClass, Target, locate
from collegium_core.tenancy.record import Placement

__all__ = ["Catalog"]

_log = structlog.get_logger()
_JSON: Final = msgspec.json.Encoder()
_TEMPLATE_PRIORITY: Final = 200
# How many documents one delete-by-query takes: bounded, so that each request ends within its timeout.
_ERASE_AT_ONCE: Final = 5_000
# Said outright, so that no copy of the index (a restore under another name) becomes a second place to write to.
_ALIAS: Final = {"is_write_index": True}


class Catalog:
    """The indices of one cluster that begin with *prefix*.

    :param client: the connections.
    :param prefix: what the names of all indices begin with; one platform's own within its cluster.
    :param pool_shards: primary shards of a pooled index, fixed when it is made. A dedicated one has one.
    """

    def __init__(self, client: Client, *, prefix: str = "c", pool_shards: int = 8) -> None:
        self._client = client
        self._prefix = prefix
        self._pool_shards = pool_shards
        self._templates_made: set[DocumentClass] = set()

    def target(self, slug: str, placement: Placement, kind: DocumentClass) -> Target:
        """Return where *slug* keeps its documents of class *kind*; no I/O."""
        return locate(slug, placement, kind, prefix=self._prefix)

    async def prepare(self, target: Target) -> None:
        """Make the index and its alias, or add the fields that an older version of the platform did not have.

        :raises Conflict: an index of this name belongs to something else.
        """
        await self._prepared(target)

    async def adopt(self, target: Target, owner: str) -> None:
        """Prepare, and note *owner* in the tenant's own index. A pooled index has no single owner.

        :raises Conflict: an index of this name belongs to something else.
        """
        meta = await self._prepared(target)
        if target.dedicated and owner and meta.owner != owner:
            await self._describe(target, owner=owner)

    async def _prepared(self, target: Target) -> reader.IndexMeta:
        state = await self._state(target)
        if state is None:
            await self._template(target.kind)
            await self._create(target)
            state = await self._state(target)
        if state is None:
            raise Unavailable("the search store does not show an index it has just made")
        meta = state.meta
        self._check(target, meta)
        if meta.schema < mappings.SCHEMA or meta.tenant != _tenant(target):
            await self._describe(target, owner=meta.owner)
        if target.alias not in state.aliases:
            await self._change(target, target.path(f"_alias/{target.alias}"), _ALIAS)
        return meta

    async def remove(self, target: Target) -> None:
        """Delete all that the tenant has of this class: its own index, or its documents in the pooled one.

        :raises Conflict: the index belongs to something else.
        """
        state = await self._state(target)
        if state is None:
            return
        self._check(target, state.meta)
        if target.dedicated:
            await self._client.call("DELETE", target.path(), accept={404})
            return
        await self.refresh(target)
        params = builder.routed(
            target,
            refresh="true",
            conflicts="proceed",
            max_docs=str(_ERASE_AT_ONCE),
            filter_path="deleted,version_conflicts",
        )
        while True:
            answer = await self._client.call(
                "POST", target.path("_delete_by_query"), params=params, body=builder.erasure(target), accept={404}
            )
            if answer.status == 404 or not reader.read_erasure(answer.body):
                return

    async def refresh(self, target: Target) -> bool:
        """Make all that was written searchable; return whether there is an index at all."""
        answer = await self._client.call(
            "POST", target.path("_refresh"), params={"filter_path": "_shards.failed"}, accept={404}
        )
        if answer.status == 404:
            return False
        reader.read_refresh(answer.body)
        return True

    async def _state(self, target: Target) -> reader.IndexState | None:
        answer = await self._client.call(
            "GET", target.path(), params={"filter_path": "*.mappings._meta,*.aliases"}, accept={404}
        )
        return None if answer.status == 404 else reader.read_index(answer.body, target.index)

    def _check(self, target: Target, meta: reader.IndexMeta) -> None:
        if meta.kind != target.kind or meta.tenant not in {"", _tenant(target)}:
            raise Conflict(f"the index {target.index} was not made for this tenant; it is left alone")

    async def _create(self, target: Target) -> None:
        body = {
            "settings": mappings.settings(target.kind, shards=1 if target.dedicated else self._pool_shards),
            "mappings": _mapping(target.kind, tenant=_tenant(target)),
            "aliases": {target.alias: _ALIAS},
        }
        if await self._change(target, target.path(), body, done="resource_already_exists_exception"):
            _log.info("index_made", index=target.index)

    async def _describe(self, target: Target, *, owner: str) -> None:
        body = {
            "_meta": mappings.meta(target.kind, tenant=_tenant(target), owner=owner),
            "properties": mappings.properties(target.kind),
        }
        await self._change(target, target.path("_mapping"), body)

    async def _change(self, target: Target, path: str, body: dict[str, Any], *, done: str = "") -> bool:
        """Make or change the index; return false if someone else did: the refusal's kind is *done*."""
        try:
            await self._client.call("PUT", path, body=_JSON.encode(body))
        except Refused as refusal:
            if refusal.kind == done:
                return False
            # Most often the cluster's limit of shards: someone must act, and then it goes on by itself.
            _log.error("index_refused", index=target.index, kind=refusal.kind, reason=refusal.reason)
            raise Unavailable("the search store cannot make an index at present", retry_after_seconds=30) from refusal
        return True

    async def _template(self, kind: DocumentClass) -> None:
        """Keep a template, so that an index that someone else makes under our names (a restore) is ours in shape."""
        if kind in self._templates_made:
            return
        body = {
            "index_patterns": [f"{self._prefix}-*-{kind}"],
            "priority": _TEMPLATE_PRIORITY,
            "version": mappings.SCHEMA,
            "_meta": mappings.meta(kind),
            "template": {"settings": mappings.settings(kind, shards=1), "mappings": _mapping(kind, tenant="")},
        }
        await self._client.call("PUT", f"/_index_template/{self._prefix}-{kind}", body=_JSON.encode(body))
        self._templates_made.add(kind)


def _tenant(target: Target) -> str:
    return target.slug if target.dedicated else ""


def _mapping(kind: DocumentClass, *, tenant: str) -> dict[str, Any]:
    return {
        "dynamic": "strict",
        "_meta": mappings.meta(kind, tenant=tenant),
        "properties": mappings.properties(kind),
    }
