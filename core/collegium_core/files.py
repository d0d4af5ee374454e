"""Files on a disk that may be full and a machine that may lose its power."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["check_writable", "write_whole"]

_PAGE: Final = 4096


def write_whole(path: Path, content: bytes) -> None:
    """Replace *path* by *content* in one step, readable (mode 0600) by its owner alone; blocks for one small file.

    Whoever reads *path*, at any time and after any crash, finds what stood there before or *content*, never a part.
    Once this returns it is *content*, after a loss of power too: file and folder have been synced. A process that is
    killed in the middle may leave a file ``.<name>.<random>`` beside it.

    :raises OSError: the folder cannot be written, and what stood at *path* still stands; or it cannot be synced, and
        *content* is there but may be gone after a loss of power.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's mode is 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def check_writable(folder: Path) -> None:
    """Make *folder* where it is missing, and a file of one page in it, which goes at once.

    :raises OSError: that cannot be done. Asking the system for permission would say nothing of a full disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-") as file:
        file.write(bytes(_PAGE))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
