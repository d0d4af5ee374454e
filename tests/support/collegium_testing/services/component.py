"""What a service needs before it can be started: where it is, what it costs to get, and what stands in the way."""

from __future__ import annotations

import abc
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from collegium_testing.services import cache

__all__ = ["SOURCES", "BuildError", "Built", "Component", "Missing", "Workshop", "install_wheel"]

SOURCES = Path(__file__).resolve().parents[3] / "services"
"""``tests/services``: the recipes, and nothing that was built from them."""


@dataclass(frozen=True)
class Missing:
    """Why something cannot be used, and the command that changes this."""

    reason: str
    command: str

    def __str__(self) -> str:
        return f"{self.reason}; get it with: {self.command}"


class BuildError(RuntimeError):
    """A recipe failed; the message holds the command and the end of its output."""


@dataclass
class Workshop:
    """Runs a recipe's commands; *say* gets a line of progress at a time."""

    say: Callable[[str], None] = field(default=lambda _line: None)

    def run(self, *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run *command* with *env* added to ours and return its output; :class:`BuildError` when it fails."""
        line = [str(part) for part in command]
        last: deque[str] = deque(maxlen=40)
        output: list[str] = []
        try:
            process = subprocess.Popen(
                line,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise BuildError(f"{line[0]}: {error.strerror}") from error
        with process:
            try:
                for text in process.stdout or ():
                    output.append(text)
                    last.append(text)
                    self.say(text.strip())
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise BuildError(f"{' '.join(line)} ended with {process.returncode}:\n{''.join(last)}")
        return "".join(output)


class Component(abc.ABC):
    """A service or tool that tests use."""

    name: ClassVar[str]
    """The word for it on the command line and in the cache folder."""
    title: ClassVar[str]
    """What a person calls it."""
    cost: ClassVar[str]
    """What getting it takes, in megabytes and time on two cores."""

    @abc.abstractmethod
    def present(self) -> bool:
        """Return whether it can be started now."""

    @abc.abstractmethod
    def obstacle(self) -> Missing | None:
        """Return what stands in the way of getting it on this machine; None when nothing does."""

    @abc.abstractmethod
    def make(self, workshop: Workshop) -> None:
        """Get it; a second call does nothing. Only called when there is no obstacle."""

    def available(self) -> Missing | None:
        """Return None when it can be started now, else what is missing."""
        if self.present():
            return None
        return self.obstacle() or Missing(f"{self.title} has not been made on this machine yet", "make services")


class Built(Component):
    """A component that is made once into a folder of the cache, whose name changes with everything it is made from."""

    @abc.abstractmethod
    def key(self) -> str:
        """Return the name of this version's folder."""

    @abc.abstractmethod
    def build(self, folder: Path, workshop: Workshop) -> None:
        """Fill the empty *folder*."""

    @property
    def folder(self) -> Path:
        """Where this version is, or will be."""
        return cache.cache_root() / self.name / self.key()

    def present(self) -> bool:
        """Return whether this version's folder is there; it never is unless it is whole."""
        return self.folder.is_dir()

    def make(self, workshop: Workshop) -> None:
        """Build this version unless it is there, once even when several processes ask."""
        cache.install(self.folder, lambda folder: self.build(folder, workshop))


def install_wheel(requirement: Path, target: Path, workshop: Workshop) -> None:
    """Unpack the one wheel that *requirement* pins by hash into *target*, without what it depends on."""
    uv = Path(sys.executable).with_name("uv")
    workshop.run(
        *(uv if uv.exists() else "uv", "pip", "install", "--quiet", "--python", sys.executable),
        *("--target", target, "--no-deps", "--require-hashes", "--requirements", requirement),
        env={"UV_SYSTEM_CERTS": os.environ.get("UV_SYSTEM_CERTS", "1")},  # trust whom the machine trusts
    )
