"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from collegium_core.files import check_writable, write_whole


def test_content_mode_and_nothing_beside_it(tmp_path: Path) -> None:
    """A new file and a replaced one hold what was given, and are the owner's alone whatever they were before."""
    path = tmp_path / "key"
    for content in (b"first", b"", b"third" * 100_000):
        write_whole(path, content)
        assert (content, 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        path.chmod(0o644)
    assert [path] == list(tmp_path.iterdir())


def test_file_and_folder_are_synced_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before it has its name, the name before the call returns."""
    path = tmp_path / "file"
    steps: list[tuple[str, bool]] = []
    sync = os.fsync

    def noting(handle: int) -> None:
        steps.append(("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content", path.exists()))
        sync(handle)

    monkeypatch.setattr("os.fsync", noting)
    write_whole(path, b"content")
    assert [("content", False), ("folder", True)] == steps


def test_a_full_disk_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old content stays, and no draft."""
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert (b"old", [path]) == (path.read_bytes(), list(tmp_path.iterdir()))


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """It is not made: whoever wants it knows with which rights."""
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "missing" / "file", b"")


def test_readers_and_writers_at_once_see_whole_files(tmp_path: Path) -> None:
    """Threads of one process write the same file; whoever reads finds one of the contents."""
    path = tmp_path / "file"
    contents = [letter * 100_000 for letter in (b"a", b"b", b"c")]
    write_whole(path, contents[0])
    writers = [
        threading.Thread(target=lambda content=content: [write_whole(path, content) for _ in range(20)])
        for content in contents
    ]
    for writer in writers:
        writer.start()
    seen = {path.read_bytes() for _ in range(200)}
    for writer in writers:
        writer.join()
    assert seen <= set(contents)
    assert [path] == list(tmp_path.iterdir())


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    """The check leaves nothing behind, and makes what is missing."""
    check_writable(tmp_path / "data" / "tenants")
    assert [] == list((tmp_path / "data" / "tenants").iterdir())


def test_what_is_no_folder_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of the folder, or of one above it."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file" / "tenants")
