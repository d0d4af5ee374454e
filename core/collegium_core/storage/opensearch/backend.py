"""The backend: one cluster's connections, and the ports of each tenant made of them."""

from __future__ import annotations

from typing import Final

from collegium_core.storage.opensearch.catalog import Catalog
from collegium_core.storage.opensearch.client import Client
from collegium_core.storage.opensearch.documents import OpenSearchDocuments
from collegium_core.storage.opensearch.placement import DocumentClass
from collegium_core.storage.opensearch.statements import OpenSearchStatements
from collegium_core.tenancy.record import Placement

__all__ = ["OpenSearchBackend"]

_CHECK_SECONDS: Final = 2.0


class OpenSearchBackend:
    """OpenSearch as a :class:`collegium_core.storage.ports.StorageBackend`; no I/O until it is used.

    Nothing needs to be there at the start: while the cluster is away every call raises ``Unavailable``, and goes on by
    itself when it is back.

    :param url: ``http[s]://[user:password@]host[:port][/prefix]``; kept out of messages and logs.
    :param prefix: what the names of all indices begin with: ``c-<slug>-statements``.
    :param pool_shards: primary shards of each pooled index, when this backend is the one to make it.
    :param timeout: seconds for a request.
    :param connect_timeout: seconds for making a connection.
    :raises ValueError: *url* is no such URL.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "c",
        pool_shards: int = 8,
        timeout: float = 30.0,
        connect_timeout: float = 2.0,
    ) -> None:
        self._client = Client(url, timeout=timeout, connect_timeout=connect_timeout)
        self._catalog = Catalog(self._client, prefix=prefix, pool_shards=pool_shards)

    def statements(self, slug: str, placement: Placement) -> OpenSearchStatements:
        """Return the statement store of one tenant; no I/O."""
        target = self._catalog.target(slug, placement, DocumentClass.STATEMENTS)
        return OpenSearchStatements(self._client, self._catalog, target)

    def documents(self, slug: str, placement: Placement) -> OpenSearchDocuments:
        """Return the document store of one tenant; no I/O."""
        target = self._catalog.target(slug, placement, DocumentClass.DOCUMENTS)
        return OpenSearchDocuments(self._client, self._catalog, target)

    async def adopt(self, slug: str, placement: Placement, owner: str) -> None:
        """Make the tenant's indices and note in their ``_meta`` whose they are.

        Doing it again changes nothing; another *owner* takes over (a Tenant deleted with its data retained, then made
        anew), an empty one changes nothing. Pooled indices belong to no single tenant and are only made.

        :raises Conflict: an index of this name belongs to something else.
        """
        for kind in DocumentClass:
            await self._catalog.adopt(self._catalog.target(slug, placement, kind), owner)

    async def check(self) -> None:
        """Answer within two seconds whether the cluster is reachable.

        :raises Unavailable: it is not; the detail says why.
        """
        await self._client.call(
            "GET", "/_cluster/health", params={"filter_path": "status", "timeout": "1s"}, timeout=_CHECK_SECONDS
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
