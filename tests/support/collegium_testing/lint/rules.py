"""The project's own rules, read off the syntax tree: what no general linter can know."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["RULES", "Finding", "check"]

_ALLOWED = re.compile(r"#\s*lint: allow (?P<rule>[a-z-]+)(?P<reason> - \S.*)?")


@dataclass(frozen=True, order=True)
class Finding:
    """One break of a rule: where, which, and what to do instead."""

    line: int
    rule: str
    message: str


Rule = Callable[[ast.Module, str], Iterator[Finding]]


# What opens a store or a stream, and the one package that may import it.
_STORES = {
    "sqlite3": "collegium_core.storage",
    "opensearchpy": "collegium_core.storage",
    "obstore": "collegium_core.storage",
    "redis": "collegium_core.streams",
}
# Parts of our own packages that reach a store without saying for which tenant.
_IMPLEMENTATIONS = (
    "collegium_core.storage.sqlite",
    "collegium_core.storage.opensearch",
    "collegium_core.storage.objects",
    "collegium_core.streams.connection",
    "collegium_core.streams.log",
    "collegium_core.streams.pipe",
)
_RAW_NAMES = {"collegium_core.streams": {"Connection", "TenantLog", "tenant_key"}}
_DOORS = ("collegium_core.tenancy", "collegium_core.storage", "collegium_core.streams")


def tenant_scope(tree: ast.Module, module: str) -> Iterator[Finding]:
    """Stores and streams are reached through a tenant's scope: their clients are imported nowhere else."""
    for node, name in _imports(tree):
        for client, home in _STORES.items():
            if _within(name, client) and not _within(module, home):
                message = f"{name} opens a store: only {home} may import it; ask the tenant's scope"
                yield Finding(node.lineno, "tenant-scope", message)
        if any(_within(module, door) for door in _DOORS):
            continue
        package, _, last = name.rpartition(".")
        if any(_within(name, part) for part in _IMPLEMENTATIONS) or last in _RAW_NAMES.get(package, ()):
            message = f"{name} is bound to no tenant: only collegium_core.tenancy may import it; ask the tenant's scope"
            yield Finding(node.lineno, "tenant-scope", message)


_HOT_PATHS = ("collegium_api.lrs", "collegium_core.lrs", "collegium_core.streams", "collegium_workers.index")


def json_on_hot_path(tree: ast.Module, module: str) -> Iterator[Finding]:
    """Where every statement passes, JSON is msgspec's business: the standard library takes ten times as long."""
    if not any(_within(module, path) for path in _HOT_PATHS):
        return
    for node, name in _imports(tree):
        if _within(name, "json"):
            yield Finding(node.lineno, "json-on-hot-path", "statements pass here: use msgspec.json")


_BLOCKING = (
    "bcrypt.checkpw",
    "bcrypt.hashpw",
    "input",
    "open",
    "os.fdatasync",
    "os.fsync",
    "os.link",
    "os.listdir",
    "os.makedirs",
    "os.mkdir",
    "os.open",
    "os.remove",
    "os.rename",
    "os.replace",
    "os.scandir",
    "os.system",
    "os.unlink",
    "os.walk",
    "requests",
    "shutil",
    "socket.create_connection",
    "socket.getaddrinfo",
    "sqlite3",
    "subprocess",
    "time.sleep",
    "urllib.request.urlopen",
)
# Blocking for a pathlib.Path, and on nothing else that the project has; what is awaited is not one.
_BLOCKING_METHODS = {
    "hardlink_to",
    "is_dir",
    "is_file",
    "iterdir",
    "mkdir",
    "read_bytes",
    "read_text",
    "rglob",
    "rmdir",
    "symlink_to",
    "touch",
    "unlink",
    "write_bytes",
    "write_text",
}


def blocking_call(tree: ast.Module, module: str) -> Iterator[Finding]:
    """Nothing in a coroutine holds up the event loop: files, sleep, processes and hashing go to a thread."""
    del module
    names = _aliases(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for call, awaited in _calls(function):
            target = _dotted(call.func, names)
            if awaited:
                continue
            if any(_within(target, blocking) for blocking in _BLOCKING):
                message = f"{target}() blocks the event loop in {function.name}(): use asyncio.to_thread"
                yield Finding(call.lineno, "blocking-call", message)
            elif isinstance(call.func, ast.Attribute) and call.func.attr in _BLOCKING_METHODS:
                message = f".{call.func.attr}() blocks the event loop in {function.name}(): use asyncio.to_thread"
                yield Finding(call.lineno, "blocking-call", message)


RULES: dict[str, Rule] = {
    "tenant-scope": tenant_scope,
    "json-on-hot-path": json_on_hot_path,
    "blocking-call": blocking_call,
}
"""Each rule by the name under which a line may be excepted from it."""


def check(source: str, module: str) -> list[Finding]:
    """Return what breaks a rule in *source*, the text of the module of that dotted name, in order of lines.

    ``# lint: allow RULE - reason`` excepts the line it stands on; without a reason, or for a rule that the line does
    not break, the comment is a finding itself.
    """
    tree = ast.parse(source)
    found = {(finding.line, finding.rule): finding for rule in RULES.values() for finding in rule(tree, module)}
    for number, line in enumerate(source.splitlines(), 1):
        match = _ALLOWED.search(line)
        if match is None:
            continue
        excepted = found.pop((number, match["rule"]), None)
        if excepted is None:
            found[number, "allow"] = Finding(
                number, "allow", f"nothing here breaks {match['rule']}: remove the comment"
            )
        elif match["reason"] is None:
            found[number, "allow"] = Finding(number, "allow", f"say why: # lint: allow {match['rule']} - reason")
    return sorted(found.values())


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import with the dotted name it binds, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node, f"{node.module}.{alias.name}"


def _aliases(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name stands for: ``from time import sleep as nap`` gives nap → time.sleep."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full dotted name that *node* stands for, empty when it is no plain name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _calls(function: ast.AsyncFunctionDef) -> Iterator[tuple[ast.Call, bool]]:
    """Yield the calls that *function* itself makes, each with whether it is awaited.

    What it defines inside runs elsewhere and is left out.
    """
    waiting: list[tuple[ast.AST, bool]] = [(statement, False) for statement in function.body]
    while waiting:
        node, awaited = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Call):
            yield node, awaited
        waiting += [(child, isinstance(node, ast.Await)) for child in ast.iter_child_nodes(node)]
