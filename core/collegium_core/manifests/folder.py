"""A folder of manifests: every file's documents together, and what only shows when they stand side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from collegium_core.manifests.documents import Manifest, ManifestError, TenantManifest, parse_documents
from collegium_core.tenancy.names import parse_name

__all__ = ["read_folder"]

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


def read_folder(folder: Path) -> tuple[list[Manifest], list[ManifestError]]:
    """Return the manifests of the YAML and JSON files in *folder* (not below it) in order of file name, and all faults.

    Reads files: call it in a thread. A document that repeats another's kind, namespace and name, or a Tenant whose
    name means the same tenant as an earlier one's, is a fault; the earlier one counts.
    """
    manifests: list[Manifest] = []
    errors: list[ManifestError] = []
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    except OSError as error:
        return [], [ManifestError(str(folder), 0, "", f"cannot be read: {error.strerror}")]
    for path in files:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            errors.append(ManifestError(str(path), 0, "", f"cannot be read: {error.strerror}"))
            continue
        except UnicodeDecodeError as error:
            errors.append(ManifestError(str(path), 0, "", f"is not UTF-8 from byte {error.start} on"))
            continue
        found, faults = parse_documents(text, str(path))
        manifests += found
        errors += faults
    return _without_repeats(manifests, errors), errors


def _without_repeats(manifests: Iterable[Manifest], errors: list[ManifestError]) -> list[Manifest]:
    objects: dict[tuple[str, str, str], Manifest] = {}
    slugs: dict[str, TenantManifest] = {}
    kept: list[Manifest] = []
    for manifest in manifests:
        identity = (type(manifest).__name__, manifest.namespace, manifest.name)
        if (earlier := objects.setdefault(identity, manifest)) is not manifest:
            errors.append(_repeat(manifest, "metadata.name", "is the name of the object", earlier))
            continue
        if isinstance(manifest, TenantManifest):
            slug = parse_name(manifest.display).slug
            if (other := slugs.setdefault(slug, manifest)) is not manifest:
                errors.append(_repeat(manifest, "spec.name", "means the same tenant as the object", other))
                continue
        kept.append(manifest)
    return kept


def _repeat(manifest: Manifest, field: str, how: str, earlier: Manifest) -> ManifestError:
    return ManifestError(manifest.file, manifest.line, field, f"{how} at {earlier.file}:{earlier.line}, which counts")
