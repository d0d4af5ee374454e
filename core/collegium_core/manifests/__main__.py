"""``python -m collegium_core.manifests FOLDER…`` writes the CustomResourceDefinitions; a test holds the files to it."""

from __future__ import annotations

import sys
from pathlib import Path

from collegium_core.manifests.schema import custom_resource_definitions, to_yaml

__all__ = ["main"]


def main(folders: list[str]) -> None:
    """Write every CustomResourceDefinition into each of *folders*."""
    for folder in folders:
        for name, definition in custom_resource_definitions().items():
            path = Path(folder) / name
            path.write_text(f"# Written by `python -m collegium_core.manifests`.\n{to_yaml(definition)}", "utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
