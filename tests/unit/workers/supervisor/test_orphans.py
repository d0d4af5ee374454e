"""Recognising and ending what an earlier supervisor left, with real processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collegium_workers.supervisor import orphans
from collegium_workers.supervisor.orphans import ProcessBook, ProcessMark, end_orphans, identify, is_running

SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SLEEP])
    yield process
    process.kill()
    process.wait(10)


def mark_of(process: subprocess.Popen[bytes]) -> ProcessMark:
    mark = identify("child", process.pid)
    assert mark is not None
    return mark


def test_a_running_process_is_recognised(sleeper: subprocess.Popen[bytes]) -> None:
    """The mark that was taken of it holds as long as it runs."""
    assert is_running(mark_of(sleeper))


def test_the_same_process_id_at_another_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    """A process id that was used again is not an orphan, and is never signalled."""
    stranger = ProcessMark("child", sleeper.pid, "an earlier boot:42")
    assert not is_running(stranger)


async def test_a_stranger_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    """Ending orphans touches only the very processes that were written down."""
    assert [] == await end_orphans([ProcessMark("child", sleeper.pid, "an earlier boot:42")], patience=0.2)
    assert sleeper.poll() is None


def test_a_process_that_waits_to_be_reaped_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    """A zombie holds nothing open; waiting for it would last for ever where process 1 reaps nobody."""
    mark = mark_of(sleeper)
    sleeper.kill()
    deadline = time.monotonic() + 5
    while is_running(mark):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_process_has_no_mark() -> None:
    """A process id beyond all limits belongs to nobody."""
    assert identify("child", 2**30) is None


async def test_an_orphan_that_ends_by_itself_is_not_told(sleeper: subprocess.Popen[bytes]) -> None:
    """The kernel's death signal may be on its way: first one waits."""
    mark = mark_of(sleeper)
    sleeper.terminate()
    assert [] == await end_orphans([mark], patience=5)


async def test_an_orphan_that_stays_is_terminated(sleeper: subprocess.Popen[bytes]) -> None:
    """After the patience it gets SIGTERM."""
    mark = mark_of(sleeper)
    assert [mark] == await end_orphans([mark], patience=0.2)
    assert not is_running(mark)


async def test_an_orphan_that_ignores_sigterm_is_killed() -> None:
    """SIGKILL is the last word."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"up\n" == process.stdout.readline()
        mark = mark_of(process)
        assert [mark] == await end_orphans([mark], patience=0.2)
        assert not is_running(mark)


async def test_book_keeps_what_runs_and_forgets_what_has_ended(tmp_path: Path) -> None:
    """The next supervisor reads exactly the children that were running."""
    book = ProcessBook(tmp_path / "pids.json")
    valkey, api = ProcessMark("valkey", 10, "a"), ProcessMark("api", 11, "b")
    await book.add(valkey)
    await book.add(api)
    await book.remove(10)
    assert [api] == ProcessBook(tmp_path / "pids.json").read()


@pytest.mark.parametrize("content", [None, b"", b"{", b'[{"pid":"x"}]'])
def test_an_unreadable_book_names_nobody(tmp_path: Path, content: bytes | None) -> None:
    """A first start has no book; a broken one stops no start."""
    path = tmp_path / "pids.json"
    if content is not None:
        path.write_bytes(content)
    assert [] == ProcessBook(path).read()


async def test_a_book_that_cannot_be_written_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk stops no child from being started again; what is in mind is written when there is space."""
    monkeypatch.setattr(orphans, "_RETRY_SECONDS", 0.01)
    folder = tmp_path / "data"
    book = ProcessBook(folder / "pids.json")
    mark = ProcessMark(name="api", pid=1, started="then")
    await book.add(mark)  # the folder is missing, which is as good as full
    keeping = asyncio.create_task(book.keep())
    folder.mkdir()
    async with asyncio.timeout(5):
        while book.read() != [mark]:
            await asyncio.sleep(0.01)
    keeping.cancel()
