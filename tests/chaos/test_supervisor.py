"""`collegium up` with real processes: who dies, who comes back, what is found afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collegium_testing.up import KEY, OneMachine, collegium
from collegium_workers.supervisor.orphans import ProcessMark, identify, is_running

OTHER_KEY = "ck_" + "Z" * 43


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OneMachine]:
    one = OneMachine(tmp_path)
    one.write_tenant("acme")
    with one:
        yield one


def wait_for(condition: Callable[[], bool], *, seconds: float) -> float:
    """Return how long it took until *condition* held."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if condition():
                return time.monotonic() - began
        assert time.monotonic() - began < seconds, "it took too long"
        time.sleep(0.02)


def marks(machine: OneMachine) -> list[ProcessMark]:
    found = [identify(name, pid) for name, pid in machine.children().items()]
    return [mark for mark in found if mark is not None]


def count(machine: OneMachine) -> int:
    status, body = machine.request("statements")
    return body.count(b'"stored"') if status == 200 else -1


def test_children_die_with_the_supervisor_and_a_new_start_finds_everything(machine: OneMachine) -> None:
    """Kill -9 of the supervisor leaves nobody after 5 s; what was acknowledged a moment before is there again."""
    before = marks(machine)
    assert {"valkey", "api", "index"} == {mark.name for mark in before}
    statement_id = str(uuid.uuid4())
    machine.post(statement_id)
    machine.kill()
    wait_for(lambda: not any(is_running(mark) for mark in before), seconds=5)
    machine.start()
    assert 200 == machine.request(f"statements?statementId={statement_id}")[0]
    wait_for(lambda: count(machine) == 1, seconds=60)


def test_a_second_start_says_so_and_touches_nothing(machine: OneMachine) -> None:
    """It names process and URL of the first, ends with another code than 0, and the first goes on."""
    held = {path: path.stat().st_mtime_ns for path in machine.data.iterdir() if path.is_file()}
    children = machine.children()
    second = collegium("up", "--data", machine.data, "--manifests", machine.manifests, "--port", "0")
    assert 1 == second.returncode
    assert f"process id {machine.pid} at {machine.ready['url']}" in second.stderr
    assert "Traceback" not in second.stderr
    assert held == {path: path.stat().st_mtime_ns for path in machine.data.iterdir() if path.is_file()}
    assert children == machine.children()
    machine.post(str(uuid.uuid4()))


def test_sigterm_drains_and_leaves_nothing_running(machine: OneMachine) -> None:
    """Exit code 0, no child, no runtime file; the next start finds the data."""
    before = marks(machine)
    statement_id = str(uuid.uuid4())
    machine.post(statement_id)
    assert 0 == machine.stop()
    assert not any(is_running(mark) for mark in before)
    assert not (machine.data / "runtime.json").exists()
    assert "stopping" == machine.events()[-1]["event"]
    machine.start()
    assert 200 == machine.request(f"statements?statementId={statement_id}")[0]


@pytest.mark.parametrize("name", ["valkey", "api", "index"])
def test_a_killed_child_comes_back(machine: OneMachine, name: str) -> None:
    """Under its name, with an event; statements from before are there, new ones are taken and become searchable."""
    machine.post(str(uuid.uuid4()))
    first = machine.children()[name]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: machine.children().get(name) not in {None, first}, seconds=15)
    wait_for(lambda: machine.request("statements")[0] == 200, seconds=30)
    exits = [event for event in machine.events() if event["event"] == "child-exited"]
    assert (name, -9) == (exits[0]["process"], exits[0]["code"])
    machine.post(str(uuid.uuid4()))
    # Whoever held the tenant's lease when it lost its log lets it run out.
    wait_for(lambda: count(machine) == 2, seconds=60)


def test_a_killed_replica_refuses_no_connection(tmp_path: Path) -> None:
    """The listening socket is the supervisor's: while one API process is started again, the other answers."""
    one = OneMachine(tmp_path, "--api-replicas", "2")
    one.write_tenant("acme")
    with one:
        stop, refused, answered = threading.Event(), [], []

        def ask() -> None:
            while not stop.is_set():
                try:
                    url = f"{one.ready['url']}/healthz"
                    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own process
                        answered.append(answer.status)
                except ConnectionRefusedError as error:
                    refused.append(error)
                except OSError:
                    pass  # it was this one's connection that died with the process

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for name in ("api-1", "api-2"):
                first = one.children()[name]
                os.kill(first, signal.SIGKILL)
                wait_for(lambda name=name, first=first: one.children().get(name) not in {None, first}, seconds=15)
                time.sleep(1)
        finally:
            stop.set()
            asking.join(40)
        assert [] == refused
        assert answered


