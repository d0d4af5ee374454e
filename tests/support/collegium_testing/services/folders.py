"""Folders that servers of another user can reach, and that a killed run does not leave behind for ever."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["public_folder", "reachable_copy"]

_PREFIX = "collegium-test-"


@contextlib.contextmanager
def public_folder(name: str) -> Iterator[Path]:
    """Make a folder below the system's temporary one that every user can read, and remove it in the end.

    Folders of runs that are no longer there (their process id is in the name) are removed as well.
    """
    base = Path(tempfile.gettempdir())
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-{name}-", dir=base))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{_PREFIX}*"):
        match = re.match(rf"{_PREFIX}(\d+)-", folder.name)
        if match and not _alive(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def reachable_copy(source: Path, target: Path) -> Path:
    """Return *source* when every user can reach it, else *target* as a copy of it (by hard links where possible)."""
    source = source.resolve()
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (source, *source.parents)):
        return source
    if not target.is_dir():
        shutil.copytree(source, target, copy_function=_link_or_copy, symlinks=True)
        target.chmod(0o755)
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
