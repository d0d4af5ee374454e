"""Statements and documents in OpenSearch, each tenant in indices of its own or in shared ones.

Importing this package does not import the client library: that happens when a backend is made.
"""

from __future__ import annotations

from collegium_core.storage.opensearch.backend import OpenSearchBackend

__all__ = ["OpenSearchBackend"]
