"""Folders of manifests as the reconciler sees them: what they ask for, and whether anything in them has changed."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

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

__all__ = [
    "SECOND_LOOK_SECONDS",
    "Absences",
    "Key",
    "ManifestFolder",
    "Reading",
    "Signature",
    "Wanted",
    "read_folders",
    "sign_folders",
]

SECOND_LOOK_SECONDS: Final = 1.0
"""What is missing goes when it is so still after this time: an editor may be writing its file in two steps."""

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

    *manifests* are all that count, by folder; among them are those that the reading before had and that are missing:
    as long as their file has faults, or until *due*, a time of the monotonic clock, because it may be half written.
    *missing* tells since when.
    """

    manifests: Mapping[Path, Sequence[Manifest]] = {}
    wanted: tuple[Wanted, ...] = ()
    faults: tuple[ManifestError, ...] = ()
    broken: frozenset[str] = frozenset()
    secrets: frozenset[Key] = frozenset()
    missing: Mapping[tuple[str, ...], float] = {}

    @property
    def due(self) -> float:
        """When the folders are to be read again although nothing may have changed."""
        return min(self.missing.values(), default=math.inf) + SECOND_LOOK_SECONDS


class Absences:
    """Since when documents of tenants from before the start are missing, from one look to the next."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}
        self._missed: dict[tuple[str, str], float] = {}
        self._now = 0.0

    def begin(self) -> None:
        """Begin a look: what is not missed in it is there again."""
        self._missed = {}
        self._now = time.monotonic()

    def is_long(self, slug: str, entry: str = "") -> bool:
        """Return whether a tenant, or the Secret of an *entry* of it, is missing now and was so a second ago."""
        key = (slug, entry)
        self._missed[key] = self._since.get(key, self._now)
        return self._now - self._missed[key] >= SECOND_LOOK_SECONDS

    def end(self) -> bool:
        """End the look; return whether a second one is due."""
        self._since = self._missed
        return any(self._now - since < SECOND_LOOK_SECONDS for since in self._since.values())


def read_folders(folders: Sequence[ManifestFolder], before: Reading) -> Reading:
    """Return what *folders* say; *before* is the last reading, whose files count where two give one object."""
    manifests: dict[Path, Sequence[Manifest]] = {}
    wanted: list[Wanted] = []
    faults: list[ManifestError] = []
    all_secrets: set[Key] = set()
    missing: dict[tuple[str, ...], float] = {}
    for folder in folders:
        earlier = before.manifests.get(folder.path, ())
        found, errors = read_folder(folder.path, earlier)
        broken = {error.file for error in errors}
        if str(folder.path) in broken:
            found = [*earlier]
        else:
            found = _with_missing(found, earlier, broken, before.missing, missing)
        manifests[folder.path] = found
        faults += errors
        secrets: dict[str, dict[str, Mapping[str, bytes]]] = {}
        for manifest in found:
            if isinstance(manifest, SecretManifest):
                secrets.setdefault(manifest.namespace, {})[manifest.name] = manifest.data
                all_secrets.add((folder.word, manifest.namespace, manifest.name))
        wanted += [
            Wanted(manifest, secrets.get(manifest.namespace, {}), folder.word)
            for manifest in found
            if isinstance(manifest, TenantManifest)
        ]
    files = frozenset(fault.file for fault in faults)
    return Reading(manifests, tuple(wanted), tuple(faults), files, frozenset(all_secrets), missing)


def _with_missing(
    found: Sequence[Manifest],
    before: Sequence[Manifest],
    broken: Container[str],
    since: Mapping[tuple[str, ...], float],
    missing: dict[tuple[str, ...], float],
) -> list[Manifest]:
    """Return what is *found* and what was there *before* and may be there still; add to *missing* what is waited for.

    *since* is what was missing at the reading before.
    """
    now = time.monotonic()
    objects = {_identity(manifest): manifest for manifest in found}
    for manifest in before:
        identity = _identity(manifest)
        if identity in objects and objects[identity].file == manifest.file:
            continue
        if manifest.file not in broken:
            first = since.get((*identity, manifest.file), now)
            if now - first >= SECOND_LOOK_SECONDS:
                continue
            missing[*identity, manifest.file] = first
        objects[identity] = manifest
    return sorted(objects.values(), key=lambda manifest: (manifest.file, manifest.line))


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    return type(manifest).__name__, manifest.namespace, manifest.name


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
