"""A folder of manifests: every file's documents together, and what only shows when they stand side by side."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISREG
from typing import Final

from collegium_core.manifests.documents import Manifest, ManifestError, parse_documents

__all__ = ["manifest_files", "read_folder"]

_GONE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR})
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


def manifest_files(folder: Path) -> list[Path]:
    """Return the YAML and JSON files in *folder* (not below it), by name; blocks for as long as a look at each takes.

    Hidden files are left out, as are links that lead nowhere: editors lock and swap with such. A file that may not be
    looked at is there: reading it says why.

    :raises OSError: the folder cannot be read.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in _SUFFIXES and not path.name.startswith(".") and _is_file(path)
    )


def _is_file(path: Path) -> bool:
    try:
        return S_ISREG(path.stat().st_mode)
    except OSError as error:
        return error.errno not in _GONE


def read_folder(folder: Path, before: Iterable[Manifest] = ()) -> tuple[list[Manifest], list[ManifestError]]:
    """Return the manifests of :func:`manifest_files` in order of file name, and all faults.

    Reads files: call it in a thread. A document that repeats another's kind, namespace and name is a fault: the one in
    the file that gave the object *before* counts, or else the earlier one.

    :param before: what the last reading of the folder returned.
    """
    manifests: list[Manifest] = []
    errors: list[ManifestError] = []
    try:
        files = manifest_files(folder)
    except OSError as error:
        return [], [ManifestError(str(folder), 0, "", f"cannot be read: {error.strerror}")]
    for path in files:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            continue
        except OSError as error:
            errors.append(ManifestError(str(path), 0, "", f"cannot be read: {error.strerror}"))
            continue
        except UnicodeDecodeError as error:
            errors.append(ManifestError(str(path), 0, "", f"is not UTF-8 from byte {error.start} on"))
            continue
        found, faults = parse_documents(text, str(path))
        manifests += found
        errors += faults
    return _without_repeats(manifests, before, errors), errors


def _without_repeats(
    manifests: Iterable[Manifest], before: Iterable[Manifest], errors: list[ManifestError]
) -> list[Manifest]:
    places = {_identity(manifest): manifest.file for manifest in before}
    objects: dict[tuple[str, str, str], Manifest] = {}
    kept: list[Manifest] = []
    for manifest in sorted(manifests, key=lambda manifest: places.get(_identity(manifest)) != manifest.file):
        earlier = objects.setdefault(_identity(manifest), manifest)
        if earlier is manifest:
            kept.append(manifest)
            continue
        detail = f"is the name of the object at {earlier.file}:{earlier.line}, which counts"
        errors.append(ManifestError(manifest.file, manifest.line, "metadata.name", detail))
    return sorted(kept, key=lambda manifest: (manifest.file, manifest.line))


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return type(manifest).__name__, manifest.namespace, manifest.name
