"""Folders of manifests as the reconciler sees them: what they ask for, and whether anything in them has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from collegium_core.manifests import (
    Manifest,
    ManifestError,
    SecretManifest,
    TenantManifest,
    manifest_files,
    read_folder,
)
from collegium_core.tenancy.names import parse_name

__all__ = ["Key", "ManifestFolder", "Reading", "Signature", "Wanted", "read_folders", "sign_folders"]

Signature = tuple[tuple[str, int, int, int], ...]
Key = tuple[str, str, str]
"""An object of a folder: the folder's word, namespace and name."""


class ManifestFolder(msgspec.Struct, frozen=True):
    """A folder, and the word by which the records made from it are recognised (``manifests``)."""

    path: Path
    word: str


class Wanted(msgspec.Struct, frozen=True):
    """A tenant that a document asks for; *secrets* are those of its namespace."""

    manifest: TenantManifest
    secrets: Mapping[str, Mapping[str, bytes]]
    word: str

    @property
    def slug(self) -> str:
        """The tenant's slug."""
        return parse_name(self.manifest.display).slug

    @property
    def key(self) -> Key:
        """The object that asks."""
        return self.word, self.manifest.namespace, self.manifest.name

    @property
    def owner(self) -> str:
        """The same as records tell it."""
        return f"{self.word}:{self.manifest.namespace}/{self.manifest.name}"


class Reading(msgspec.Struct, frozen=True):
    """What the folders say now; *broken* are the files with faults, by path (a folder's own path included).

    *manifests* are all that count, by folder; *secret_files* tells where each Secret stands.
    """

    manifests: Mapping[Path, Sequence[Manifest]] = {}
    wanted: tuple[Wanted, ...] = ()
    faults: tuple[ManifestError, ...] = ()
    broken: frozenset[str] = frozenset()
    secret_files: Mapping[Key, str] = {}

    def may_hold(self, file: str | None) -> bool:
        """Return whether what is missing may stand in *file*, which cannot be read now; ``None`` is any file."""
        if file is None:
            return bool(self.broken)
        return file in self.broken or str(Path(file).parent) in self.broken


def read_folders(folders: Sequence[ManifestFolder], before: Reading) -> Reading:
    """Return what *folders* say; *before* is the last reading, whose files count where two give one object."""
    manifests: dict[Path, Sequence[Manifest]] = {}
    wanted: list[Wanted] = []
    faults: list[ManifestError] = []
    secret_files: dict[Key, str] = {}
    for folder in folders:
        found, errors = read_folder(folder.path, before.manifests.get(folder.path, ()))
        manifests[folder.path] = found
        faults += errors
        secrets: dict[str, dict[str, Mapping[str, bytes]]] = {}
        for manifest in found:
            if isinstance(manifest, SecretManifest):
                secrets.setdefault(manifest.namespace, {})[manifest.name] = manifest.data
                secret_files[folder.word, manifest.namespace, manifest.name] = manifest.file
        wanted += [
            Wanted(manifest, secrets.get(manifest.namespace, {}), folder.word)
            for manifest in found
            if isinstance(manifest, TenantManifest)
        ]
    broken = frozenset(fault.file for fault in faults)
    return Reading(manifests, tuple(wanted), tuple(faults), broken, secret_files)


def sign_folders(folders: Sequence[ManifestFolder]) -> Signature:
    """Return what tells whether any manifest file has changed: name, inode, size, time of change."""
    marks: list[tuple[str, int, int, int]] = []
    for folder in folders:
        try:
            files = manifest_files(folder.path)
        except OSError as error:
            marks.append((str(folder.path), -(error.errno or 1), 0, 0))
            continue
        for path in files:
            try:
                stat = path.stat()
            except OSError as error:
                marks.append((str(path), -(error.errno or 1), 0, 0))
            else:
                marks.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(marks)
