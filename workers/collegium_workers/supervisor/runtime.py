"""What a running ``collegium up`` leaves in its data folder for the commands beside it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from collegium_core.files import write_whole
from collegium_core.security.credentials import is_key, make_key
from collegium_workers.supervisor.orphans import ProcessMark, is_running

__all__ = ["Runtime", "ensure_system_key", "find_runtime", "forget_runtime", "write_runtime"]

_RUNTIME_FILE: Final = "runtime.json"
_KEY_FILE: Final = "system-key"


class Runtime(msgspec.Struct, frozen=True):
    """A running platform.

    :param supervisor: the process that holds the folder.
    :param url: where the API is, root path included.
    :param redis_url: of the embedded Valkey; empty where the environment names another.
    """

    supervisor: ProcessMark
    url: str
    metrics_url: str
    redis_url: str = ""

    def __repr__(self) -> str:
        return f"Runtime({self.url!r})"


def write_runtime(folder: Path, runtime: Runtime) -> None:
    """Write *runtime* into *folder* (mode 0600); blocks for one small file."""
    write_whole(folder / _RUNTIME_FILE, msgspec.json.encode(runtime))


def forget_runtime(folder: Path) -> None:
    """Remove what :func:`write_runtime` wrote."""
    with contextlib.suppress(OSError):
        (folder / _RUNTIME_FILE).unlink(missing_ok=True)


def find_runtime(folder: Path) -> Runtime | None:
    """Return the platform that runs on *folder*, None where none does; what a dead one left does not count."""
    try:
        runtime = msgspec.json.decode((folder / _RUNTIME_FILE).read_bytes(), type=Runtime)
    except (OSError, msgspec.MsgspecError):
        return None
    return runtime if is_running(runtime.supervisor) else None


def ensure_system_key(folder: Path) -> Path:
    """Return the file with the key of the user ``system``, making it (mode 0600) where there is none.

    :raises OSError: the folder cannot be read or written.
    """
    path = folder / _KEY_FILE
    if not (path.exists() and is_key(path.read_text(encoding="utf-8").strip())):
        write_whole(path, f"{make_key()}\n".encode())
    return path
