"""One platform per data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from collegium_workers.supervisor.lock import DataFolderError, DataLock, DataLockedError, prepare_folder

HOLD = """
import sys, time
from pathlib import Path
from collegium_workers.supervisor.lock import DataLock
with DataLock(Path(sys.argv[1])) as lock:
    lock.describe(url="http://127.0.0.1:8100")
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_start_names_the_holder_and_changes_nothing(tmp_path: Path) -> None:
    """Whoever comes second learns process id and URL of the first; the folder stays as it was."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert b"held\n" == holder.stdout.readline()
            before = (tmp_path / "lock").read_bytes()
            with pytest.raises(DataLockedError) as refusal, DataLock(tmp_path):
                pass
            assert f"process id {holder.pid} at http://127.0.0.1:8100" in str(refusal.value)
            assert before == (tmp_path / "lock").read_bytes()
            assert ["lock"] == [path.name for path in tmp_path.iterdir()]
        finally:
            holder.kill()


def test_lock_is_free_after_kill_9_of_the_holder(tmp_path: Path) -> None:
    """The kernel lets go of the lock; nothing has to be cleaned up by hand."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait(10)
    with DataLock(tmp_path):
        assert (tmp_path / "lock").read_bytes() == b'{"pid":%d,"url":""}' % os.getpid()


def test_lock_can_be_taken_again_after_release(tmp_path: Path) -> None:
    """Leaving the context lets go."""
    for _ in range(2):
        with DataLock(tmp_path):
            pass


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    """A child that outlives its supervisor does not hold the folder."""
    with DataLock(tmp_path):
        orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        assert orphan.poll() is None
        with DataLock(tmp_path):
            pass
    finally:
        orphan.kill()
        orphan.wait(10)


def test_folder_is_made_with_its_parents_and_for_its_owner_alone(tmp_path: Path) -> None:
    """A new data folder can be read by nobody else."""
    prepare_folder(tmp_path / "a" / "b")
    assert 0o700 == (tmp_path / "a" / "b").stat().st_mode & 0o777


def test_a_file_in_the_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    """The sentence names the path and the option."""
    (tmp_path / "data").write_text("")
    with pytest.raises(DataFolderError, match=r"data is not a folder; choose another with --data"):
        prepare_folder(tmp_path / "data")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says what is wrong, in one line; root, who may write everywhere, is told by the system call."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataFolderError, match="is not writable; choose another with --data"):
        prepare_folder(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_clear_error() -> None:
    """The system's reason is part of the sentence."""
    with pytest.raises(DataFolderError, match=r"the data folder /proc/none cannot be made: "):
        prepare_folder(Path("/proc/none"))


def test_a_lock_file_that_cannot_be_opened_is_a_clear_error(tmp_path: Path) -> None:
    """A folder in the lock's place stands for every reason the system may have."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(DataFolderError, match="is not writable"), DataLock(tmp_path):
        pass
