"""Servers that tests start never outlive the run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from collegium_testing.processes import ProcessDiedError, end, free_port, spawn, wait_until
from collegium_testing.services.valkey import ValkeyServer

ROOT = Path(__file__).resolve().parents[3]
RUN_THAT_HANGS = """
import time
from pathlib import Path

def test_hangs(valkey_server):
    Path({report!r}).write_text(f"{{valkey_server.pid}} {{valkey_server.port}}")
    time.sleep(100)
"""


def _process_is_there(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status  # a zombie has ended, whoever comes to collect it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_kill_9_of_pytest_ends_its_servers(tmp_path: Path) -> None:
    """A server is gone within seconds after kill -9 of the pytest that started it."""
    report = tmp_path / "report"
    test = tmp_path / "test_hangs.py"
    test.write_text(RUN_THAT_HANGS.format(report=str(report)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    with subprocess.Popen(
        [*command, "-p", "collegium_testing.services.fixtures", str(test)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "support")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as run:
        wait_until(lambda: len(report.read_text().split()) == 2, what="the inner run", timeout=60)
        pid, port = map(int, report.read_text().split())
        assert _process_is_there(pid)
        run.kill()
    wait_until(lambda: not _process_is_there(pid), what="the end of the server", timeout=5)
    wait_until(lambda: not _answers(port), what="the end of its port", timeout=5)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except ConnectionRefusedError:
        return False


def test_the_end_of_a_thread_ends_nothing() -> None:
    """A child started from a short-lived thread lives on when that thread has ended."""
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(spawn(["sleep", "100"])))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert started[0].poll() is None
    assert end(started[0]) == -signal.SIGTERM


def test_environment_log_and_pid_are_the_commands_own(tmp_path: Path) -> None:
    """A command gets exactly the environment given, writes to its log, and runs under the process id returned."""
    process = spawn(["/bin/sh", "-c", "echo $$ $WORD"], log=tmp_path / "log", env={"WORD": "hello"})
    assert process.wait(10) == 0
    assert f"{process.pid} hello\n" == (tmp_path / "log").read_text()


def test_what_a_child_said_before_it_died_is_reported(tmp_path: Path) -> None:
    """Waiting for a child that ends early raises at once, with the end of its log."""
    log = tmp_path / "log"
    process = spawn(["/bin/sh", "-c", "echo port taken; exit 3"], log=log)
    with pytest.raises(ProcessDiedError, match=r"ended with 3\nport taken"):
        wait_until(lambda: False, what="it", timeout=20, process=process, log=log)


def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A missing program is named in the log."""
    process = spawn(["/nowhere/at-all"], log=tmp_path / "log")
    assert process.wait(10) == 1
    assert (tmp_path / "log").read_text() == "/nowhere/at-all: No such file or directory\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up being root")
def test_a_child_of_another_user_still_dies_with_the_run(tmp_path: Path) -> None:
    """Dropping root does not drop the tie to this process: the child runs as the user and has the signal set."""
    program = (
        "import ctypes, os, pathlib; signal = ctypes.c_int();"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(signal)); print(os.getuid(), os.getgid(), signal.value)"
    )
    log = tmp_path / "log"
    process = spawn(["/usr/bin/env", "python3", "-c", program], log=log, env={"PATH": "/usr/bin:/bin"}, user=65534)
    process.wait(20)
    assert log.read_text() == f"65534 65534 {signal.SIGKILL.value}\n"


def test_valkey_keeps_its_data_over_kill_9(valkey_server: ValkeyServer) -> None:
    """A killed server comes back on the same port with everything it acknowledged."""
    assert valkey_server.ask("SET", "a", "1") == "+OK\r\n"
    first = valkey_server.pid
    valkey_server.restart()
    assert first != valkey_server.pid
    assert valkey_server.ask("GET", "a") == "$1\r\n1\r\n"
    assert "always" in valkey_server.ask("CONFIG", "GET", "appendfsync")


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """A server whose port is taken fails to start and shows why."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ValkeyServer(tmp_path, port=taken.getsockname()[1])
        with pytest.raises((ProcessDiedError, TimeoutError), match="in use"):
            server.start()


def test_free_ports_can_be_bound() -> None:
    """A free port can be listened on."""
    with socket.create_server(("127.0.0.1", free_port())):
        pass
