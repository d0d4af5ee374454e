"""The project's own lint rules find what they are for, and nothing else."""

from __future__ import annotations

from textwrap import dedent

import pytest

from collegium_testing.lint.rules import check


def _rules(source: str, module: str = "collegium_api.anywhere") -> list[tuple[int, str]]:
    return [(finding.line, finding.rule) for finding in check(dedent(source).lstrip(), module)]


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import sqlite3", "collegium_api.lrs.statements"),
        ("import redis", "collegium_core.tenancy.registry"),
        ("from redis.asyncio import Redis", "collegium_core.storage.sqlite.files"),
        ("from opensearchpy import AsyncOpenSearch", "collegium_core.streams.log"),
        ("import opensearchpy.exceptions as errors", "collegium_workers.index.role"),
        ("def f():\n    import obstore", "collegium_core.lrs.attachments"),
        ("from collegium_core.storage.sqlite import SqliteBackend", "collegium_workers.index.role"),
        ("from collegium_core.storage import objects", "collegium_api.app"),
        ("import collegium_core.streams.connection", "collegium_operator.main"),
        ("from collegium_core.streams import TenantLog", "collegium_workers.runner"),
        ("from collegium_core.streams.log import TenantLog", "collegium_core.lrs.service"),
    ],
)
def test_raw_clients_are_found(source: str, module: str) -> None:
    """A store's client, or a part of ours that is bound to no tenant, is found wherever it does not belong."""
    assert {"tenant-scope"} == {rule for _, rule in _rules(source, module)}


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import sqlite3", "collegium_core.storage.sqlite.files"),
        ("from redis.asyncio import Redis", "collegium_core.streams.connection"),
        ("from collegium_core.streams.connection import Connection", "collegium_core.tenancy.registry"),
        ("from collegium_core.storage.opensearch import OpenSearchBackend", "collegium_core.tenancy.platform"),
        ("from collegium_core.storage.ports import IndexedStatement", "collegium_workers.index.role"),
        ("from collegium_core.streams import Acknowledged, Work", "collegium_workers.index.role"),
        ("from collegium_core.tenancy.scope import TenantScope", "collegium_api.context"),
        ("import redistribution", "collegium_api.context"),
    ],
)
def test_what_belongs_is_left_alone(source: str, module: str) -> None:
    """Stores' own packages, the tenancy that binds them, and names that only look alike are no finding."""
    assert [] == _rules(source, module)


@pytest.mark.parametrize("source", ["import json", "from json import dumps", "import json.decoder as d"])
def test_json_on_the_hot_path(source: str) -> None:
    """The standard json module is found where statements pass, and there alone."""
    assert [(1, "json-on-hot-path")] == _rules(source, "collegium_core.lrs.validation")
    assert [] == _rules(source, "collegium_api.console.routes")


@pytest.mark.parametrize(
    "call",
    [
        "time.sleep(1)",
        "open('x')",
        "sqlite3.connect('x')",
        "requests.get('x')",
        "subprocess.run(['x'])",
        "path.read_text()",
        "Path('x').mkdir()",
        "shutil.rmtree('x')",
        "nap(1)",
        "bcrypt.checkpw(b'', b'')",
        "[open(name) for name in names]",
        "urllib.request.urlopen('x')",
        "print(os.listdir())",
    ],
)
def test_blocking_calls_in_coroutines(call: str) -> None:
    """A call that waits for disk, clock or process is found in a coroutine, also under another name."""
    source = f"from time import sleep as nap\nasync def f():\n    if True:\n        x = {call}\n"
    assert [(4, "blocking-call")] == _rules(source)


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.to_thread(path.read_text)",
        "await asyncio.sleep(1)",
        "await loop.run_in_executor(None, lambda: open('x'))",
        "await client.mkdir('x')",
        "self.open()",
        "reopen()",
    ],
)
def test_calls_that_do_not_block(body: str) -> None:
    """What goes to a thread, what is awaited, and methods that share a name with a builtin are no finding."""
    assert [] == _rules(f"async def f(self):\n    {body}\n")


def test_functions_inside_a_coroutine_run_elsewhere() -> None:
    """A plain function may block, also one that a coroutine defines to hand it to a thread."""
    source = """
        def f():
            open("x")
        async def g():
            def inside():
                open("x")
            await asyncio.to_thread(inside)
    """
    assert [] == _rules(source)


def test_an_exception_needs_its_reason() -> None:
    """A comment excepts its line and rule when it says why; it is a finding where it says nothing or fits nothing."""
    excepted = "async def f():\n    open('x')  # lint: allow blocking-call - {reason}\n"
    assert [] == _rules(excepted.format(reason="before the loop serves anyone"))
    assert [(2, "allow")] == _rules("async def f():\n    open('x')  # lint: allow blocking-call\n")
    assert [(1, "allow")] == _rules("x = 1  # lint: allow blocking-call - no reason at all\n")
    assert [(2, "allow"), (2, "blocking-call")] == _rules(
        "async def f():\n    open('x')  # lint: allow tenant-scope - x\n"
    )
