"""The preload library that makes a disk slow or full (see ``tests/services/shim/shim.c``)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from collegium_testing.services import cache
from collegium_testing.services.component import SOURCES, Built, Missing, Workshop

__all__ = ["DiskShim"]


class DiskShim(Built):
    """Delays ``fdatasync`` and fails writes with "no space left" in the processes that it is preloaded into."""

    name = "disk-shim"
    title = "slow-disk and full-disk shim"
    cost = "1 s"
    source = SOURCES / "shim" / "shim.c"

    @property
    def shared_object(self) -> Path:
        """Where the shared library is."""
        return self.folder / "shim.so"

    def key(self) -> str:
        """Return a name that changes with the source and the platform."""
        return cache.fingerprint(self.source, cache.platform_tag())

    def obstacle(self) -> Missing | None:
        """Return that there is no C compiler, where there is none."""
        if shutil.which("gcc"):
            return None
        return Missing("there is no C compiler", "sudo apt-get install gcc libc6-dev")

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Compile the one file."""
        library = folder / "shim.so"
        workshop.run("gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, self.source, "-ldl")

    def environment(self, *, fdatasync_ms: int = 0, full_flag: Path | None = None) -> dict[str, str]:
        """Return our environment with the shim in it.

        Every ``fdatasync`` takes *fdatasync_ms* milliseconds longer; while the file *full_flag* exists, the disk is
        full.
        """
        environment = {**os.environ, "LD_PRELOAD": str(self.shared_object)}
        if fdatasync_ms:
            environment["COLLEGIUM_SHIM_FDATASYNC_MS"] = str(fdatasync_ms)
        if full_flag:
            environment["COLLEGIUM_SHIM_ENOSPC_FILE"] = str(full_flag)
        return environment
