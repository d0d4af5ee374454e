"""``python -m collegium_testing.lint``: check the project's own rules (part of ``make lint``)."""

from __future__ import annotations

import sys
from pathlib import Path

from collegium_testing.lint.rules import RULES, check

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = ("core", "api", "workers", "operator")


def main() -> int:
    """Print each finding as ``file:line: rule: message``; return 1 when there is one."""
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    count = 0
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts[1:]
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for finding in check(file.read_text(), module):
            print(f"{file.relative_to(ROOT)}:{finding.line}: {finding.rule}: {finding.message}")
            count += 1
    print(f"{len(files)} files, {len(RULES)} rules, {count} findings")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
