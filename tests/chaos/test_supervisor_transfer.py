"""Import, export, demo and the commands beside them, against `collegium up` and against its data folder alone."""

from __future__ import annotations

import gzip
import itertools
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collegium_testing.up import OneMachine, collegium
from collegium_workers.transfer.generator import generate

COUNT = 6000


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OneMachine]:
    one = OneMachine(tmp_path)
    one.write_tenant("acme")
    with one:
        yield one


def write_statements(path: Path, count: int = COUNT, *, seed: int = 5) -> dict[str, bytes]:
    """Write made-up statements, gzip; return them by id."""
    made = list(itertools.islice(generate(seed), count))
    path.write_bytes(gzip.compress(b"\n".join(made) + b"\n", 1))
    return {msgspec.json.decode(each)["id"]: each for each in made}


def export(machine: OneMachine, output: Path) -> list[bytes]:
    done = collegium("export", "acme", "--data", machine.data, "-o", output)
    assert 0 == done.returncode, done.stderr
    return output.read_bytes().splitlines()


def assert_same(wanted: dict[str, bytes], exported: list[bytes]) -> None:
    """Every statement once, in stored order, its bytes as they were with the server's members added at the end."""
    found = {msgspec.json.decode(line)["id"]: line for line in exported}
    assert len(wanted) == len(exported) == len(found)
    assert all(found[each].startswith(raw[:-1]) for each, raw in wanted.items())
    stored = [msgspec.json.decode(line)["stored"] for line in exported]
    assert sorted(set(stored)) == stored


