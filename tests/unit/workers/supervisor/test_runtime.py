"""What a running platform leaves for the commands beside it."""

from __future__ import annotations

import os
from pathlib import Path

from collegium_core.security.credentials import is_key
from collegium_workers.supervisor.orphans import ProcessMark, identify
from collegium_workers.supervisor.runtime import (
    Runtime,
    ensure_system_key,
    find_runtime,
    forget_runtime,
    write_runtime,
)


def runtime(started: str = "") -> Runtime:
    mark = identify("supervisor", os.getpid())
    assert mark is not None
    if started:
        mark = ProcessMark(mark.name, mark.pid, started)
    return Runtime(mark, url="http://127.0.0.1:1", metrics_url="http://127.0.0.1:2/metrics", redis_url="unix:///s")


def test_a_running_platform_is_found(tmp_path: Path) -> None:
    """What was written is read while its supervisor runs."""
    write_runtime(tmp_path, runtime())
    assert runtime() == find_runtime(tmp_path)
    assert 0o600 == (tmp_path / "runtime.json").stat().st_mode & 0o777


def test_what_a_dead_platform_left_does_not_count(tmp_path: Path) -> None:
    """After kill -9 the file is still there, its process is not."""
    write_runtime(tmp_path, runtime(started="an earlier boot:1"))
    assert find_runtime(tmp_path) is None


def test_nothing_is_found_where_nothing_ran(tmp_path: Path) -> None:
    """Neither before the first start nor after a good stop."""
    assert find_runtime(tmp_path) is None
    write_runtime(tmp_path, runtime())
    forget_runtime(tmp_path)
    assert find_runtime(tmp_path) is None


def test_a_printed_runtime_shows_no_password() -> None:
    """The address of the log may hold one."""
    assert "unix" not in repr(runtime())


def test_the_system_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """Every start hands on the same key; nobody else may read it."""
    path = ensure_system_key(tmp_path)
    key = path.read_text()
    assert is_key(key.strip())
    assert 0o600 == path.stat().st_mode & 0o777
    assert key == ensure_system_key(tmp_path).read_text()


def test_a_damaged_system_key_is_replaced(tmp_path: Path) -> None:
    """An empty file would let nobody in, or anybody."""
    (tmp_path / "system-key").write_text("")
    assert is_key(ensure_system_key(tmp_path).read_text().strip())
