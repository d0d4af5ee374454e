"""The shape of the tree that everything else relies on."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

ROOT = Path(__file__).resolve().parents[2]
# Written in pieces, so that this file is not a finding of its own.
HOSTS = tuple(
    first + last
    for first, last in (
        ("pypi", ".org"),
        ("pythonhosted", ".org"),
        ("proxy.golang", ".org"),
        ("sum.golang", ".org"),
        ("registry.npmjs", ".org"),
        ("repo.maven", ".apache.org"),
        ("repo1", ".maven.org"),
        ("crates", ".io"),
        ("deb.debian", ".org"),
        ("archive.ubuntu", ".com"),
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:home|root|Users|work)/[\w.]")


def _tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the tree")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def _lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in _tracked()
        for number, line in enumerate(file.read_bytes().decode(errors="replace").splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def test_the_folder_operator_is_no_package() -> None:
    """An ``operator/__init__.py`` would take the place of the standard library's module of that name."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_folder_of_tests_is_a_package() -> None:
    """``tests/…/operator/__init__.py`` would do the same under pytest; and none of the others is needed."""
    assert [] == [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("__init__.py")]


@pytest.mark.parametrize("options", [["-P"], []])
def test_the_standard_operator_module_is_found(options: list[str]) -> None:
    """Started from the root of the tree, Python finds its own ``operator``."""
    program = "import operator; assert operator.eq(1, 1); print(operator.__file__)"
    command = [sys.executable, *options, "-c", program]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not Path(found.stdout.strip()).is_relative_to(ROOT / "operator")


def test_no_file_names_a_registry() -> None:
    """Which mirror packages come from is a matter of the machine: no file names a registry's host."""
    assert [] == _lines(re.compile("|".join(map(re.escape, HOSTS))))


def test_no_file_names_a_folder_of_one_machine() -> None:
    """Nothing in the tree relies on somebody's home folder or work folder."""
    assert [] == _lines(MACHINE_PATHS)


def test_locks_pin_every_package_by_hash() -> None:
    """Every requirement of every lock file is an exact version with a hash."""
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert {"api.txt", "dev.txt", "operator.txt", "uv.txt", "workers.txt"} == {lock.name for lock in locks}
    for lock in [*locks, *(ROOT / "tests" / "services").glob("*.txt")]:
        lines = re.sub(r"\\\n", "", re.sub(r"(?m)^ *#.*\n", "", lock.read_text())).splitlines()
        assert lines, lock.name
        for line in lines:
            assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.!+-]+ .*--hash=sha256:", line), f"{lock.name}: {line[:80]}"


def test_unit_tests_have_no_network() -> None:
    """A unit test that opens a connection fails."""
    with pytest.raises((SocketBlockedError, UserWarning), match="tried to use socket"):
        socket.socket(socket.AF_INET)