def test_an_export_can_be_piped_into_an_import(machine: OneMachine, tmp_path: Path) -> None:
    """From tenant to tenant without a file between; a line that is nonsense is told, the others go on."""
    machine.write_tenant("other")
    wanted = write_statements(tmp_path / "a.jsonl.gz", 1000)
    assert 0 == collegium("import", "acme", tmp_path / "a.jsonl.gz", "--data", machine.data).returncode
    command = str(machine.command()[0])
    piped = subprocess.run(
        ["sh", "-c", f'{{ "{command}" export acme; printf \'{{"x":"\\377"}}\\n\'; }} | "{command}" import other -'],
        env=os.environ | {"COLLEGIUM_DATA_DIR": str(machine.data)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "standard input: 1,000 statements accepted" in piped.stdout, piped.stderr
    assert "standard input:1001: is no JSON object: it is not UTF-8" in piped.stderr
    assert 1 == piped.returncode
    assert 0 == collegium("export", "other", "--data", machine.data, "-o", tmp_path / "out.jsonl").returncode
    found = [msgspec.json.decode(line)["id"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert sorted(wanted) == sorted(found)


def test_import_and_export_give_every_statement_back_once(machine: OneMachine, tmp_path: Path) -> None:
    """Imported twice, it is there once; the export holds the bytes that were received."""
    wanted = write_statements(tmp_path / "a.jsonl.gz")
    for _ in range(2):
        done = collegium("import", "acme", tmp_path / "a.jsonl.gz", "--data", machine.data)
        assert 0 == done.returncode, done.stderr
        assert "6,000 statements accepted" in done.stdout
    assert_same(wanted, export(machine, tmp_path / "out.jsonl"))


def test_an_interrupted_import_goes_on(machine: OneMachine, tmp_path: Path) -> None:
    """Kill -9 of the command in the middle; the same command finishes, and nothing is missing or there twice."""
    wanted = write_statements(tmp_path / "a.jsonl.gz", 30_000)
    command = [*map(str, machine.command()[:1]), "import", "acme", str(tmp_path / "a.jsonl.gz")]
    with subprocess.Popen([*command, "--data", str(machine.data)], env=machine.environment) as importing:
        while not list((machine.data / "imports").glob("*.json")):
            assert importing.poll() is None, "it was over before it could be interrupted"
            time.sleep(0.01)
        importing.kill()
    done = collegium("import", "acme", tmp_path / "a.jsonl.gz", "--data", machine.data)
    assert 0 == done.returncode, done.stderr
    assert "30,000 statements accepted" in done.stdout
    assert_same(wanted, export(machine, tmp_path / "out.jsonl"))


@pytest.mark.parametrize("name", ["valkey", "api", "index"])
def test_an_import_outlives_the_platforms_processes(machine: OneMachine, tmp_path: Path, name: str) -> None:
    """Kill -9 of any child in the middle of an import costs it a pause and nothing else."""
    wanted = write_statements(tmp_path / "a.jsonl.gz", 15_000)
    command = [*map(str, machine.command()[:1]), "import", "acme", str(tmp_path / "a.jsonl.gz")]
    with subprocess.Popen([*command, "--data", str(machine.data)], env=machine.environment) as importing:
        while not list((machine.data / "imports").glob("*.json")):
            assert importing.poll() is None
            time.sleep(0.01)
        os.kill(machine.children()[name], signal.SIGKILL)
        assert 0 == importing.wait(120)
    assert_same(wanted, export(machine, tmp_path / "out.jsonl"))


def test_bad_lines_are_named_and_the_others_go_on(machine: OneMachine, tmp_path: Path) -> None:
    """File, line and reason of each; exit code 1 in the end."""
    made = list(itertools.islice(generate(5), 1000))
    lines = [*made[:500], b"nonsense", *made[500:], b'{"id":"%s","actor":{}}' % str(uuid.uuid4()).encode()]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    done = collegium("import", "acme", path, "--data", machine.data)
    assert 1 == done.returncode
    assert f"{path}:501: is no JSON object" in done.stderr
    assert f"{path}:1002: refused with 400" in done.stderr
    assert "1,000 statements accepted" in done.stdout
    assert "2 lines refused" in done.stdout


def test_commands_work_on_the_folder_when_nothing_runs(machine: OneMachine, tmp_path: Path) -> None:
    """They start the platform for the duration, under the folder's lock, and leave nothing running."""
    wanted = write_statements(tmp_path / "a.jsonl.gz", 1000)
    assert 0 == machine.stop()
    done = collegium("import", "acme", tmp_path / "a.jsonl.gz", "--data", machine.data)
    assert 0 == done.returncode, done.stderr
    assert_same(wanted, export(machine, tmp_path / "out.jsonl.zst.jsonl"))
    assert not (machine.data / "runtime.json").exists()
    machine.start()
    assert 200 == machine.request(f"statements?statementId={next(iter(wanted))}")[0]


def test_demo_twice_adds_nothing(machine: OneMachine, tmp_path: Path) -> None:
    """The same seed makes the same statements."""
    for _ in range(2):
        done = collegium("demo", "--statements", "700", "--seed", "9", "--tenant", "acme", "--data", machine.data)
        assert 0 == done.returncode, done.stderr
    assert 700 == len(export(machine, tmp_path / "out.jsonl"))


def test_the_platform_fills_itself_for_a_newcomer(tmp_path: Path) -> None:
    """With `up --demo` the first tenant has life in it; a second start adds nothing."""
    one = OneMachine(tmp_path, "--demo", "300")
    one.write_tenant("acme")
    with one:
        for _ in range(2):
            while "300 statements accepted by acme" not in one.log:
                time.sleep(0.05)
            assert 300 == len(export(one, tmp_path / "out.jsonl"))
            assert 0 == one.stop()
            (tmp_path / "up.log").write_bytes(b"")
            one.start()


def test_demo_prints_where_nothing_runs(tmp_path: Path) -> None:
    """As lines of JSON, and the same ones every time."""
    first, second = (
        collegium("demo", "--statements", "300", "--seed", "3", "--data", tmp_path / "none").stdout for _ in range(2)
    )
    assert first == second
    assert [each.decode() for each in itertools.islice(generate(3), 300)] == first.splitlines()


def test_a_tenant_created_beside_the_platform_can_be_called(machine: OneMachine) -> None:
    """With the key that is shown once; created again it is refused; a restart still has it."""
    done = collegium("tenant", "create", "globex", "-u", "globex-user", "--data", machine.data)
    assert 0 == done.returncode, done.stderr
    key = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("password "))
    assert 200 == machine.request("statements", tenant="globex", password=key)[0]
    again = collegium("tenant", "create", "GLOBEX", "--data", machine.data)
    assert 1 == again.returncode
    assert "exists already" in again.stderr
    listed = collegium("tenant", "list", "--json", "--data", machine.data)
    names = [msgspec.json.decode(line)["display"] for line in listed.stdout.splitlines()]
    assert ["acme", "default", "globex"] == names
    machine.stop()
    machine.start()
    assert 200 == machine.request("statements", tenant="globex", password=key)[0]


def test_dead_letters_can_be_listed(machine: OneMachine) -> None:
    """There are none yet; a tenant that is not there is a clear error."""
    done = collegium("deadletters", "list", "acme", "--data", machine.data)
    assert (0, "", "no dead letters\n") == (done.returncode, done.stdout, done.stderr)
    absent = collegium("deadletters", "list", "nobody", "--data", machine.data)
    assert 1 == absent.returncode
    assert "there is no tenant 'nobody'" in absent.stderr
