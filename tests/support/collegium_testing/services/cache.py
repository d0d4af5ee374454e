"""The folder outside the tree where built and fetched services live, each filled once and whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["cache_root", "fingerprint", "install", "platform_tag"]


def cache_root() -> Path:
    """Return ``$XDG_CACHE_HOME/collegium``, ``~/.cache/collegium`` when that is not set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "collegium"


def platform_tag() -> str:
    """Return what a binary depends on, such as ``linux-x86_64``."""
    return f"{sys.platform}-{platform.machine()}"


def fingerprint(*parts: str | Path) -> str:
    """Return 12 hex digits that change with any of *parts*: a text, or the content of a file."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode()
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel, also when this process is killed
        yield


def install(target: Path, build: Callable[[Path], None]) -> Path:
    """Return the folder *target*, filled by *build* if it does not exist yet.

    *build* gets an empty folder that becomes *target* by one rename, so a folder that exists is whole. Two processes
    that want the same wait for each other, and what a killed one left behind is removed by the next.
    """
    if target.is_dir():
        return target
    with _locked(target.with_name(f".{target.name}.lock")):
        if target.is_dir():
            return target
        prefix = f".{target.name}.partial-"
        for remains in target.parent.glob(f"{prefix}*"):
            shutil.rmtree(remains, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        folder.chmod(0o755)
        try:
            build(folder)
            folder.rename(target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return target
