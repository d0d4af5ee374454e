"""Writes to a SQLite store until it is killed; prints the number of each write once it is acknowledged.

Arguments: the data folder, the tenant's slug, the first number.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from collegium_core.storage.sqlite import SqliteBackend
from collegium_core.tenancy.record import Placement
from collegium_testing.statements import statements

WRITE = 100


async def main(folder: str, slug: str, first: int) -> None:
    """Write without end: write *n* holds the statements from ``n * WRITE`` on."""
    store = SqliteBackend(Path(folder)).statements(slug, Placement.DEDICATED)
    number = first
    while True:
        await store.write(statements(WRITE, seed=number, first=number * WRITE, size=600))
        print(number, flush=True)
        number += 1


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
