# ruff: noqa: INP001 - a script beside the files that it writes
"""Resolve the lock files anew: ``make lock``. Every package by exact version and hash, no word on where it is from."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROLES = ("api", "workers", "operator")
OPTIONS = (
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-header"),
)


def compile_lock(name: str, *sources: str | Path, options: Sequence[str] = ()) -> None:
    """Write ``requirements/NAME.txt`` from *sources*; what it holds already is kept unless *options* say otherwise."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *sources, *OPTIONS, *options]
    subprocess.run([*command, "--output-file", f"requirements/{name}.txt"], cwd=HERE.parent, check=True)  # noqa: S603 - our own arguments
    print(f"requirements/{name}.txt")  # noqa: T201 - a tool that talks to a terminal


def main(options: Sequence[str]) -> None:
    """Write the development lock, then one per image with the same versions."""
    compile_lock("dev", "pyproject.toml", options=("--all-extras", "--group", "dev", *options))
    versions = ("--constraints", "requirements/dev.txt")
    for role in ROLES:
        compile_lock(role, "pyproject.toml", options=("--extra", role, *versions))
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("uv\n")
        wanted.flush()
        compile_lock("uv", wanted.name, options=("--no-annotate", *versions))


if __name__ == "__main__":
    main(sys.argv[1:])
