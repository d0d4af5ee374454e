"""The cache of services is filled once, whole, and by one process at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from collegium_testing.services.cache import cache_root, fingerprint, install
from collegium_testing.services.component import Workshop
from collegium_testing.services.opensearch import _compare_hashes
from collegium_testing.services.toolchains import JavaRuntime, java_version


def test_the_cache_is_where_the_desktop_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``XDG_CACHE_HOME`` names the parent of the cache; without it that is ``~/.cache``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tmp_path / "collegium" == cache_root()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path / ".cache" / "collegium" == cache_root()


def test_a_key_changes_with_each_part(tmp_path: Path) -> None:
    """Texts and files count, and so does where one ends and the next begins."""
    file = tmp_path / "file"
    file.write_text("a")
    keys = [fingerprint("a", file), fingerprint("b", file), fingerprint("aa"), fingerprint("a", "a", "")]
    file.write_text("b")
    keys.append(fingerprint("a", file))
    assert len(keys) == len(set(keys))


def test_a_second_call_does_nothing(tmp_path: Path) -> None:
    """What is there is not built again."""
    calls: list[Path] = []
    for _ in range(2):
        install(tmp_path / "thing", calls.append)
    assert 1 == len(calls)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """A recipe that fails half-way leaves neither the target nor remains, and the next try starts afresh."""

    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        install(tmp_path / "thing", fails)
    assert not (tmp_path / "thing").exists()
    assert [] == [path for path in tmp_path.iterdir() if path.is_dir()]
    install(tmp_path / "thing", lambda folder: (folder / "whole").touch())
    assert (tmp_path / "thing" / "whole").exists()


def test_remains_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    """What a killed process left behind goes with the next build."""
    remains = tmp_path / ".thing.partial-abc"
    remains.mkdir()
    install(tmp_path / "thing", lambda _: None)
    assert not remains.exists()


def test_two_that_want_the_same_build_it_once(tmp_path: Path) -> None:
    """While one builds, the other waits and then uses what is there."""
    calls: list[Path] = []

    def slow(folder: Path) -> None:
        calls.append(folder)
        time.sleep(0.2)
        (folder / "whole").touch()

    threads = [threading.Thread(target=install, args=(tmp_path / "thing", slow)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(calls)
    assert (tmp_path / "thing" / "whole").exists()


def test_a_jar_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    """A changed, an additional and a missing jar are each named."""
    jars, pins = tmp_path / "jars", tmp_path / "pins"
    jars.mkdir()
    (jars / "changed.jar").write_bytes(b"changed")
    (jars / "more.jar").write_bytes(b"")
    pins.write_text(f"{'0' * 64}  changed.jar\n{'0' * 64}  missing.jar\n")
    with pytest.raises(RuntimeError, match=r"changed\.jar, missing\.jar, more\.jar"):
        _compare_hashes(jars, pins)


@pytest.mark.parametrize(
    ("release", "version"),
    [('JAVA_VERSION="25.0.3"\n', 25), ('X="1"\nJAVA_VERSION="1.8.0_392"\n', 8), ('JAVA_VERSION="21"\n', 21), ("", 0)],
)
def test_java_says_its_version(tmp_path: Path, release: str, version: int) -> None:
    """The version is read from the runtime's release file, in the old and the new style."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    (tmp_path / "release").write_text(release)
    assert version == java_version(tmp_path)


def test_the_java_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``OPENSEARCH_JAVA_HOME`` comes first when it is new enough."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    (tmp_path / "release").write_text('JAVA_VERSION="99"\n')
    monkeypatch.setenv("OPENSEARCH_JAVA_HOME", str(tmp_path))
    assert tmp_path == JavaRuntime().home()


def test_a_failed_command_shows_what_it_said() -> None:
    """The error holds the command, its exit code and its last lines; each line was also shown as progress."""
    said: list[str] = []
    with pytest.raises(RuntimeError, match=r"sh .* ended with 4:\nno network"):
        Workshop(said.append).run("sh", "-c", "echo no network >&2; exit 4")
    assert ["no network"] == said


def test_a_command_that_is_not_there_is_named() -> None:
    """A missing program is a clear error too."""
    with pytest.raises(RuntimeError, match="/nowhere/at-all: No such file"):
        Workshop().run("/nowhere/at-all")
