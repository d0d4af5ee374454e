"""Ralph's auth.json and the command that writes it."""

from __future__ import annotations

import stat
from pathlib import Path

import bcrypt
import msgspec
import pytest
from click.testing import CliRunner, Result

from collegium_core.commands import collegium
from collegium_core.security.auth_file import Entry, load_auth_file, parse_auth_file, write_entry
from collegium_core.security.passwords import hash_password, verify_password
from collegium_core.settings import SettingsError

_HASH = hash_password("secret", rounds=4)
_AGENT = {"mbox": "mailto:jane@example.org", "objectType": "Agent"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "app" / "auth.json"
    monkeypatch.setenv("COLLEGIUM_AUTH_FILE", str(file))
    cheap = bcrypt.gensalt(4)
    monkeypatch.setattr(bcrypt, "gensalt", lambda _rounds: cheap)
    return file


def _auth(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(collegium, ["auth", *arguments], input=answers)


def test_ralphs_file_is_read() -> None:
    """Users with and without target; members that Ralph writes as null count as absent; unknown scopes are kept."""
    data = msgspec.json.encode(
        [
            {"agent": {**_AGENT, "name": None}, "scopes": ["all", "example_scope"], "hash": _HASH, "username": "jane"},
            {"agent": _AGENT, "scopes": ["all"], "hash": _HASH, "username": "jane", "target": "acme"},
        ]
    )
    first, second = parse_auth_file(data, "auth.json")
    assert (first.target, second.target) == (None, "acme")
    assert first.credential.scopes == ("all", "example_scope")
    assert msgspec.json.encode(first.credential.agent) == msgspec.json.encode(_AGENT)


def test_every_fault_of_the_file_is_named() -> None:
    """One reading names every entry that cannot be used, by its place."""
    good = {"agent": _AGENT, "scopes": ["all"], "hash": _HASH, "username": "jane"}
    entries: list[object] = [
        good,
        good,
        {**good, "username": "a:b"},
        {**good, "username": "c", "hash": "geheim"},
        {**good, "username": "d", "scopes": []},
        {**good, "username": "e", "agent": {}},
        {**good, "username": "f", "agent": {"objectType": "Group", "mbox": "mailto:a@b.org"}},
        "g",
    ]
    with pytest.raises(SettingsError) as caught:
        parse_auth_file(msgspec.json.encode(entries), "auth.json")
    assert [fault.path for fault in caught.value.faults] == [
        *(f"auth.json[{number}]" for number in (1, 2, 3, 4)),
        "auth.json[5].agent",
        "auth.json[6].agent",
        "auth.json[7]",
    ]
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("data", [b"{}", b"[", b"\xff", b"null"])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    """The file holds a JSON list or nothing."""
    with pytest.raises(SettingsError, match="no JSON list"):
        parse_auth_file(data, "auth.json")


def test_a_missing_or_empty_file_has_no_users(path: Path) -> None:
    """No file is no error; one that cannot be read is."""
    assert load_auth_file(path) == []
    path.parent.mkdir()
    path.write_bytes(b"\n")
    assert load_auth_file(path) == []
    with pytest.raises(SettingsError, match="cannot be read"):
        load_auth_file(path.parent)


def test_the_command_prints_an_entry(path: Path) -> None:
    """Without -w the entry is JSON on standard output, nothing else, and no file is written."""
    result = _auth(
        "-u", "jane", "-p", "secret", "-s", "all", "-s", "odd", "-M", "mailto:jane@example.org", "-N", "Jane"
    )
    assert result.exit_code == 0
    entry = msgspec.json.decode(result.stdout, type=Entry)
    assert entry.agent == {**_AGENT, "name": "Jane"}
    assert (entry.username, entry.scopes, entry.target) == ("jane", ["all", "odd"], None)
    assert verify_password(b"secret", entry.hash)
    assert "'odd' is kept, but means nothing" in result.stderr
    assert not path.exists()


def test_the_command_writes_and_replaces(path: Path) -> None:
    """-w makes a private file, keeps others and what it does not know, replaces the same user of the same tenant."""
    first = ["--username", "jane", "--password", "one", "--scope", "all"]
    assert _auth(*first, "--write").exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    foreign = [*msgspec.json.decode(path.read_bytes()), {"other": 1}]
    path.write_bytes(msgspec.json.encode(foreign))
    path.chmod(0o644)
    assert _auth(*first, "-t", "acme", "--write-to-disk").exit_code == 0
    assert (
        _auth("-u", "jane", "-p", "two", "-s", "statements/read", "-O", "https://jane.example.org", "-w").exit_code == 0
    )
    document = msgspec.json.decode(path.read_bytes())
    assert [entry.get("target", entry.get("other")) for entry in document] == [None, 1, "acme"]
    assert verify_password(b"two", document[0]["hash"])
    assert document[0]["agent"] == {"openid": "https://jane.example.org", "objectType": "Agent"}
    assert document[2]["agent"]["account"] == {"name": "jane", "homePage": "http://localhost"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path] == list(path.parent.iterdir())


def test_the_password_is_asked_for(path: Path) -> None:
    """Left out, it is read twice and not shown; two that differ are asked for again."""
    result = _auth("-u", "jane", "-s", "all", "-w", answers="one\ntwo\none\none\n")
    assert result.exit_code == 0
    assert load_auth_file(path)[0].credential.username == "jane"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-M", "jane@example.org"], "mbox"),
        (["-S", "12"], "mbox_sha1sum"),
        (["-A", "jane", "nowhere"], "homePage"),
        (["-M", "mailto:a@b.org", "-O", "https://a.org"], "one identifier"),
        (["-t", "a/b"], "must not contain"),
        (["-p", "x" * 73], "72 bytes"),
        (["-p", "ck_" + "a" * 43], "generated key"),
        (["-u", "a:b"], "colon"),
    ],
)
def test_wrong_arguments_write_nothing(path: Path, arguments: list[str], says: str) -> None:
    """Each fault has a sentence, and the file is not touched."""
    result = _auth("-u", "jane", "-p", "secret", "-s", "all", "-w", *arguments)
    assert result.exit_code != 0
    assert says in " ".join(result.output.replace("│", " ").split())
    assert not path.exists()


def test_a_file_that_is_no_list_is_not_overwritten(path: Path) -> None:
    """What cannot be read is kept as it is."""
    path.parent.mkdir()
    path.write_bytes(b"{}")
    result = _auth("-u", "jane", "-p", "secret", "-s", "all", "-w")
    assert (2, b"{}") == (result.exit_code, path.read_bytes())


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: the old file stays whole and no other file is left."""
    entry = Entry(agent=_AGENT, scopes=["all"], hash=_HASH, username="jane")
    write_entry(path, entry)
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        write_entry(path, msgspec.structs.replace(entry, username="bob"))
    assert (before, [path]) == (path.read_bytes(), list(path.parent.iterdir()))
