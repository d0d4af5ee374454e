"""One child: started, watched, started again, stopped; with real processes."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from collegium_workers.supervisor.logstream import LogStream
from collegium_workers.supervisor.orphans import ProcessBook, identify, is_running
from collegium_workers.supervisor.processes import Child, ChildSpec

SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


class Scene:
    """A child with its book, its lines and its events."""

    def __init__(self, folder: Path, code: str, **fields: Any) -> None:
        self.output = io.StringIO()
        self.log = LogStream(self.output, "console")
        self.book = ProcessBook(folder / "pids.json")
        self.events: list[tuple[str, dict[str, Any]]] = []
        spec = ChildSpec(
            name="child", command=(sys.executable, "-c", code), environment=lambda: dict(os.environ), **fields
        )
        self.child = Child(spec, self.book, self.log, lambda name, **fields: self.events.append((name, fields)))

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when *condition* holds; twenty seconds are too long."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    async def wait_for_line(self, line: str, times: int = 1) -> None:
        """Return when *line* stands in the log *times* times."""
        await self.wait_for(lambda: self.output.getvalue().count(line) >= times)


async def test_lines_are_copied_with_the_name(tmp_path: Path) -> None:
    """What a child writes, on either stream, stands in the one log under its name."""
    scene = Scene(tmp_path, "import sys, time; print('one'); print('two', file=sys.stderr, flush=True); time.sleep(60)")
    with scene.log:
        await scene.child.start()
        await scene.wait_for_line("child     | two")
        await scene.child.stop()
    assert "child     | one\n" in scene.output.getvalue()


async def test_a_killed_child_is_started_again(tmp_path: Path) -> None:
    """Kill -9 is answered by a new process after a pause, and by an event with the exit code."""
    scene = Scene(tmp_path, SLEEP)
    with scene.log:
        await scene.child.start()
        first = scene.child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await scene.wait_for_line("up", times=1)
        await scene.wait_for(lambda: scene.child.pid not in {None, first})
        second = scene.child.pid
        assert [second] == [mark.pid for mark in ProcessBook(tmp_path / "pids.json").read()]
        await scene.child.stop()
    name, fields = scene.events[0]
    assert ("child-exited", "child", -9) == (name, fields["process"], fields["code"])


async def test_pauses_grow_while_it_keeps_failing(tmp_path: Path) -> None:
    """A child that ends at once is not started at full speed."""
    scene = Scene(tmp_path, "raise SystemExit(3)")
    with scene.log:
        await scene.child.start()
        await scene.wait_for(lambda: len(scene.events) >= 3)
        await scene.child.stop()
    pauses = [fields["restart_in_seconds"] for _, fields in scene.events[:3]]
    assert 0.05 <= pauses[0] <= 0.1 <= pauses[1] <= 0.2 <= pauses[2] <= 0.4
    assert 3 == scene.child.last_exit


async def test_stop_ends_it_and_does_not_start_it_again(tmp_path: Path) -> None:
    """After stop() nothing runs and the book is empty."""
    scene = Scene(tmp_path, SLEEP)
    with scene.log:
        await scene.child.start()
        await scene.wait_for_line("up")
        await scene.child.stop()
    assert scene.child.pid is None
    assert [] == ProcessBook(tmp_path / "pids.json").read()
    assert [] == scene.events


async def test_stop_during_a_pause_does_not_wait_for_it(tmp_path: Path) -> None:
    """A child that is down stays down when it is stopped."""
    scene = Scene(tmp_path, "raise SystemExit(1)")
    with scene.log:
        await scene.child.start()
        await scene.wait_for(lambda: len(scene.events) >= 1)
        began = time.monotonic()
        await scene.child.stop()
    assert time.monotonic() - began < 5
    assert scene.child.pid is None


async def test_one_that_does_not_drain_in_time_is_killed(tmp_path: Path) -> None:
    """SIGTERM, then after the limit SIGKILL, and an event that says so."""
    scene = Scene(tmp_path, STUBBORN, stop_seconds=0.3)
    with scene.log:
        await scene.child.start()
        await scene.wait_for_line("up")
        await scene.child.stop()
    assert ["child-killed"] == [name for name, _ in scene.events]
    assert scene.child.pid is None


async def test_a_program_that_is_not_there_cannot_run(tmp_path: Path) -> None:
    """The launcher fails to become it; that is an exit like any other."""
    scene = Scene(tmp_path, SLEEP)
    spec = ChildSpec(name="child", command=("/no/such/program",), environment=dict)
    child = Child(spec, scene.book, scene.log, lambda name, **fields: scene.events.append((name, fields)))
    with scene.log:
        await child.start()
        await scene.wait_for(lambda: len(scene.events) >= 1)
        await child.stop()
    assert "No such file or directory" in scene.output.getvalue()


async def test_run_once_returns_the_exit_code(tmp_path: Path) -> None:
    """A child for one job is not started again."""
    scene = Scene(tmp_path, "raise SystemExit(4)")
    with scene.log:
        assert 4 == await scene.child.run_once()
    assert [] == ProcessBook(tmp_path / "pids.json").read()


async def test_run_once_ends_its_process_when_cancelled(tmp_path: Path) -> None:
    """Nothing outlives the task that started it."""
    scene = Scene(tmp_path, SLEEP)
    with scene.log:
        task = asyncio.create_task(scene.child.run_once())
        await scene.wait_for_line("up")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert scene.child.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="the parent death signal is Linux's")
def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    """Kill -9 of the supervisor ends what it started."""
    launch = Path(sys.modules[ChildSpec.__module__].__file__ or "").with_name("launch.py")
    code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-I', '-S', {str(launch)!r}, str(os.getpid()), '9',"
        " sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        time.sleep(0.5)  # the launcher needs a moment to ask for the signal
        mark = identify("child", pid)
        assert mark is not None
        supervisor.kill()
    deadline = time.monotonic() + 5
    while is_running(mark):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_launcher_gives_up_when_the_supervisor_is_gone_already() -> None:
    """A signal that was asked for too late never comes: then nothing is started."""
    launch = Path(sys.modules[ChildSpec.__module__].__file__ or "").with_name("launch.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(launch), "1", "9", sys.executable, "-c", "print('started')"],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert (1, b"") == (done.returncode, done.stdout)
