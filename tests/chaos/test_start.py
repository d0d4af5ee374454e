"""What stands in the way of a start is one clear line and an exit code; one tenant's fault stops no other tenant."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collegium_testing.up import OneMachine, collegium

PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
FILE_CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: with these root may write anywhere
_LIBC = ctypes.CDLL(None, use_errno=True)

# What the command is, but for the one function that chooses the embedded Valkey's port.
WITH_PORT = """
import sys
from collegium_workers.supervisor import valkey
port = int(sys.argv.pop(1))
valkey.free_port = lambda: port
from collegium_core.commands import main
main()
"""


BROKEN = """\
apiVersion: collegium.dev/v1alpha1
kind: Tenant
metadata: {name: initech}
spec: {colour: red}
---
apiVersion: collegium.dev/v1alpha1
kind: Tenant
metadata: {name: hooli}
spec:
  api: {mode: 3}
---
"""


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with no settings of this environment's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COLLEGIUM_")}
    return subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=env,
        **options,  # type: ignore[call-overload]
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line for people that says all of *words*, no trace, and an exit code."""
    assert 0 != done.returncode
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # the others are the log's
    framed = [line.strip("│ ") for line in lines if line.startswith("│")]
    lines = framed or lines
    assert 1 == len(lines), done.stderr
    assert [] == [word for word in words if word not in lines[0]], lines[0]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneMachine]:
    one = OneMachine(tmp_path_factory.mktemp("machine"))
    one.write_tenant("acme")
    with one:
        yield one


def test_the_ports_of_api_and_metrics_are_taken(tmp_path: Path, taken_port: int) -> None:
    """Address, reason and option are named; nothing is left running."""
    for option, other in (("--port", "--metrics-port"), ("--metrics-port", "--port")):
        done = collegium("up", "--data", tmp_path / "data", option, str(taken_port), other, "0")
        assert_one_line(done, f"cannot listen on 127.0.0.1:{taken_port} (Address already in use)", option)
        assert [] == json.loads((tmp_path / "data" / "pids.json").read_bytes() if other == "--port" else "[]")


def test_the_port_of_valkey_is_taken_at_the_start(tmp_path: Path, taken_port: int) -> None:
    """Where the folder's path is too long for a socket: the reason and Valkey's log are named."""
    data = tmp_path / ("long" * 25)
    command = (sys.executable, "-c", WITH_PORT, str(taken_port), "up", "--data", data)
    done = run(*command, "--port", "0", "--metrics-port", "0")
    log = data / "valkey" / "valkey.log"
    assert_one_line(done, f"the embedded Valkey ended: its port is taken by another program (see {log})")
    assert [] == json.loads((data / "pids.json").read_bytes())


def test_the_port_of_valkey_is_taken_later(tmp_path: Path) -> None:
    """Its restarts fail with the reason, told as events; with the port free it comes back, and all is there."""
    machine = OneMachine(tmp_path / ("long" * 25))
    machine.write_tenant("acme")
    with machine:
        machine.post("5b0b3b3c-7c3f-4a8e-9d43-0f3b7d6b1c11")
        lines = (machine.data / "valkey" / "valkey.conf").read_text().splitlines()
        port = next(int(line.split()[1]) for line in lines if line.startswith("port "))
        # The supervisor must not be quicker than we are.
        os.kill(machine.pid, signal.SIGSTOP)
        try:
            os.kill(machine.children()["valkey"], signal.SIGKILL)
            squatter = _take(port)
        finally:
            os.kill(machine.pid, signal.SIGCONT)
        with squatter:
            _wait(lambda: any("its port is taken" in event.get("detail", "") for event in machine.events()))
            assert 503 == machine.request("statements")[0]
        _wait(lambda: machine.request("statements?statementId=5b0b3b3c-7c3f-4a8e-9d43-0f3b7d6b1c11")[0] == 200)


def _take(port: int) -> socket.socket:
    deadline = time.monotonic() + 5
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _wait(condition, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _without_rights() -> None:
    """Let this process, even root's, write only where its user may."""
    for capability in FILE_CAPABILITIES:
        if _LIBC.prctl(PR_CAPBSET_READ, capability) == 1 and _LIBC.prctl(PR_CAPBSET_DROP, capability) != 0:
            raise OSError(ctypes.get_errno(), "this process may not give up its capabilities")


@pytest.mark.skipif(sys.platform != "linux", reason="rights are given up the way of Linux")
@pytest.mark.parametrize("inside", [".", "valkey"])
def test_a_data_folder_that_may_not_be_written(tmp_path: Path, inside: str) -> None:
    """The folder is named, whichever part of it it is; root without its privileges is a user like any other."""
    data = tmp_path / "data"
    folder = data / inside
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    command = (Path(sys.executable).with_name("collegium"), "up", "--data", data)
    done = run(*command, "--port", "0", "--metrics-port", "0", preexec_fn=_without_rights)
    folder.chmod(0o700)
    assert_one_line(done, str(folder), "not writable" if inside == "." else "cannot be written: Permission denied")
    assert [] == [*folder.iterdir()]


def test_manifests_with_faults_keep_no_other_tenant_out(tmp_path: Path) -> None:
    """File, line and field of an unknown field and a wrong type are named; the documents around them are in force."""
    machine = OneMachine(tmp_path)
    machine.write_tenant("acme")
    file = machine.write_tenant("globex")
    good = file.read_text()
    file.write_text(BROKEN + good)
    (machine.manifests / "nonsense.yaml").write_text("a: [1,\n")
    with machine:
        assert [200] * 2 == [machine.request("statements", tenant=name)[0] for name in ("acme", "globex")]
        assert [401] * 2 == [machine.request("statements", tenant=name)[0] for name in ("initech", "hooli")]
        _wait(lambda: len([each for each in machine.events() if each["event"] == "manifest-fault"]) == 3)
        faults = [each for each in machine.events() if each["event"] == "manifest-fault"]
        assert {
            (str(file), 4, "spec.colour", "unknown field; known here"),
            (str(file), 10, "spec.api.mode", "must be a string, is a whole number"),
            (str(machine.manifests / "nonsense.yaml"), 2, "", "is not YAML"),
        } == {(each["file"], each["line"], each["field"], each["detail"].split(":")[0]) for each in faults}
        assert "Traceback" not in machine.log
        assert 0 == machine.stop()


@pytest.mark.parametrize(
    "command",
    [
        ("import", "nobody", "FILE"),
        ("export", "nobody", "-o", "OUT"),
        ("demo", "--statements", "5", "--tenant", "nobody"),
        ("deadletters", "list", "nobody"),
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_tenant_is_one_line(machine: OneMachine, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Beside a running platform: the name is repeated, nothing is written."""
    (tmp_path / "file.jsonl").write_text("{}\n")
    files = {"FILE": str(tmp_path / "file.jsonl"), "OUT": str(tmp_path / "out.jsonl")}
    done = collegium(*(files.get(word, word) for word in command), "--data", machine.data)
    assert_one_line(done, "there is no tenant 'nobody'")
    assert not (tmp_path / "out.jsonl").exists()
