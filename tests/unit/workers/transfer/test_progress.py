"""How far an import has come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from collegium_workers.transfer.progress import ProgressFile, Reached, Window


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "statements.jsonl"
    path.write_text("{}\n")
    return path


def place(tmp_path: Path, file: Path, *, platform: str = "p", tenant: str = "acme") -> ProgressFile:
    return ProgressFile(tmp_path / "imports", file, platform=platform, tenant=tenant)


def test_the_place_is_found_again(tmp_path: Path, file: Path) -> None:
    """An interrupted import goes on where it stopped."""
    place(tmp_path, file).write(Reached(10, 2000, 9, 1))
    assert Reached(10, 2000, 9, 1) == place(tmp_path, file).read()


def test_a_complete_import_leaves_nothing(tmp_path: Path, file: Path) -> None:
    """Importing it again begins at the first line, and the platform knows every statement."""
    place(tmp_path, file).write(Reached(10, 2000, 9, 1))
    place(tmp_path, file).forget()
    assert Reached() == place(tmp_path, file).read()
    assert [] == list((tmp_path / "imports").iterdir())


def test_another_tenant_platform_or_content_is_another_import(tmp_path: Path, file: Path) -> None:
    """A place holds for one file, as it was, into one tenant of one platform."""
    place(tmp_path, file).write(Reached(10, 2000, 9, 1))
    assert Reached() == place(tmp_path, file, tenant="globex").read()
    assert Reached() == place(tmp_path, file, platform="q").read()
    os.utime(file, ns=(1, 1))
    assert Reached() == place(tmp_path, file).read()


@pytest.mark.parametrize("content", [b"", b"{", b'{"lines":"x"}'])
def test_an_unreadable_place_is_the_beginning(tmp_path: Path, file: Path, content: bytes) -> None:
    """Sending what is known again does no harm."""
    place(tmp_path, file).write(Reached(10, 2000, 9, 1))
    [path] = (tmp_path / "imports").iterdir()
    path.write_bytes(content)
    assert Reached() == place(tmp_path, file).read()


def test_a_folder_that_cannot_be_written_stops_no_import(tmp_path: Path, file: Path) -> None:
    """It only cannot go on later."""
    (tmp_path / "imports").write_text("a file in the way")
    place(tmp_path, file).write(Reached(1, 1, 1, 0))
    assert Reached() == place(tmp_path, file).read()


def test_batches_count_when_all_before_them_have_ended() -> None:
    """What is not answered yet must be sent again after an interruption."""
    window = Window(Reached(lines=100, offset=5000, accepted=90, refused=10))
    assert not window.end(1, Reached(300, 7000, 100, 0))
    assert Reached(100, 5000, 90, 10) == window.reached
    assert window.end(0, Reached(200, 6000, 99, 1))
    assert Reached(300, 7000, 289, 11) == window.reached
    assert not window.end(3, Reached(500, 9000, 100, 0))
    assert window.end(2, Reached(400, 8000, 100, 0))
    assert Reached(500, 9000, 489, 11) == window.reached