def test_orphans_of_another_supervisor_are_waited_for_or_ended(machine: OneMachine, tmp_path: Path) -> None:
    """What the book names and still runs is ended before the new Valkey touches the files."""
    machine.stop()
    with subprocess.Popen(["sleep", "60"]) as orphan:
        mark = identify("valkey", orphan.pid)
        assert mark is not None
        text = f'[{{"name":"valkey","pid":{mark.pid},"started":"{mark.started}"}}]'
        (machine.data / "pids.json").write_text(text)
        machine.start()
        assert not is_running(mark)
    assert ["valkey"] == [event["process"] for event in machine.events() if event["event"] == "orphan-ended"]


def test_manifests_take_effect_while_it_runs(machine: OneMachine) -> None:
    """A new password works and the old one does not within 2 s; so do a new and a removed tenant; data is kept."""
    machine.post(str(uuid.uuid4()))
    machine.write_tenant("acme", password=OTHER_KEY)
    assert wait_for(lambda: machine.request("statements", password=OTHER_KEY)[0] == 200, seconds=2) < 2
    assert 401 == machine.request("statements", password=KEY)[0]
    globex = machine.write_tenant("globex")
    wait_for(lambda: machine.request("statements", tenant="globex")[0] == 200, seconds=3)
    globex.unlink()
    wait_for(lambda: machine.request("statements", tenant="globex")[0] == 401, seconds=3)
    (machine.manifests / "broken.yaml").write_text("apiVersion: collegium.dev/v1alpha1\nkind: Tenant\nspec: {x: 1}\n")
    wait_for(lambda: any(event["event"] == "manifest-fault" for event in machine.events()), seconds=3)
    fault = next(event for event in machine.events() if event["event"] == "manifest-fault")
    assert str(machine.manifests / "broken.yaml") == fault["file"]
    assert 1 <= fault["line"]
    wait_for(lambda: machine.request("statements", password=OTHER_KEY)[1].count(b'"stored"') == 1, seconds=10)


def test_metrics_are_one_sum(machine: OneMachine) -> None:
    """One address tells what API and worker counted."""
    machine.post(str(uuid.uuid4()))

    def told() -> bool:
        with urllib.request.urlopen(machine.ready["metrics_url"], timeout=10) as answer:  # noqa: S310 - our own process
            text = answer.read().decode()
        accepted = 'collegium_statements_accepted_total{tenant="acme"} 1.0' in text
        return accepted and "collegium_statements_indexed_total{" in text

    wait_for(told, seconds=15)


def test_a_long_path_needs_no_socket(tmp_path: Path) -> None:
    """Where the socket's path would be too long, Valkey listens on a loopback port."""
    one = OneMachine(tmp_path / ("long" * 25))
    one.write_tenant("acme")
    with one:
        one.post(str(uuid.uuid4()))


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """It names address and option; nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = collegium("up", "--data", tmp_path / "data", "--port", str(port), "--metrics-port", "0")
    assert 1 == done.returncode
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    """A file in the folder's place stands for every reason the system may have."""
    (tmp_path / "data").write_text("")
    done = collegium("up", "--data", tmp_path / "data", "--port", "0", "--metrics-port", "0")
    assert 1 == done.returncode
    assert "is not a folder; choose another with --data" in done.stderr
    assert 1 == len(done.stderr.strip().splitlines())


def test_people_get_a_request_to_paste(tmp_path: Path) -> None:
    """The welcome's command, run by a shell, stores a statement."""
    one = OneMachine(tmp_path)
    one.write_tenant("acme")
    command = [str(part) for part in one.command() if part != "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=one.environment) as up:
        try:
            assert up.stdout is not None
            line = next(line.decode() for line in up.stdout if line.startswith(b"curl "))
            pasted = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=False, timeout=60)
        finally:
            up.terminate()
            up.stdout.close() if up.stdout else None
            assert 0 == up.wait(60)
    assert 0 == pasted.returncode, pasted.stderr
    assert 1 == len(uuid.UUID(pasted.stdout.decode().strip('[]"\n ')).hex) // 32
