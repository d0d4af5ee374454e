"""The tenant's handle: making what its stores need."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from collegium_core.settings import load
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import TenantRecord


def record(owner: str) -> TenantRecord:
    names = parse_name(f"provisioned-{uuid.uuid4().hex[:10]}")
    return TenantRecord(names.slug, names.display, names.canonical, owner=owner)


@pytest.fixture
async def platform(request: pytest.FixtureRequest, valkey_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    search = request.getfixturevalue("opensearch_url") if request.param == "opensearch" else ""
    environment = {"COLLEGIUM_REDIS_URL": valkey_url, "COLLEGIUM_OPENSEARCH_URL": search}
    platform = await Platform.open(load({**environment, "COLLEGIUM_DATA_DIR": str(tmp_path)}, cwd=tmp_path))
    yield platform
    await platform.close()


@pytest.mark.parametrize("platform", ["opensearch"], indirect=True)
async def test_the_indices_say_whose_they_are(platform: Platform, opensearch_url: str) -> None:
    """Provisioning notes the record's owner, and the new one when the record has changed hands."""
    before = record("learning/acme/uid-1")
    scope = platform.scope(before)
    try:
        async with aiohttp.ClientSession() as http:
            for owner in ("learning/acme/uid-1", "learning/acme/uid-2"):
                await platform.scope(msgspec.structs.replace(before, owner=owner)).provision()
                async with http.get(f"{opensearch_url}/c-{before.slug}-*/_mapping") as answer:
                    found: dict[str, Any] = await answer.json()
                assert 2 == len(found)
                assert {owner} == {each["mappings"]["_meta"]["owner"] for each in found.values()}
    finally:
        await scope.erase()


@pytest.mark.parametrize("platform", ["sqlite"], indirect=True)
async def test_both_files_are_made(platform: Platform, tmp_path: Path) -> None:
    """On one machine's disk there is a file for statements and one for documents, made once."""
    made = record("learning/acme/uid-1")
    scope = platform.scope(made)
    for _ in range(2):
        await scope.provision()
        files = {each.name for each in (tmp_path / "tenants" / made.slug).glob("*.db")}
        assert {"statements.db", "documents.db"} == files
    await scope.erase()
