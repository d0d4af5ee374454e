"""YAML in, manifests and errors out: each fault with its file, line and field, and every other document still loads.

The dialect is ``kubectl``'s: YAML 1.1 booleans, no dates, no numbers to base 60; a key that stands twice is a fault.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import yaml

from collegium_core.manifests.rules import TENANT_RULES
from collegium_core.manifests.spec import GROUP, VERSION, TenantSpec
from collegium_core.manifests.validation import Fault, Path, check_rules, check_schema, check_tenant, field_name

__all__ = ["Manifest", "ManifestError", "SecretManifest", "TenantManifest", "parse_documents", "transition_errors"]

DEFAULT_NAMESPACE: Final = "default"
_MAX_BYTES: Final = 2**20
_MAX_NODES: Final = 20_000
_MAX_DEPTH: Final = 64
_SEPARATOR: Final = re.compile(r"^---(?=\s|$)", re.MULTILINE)


class ManifestError(msgspec.Struct, frozen=True):
    """One fault of a manifest. ``line`` counts from 1, 0 stands for the whole file; ``field`` may be empty."""

    file: str
    line: int
    field: str
    detail: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.detail) if part)


class TenantManifest(msgspec.Struct, frozen=True):
    """A Tenant as written down, its defaults filled in. ``namespace`` is ``default`` where none is written."""

    name: str
    namespace: str
    spec: TenantSpec
    file: str = ""
    line: int = 0

    @property
    def display(self) -> str:
        """The tenant's name in the API."""
        return self.spec.name or self.name


class SecretManifest(msgspec.Struct, frozen=True):
    """A Secret: its values by key. Its ``repr`` shows the keys alone."""

    name: str
    namespace: str
    data: Mapping[str, bytes]
    file: str = ""
    line: int = 0

    def __repr__(self) -> str:
        return f"SecretManifest({self.namespace}/{self.name}, keys={sorted(self.data)})"


Manifest = TenantManifest | SecretManifest

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_METADATA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {
            "type": "string",
            "maxLength": 253,
            "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        },
        "namespace": {"type": "string", "maxLength": 63, "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "labels": _TEXTS,
        "annotations": _TEXTS,
        # What the API server adds: there when a file was written by `kubectl get -o yaml`.
        "creationTimestamp": _TEXT,
        "finalizers": {"type": "array", "items": _TEXT},
        "generation": {"type": "integer"},
        "managedFields": {"type": "array", "items": {"type": "object"}},
        "ownerReferences": {"type": "array", "items": {"type": "object"}},
        "resourceVersion": _TEXT,
        "uid": _TEXT,
    },
}
_SECRET: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "apiVersion": _TEXT,
        "kind": _TEXT,
        "metadata": {"type": "object"},
        "type": _TEXT,
        "data": _TEXTS,
        "stringData": _TEXTS,
        "immutable": {"type": "boolean"},
    },
}


def parse_documents(text: str, source: str) -> tuple[list[Manifest], list[ManifestError]]:
    """Return the manifests in *text*, one or more YAML (or JSON) documents, and what is wrong with the others.

    :param source: name of the file, as the errors shall give it.
    """
    manifests: list[Manifest] = []
    errors: list[ManifestError] = []
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        return [], [ManifestError(source, 0, "", f"is larger than {_MAX_BYTES} bytes")]
    for offset, chunk in _split(text):
        try:
            document = _Document(chunk, offset)
            manifest, faults = (None, []) if document.value is None else _read(document, source)
        except _ReadError as error:
            errors.append(ManifestError(source, error.line, field_name(error.path), error.detail))
            continue
        except Exception as error:  # noqa: BLE001 - a fault of ours in one document must not keep back the others
            # Its message may hold what the document holds.
            errors.append(ManifestError(source, offset + 1, "", f"cannot be read ({type(error).__name__})"))
            continue
        if manifest is not None:
            manifests.append(manifest)
        errors += [
            ManifestError(source, document.line(fault.path), field_name(fault.path), fault.detail) for fault in faults
        ]
    return manifests, errors


def transition_errors(before: TenantManifest, after: TenantManifest) -> list[ManifestError]:
    """Return what in *after* may not be changed once *before* is in force, as the API server would say it."""
    old, new = ({"metadata": {"name": each.name}, "spec": msgspec.to_builtins(each.spec)} for each in (before, after))
    rules = [rule for rule in TENANT_RULES if rule.transition]
    return [
        ManifestError(after.file, after.line, field_name(fault.path), fault.detail)
        for fault in check_rules(new, old, rules)
    ]


def _split(text: str) -> Iterator[tuple[int, str]]:
    """Yield each document with the number of lines before it, so that one broken document spoils no other."""
    starts = [0, *(match.start() for match in _SEPARATOR.finditer(text)), len(text)]
    for start, end in itertools.pairwise(starts):
        yield text.count("\n", 0, start), text[start:end]


def _read(document: _Document, source: str) -> tuple[Manifest | None, list[Fault]]:
    value = document.value
    if not isinstance(value, dict):
        return None, [Fault((), "is no object with apiVersion and kind")]
    identity = (value.get("apiVersion"), value.get("kind"))
    faults: list[Fault] = []
    metadata = check_schema(value.get("metadata", {}), _METADATA, ("metadata",), faults)
    if identity == (f"{GROUP}/{VERSION}", "Tenant"):
        return _read_tenant(value, metadata, faults, source, document.line(()))
    if identity == ("v1", "Secret"):
        return _read_secret(value, metadata, faults, source, document.line(()))
    known = f"Tenant of {GROUP}/{VERSION} and Secret of v1"
    if not isinstance(identity[0], str) or not isinstance(identity[1], str):
        missing = "apiVersion" if not isinstance(identity[0], str) else "kind"
        return None, [Fault((missing,), f"is required and must be a string; known kinds: {known}")]
    return None, [Fault(("kind",), f"{identity[1]!a} of {identity[0]!a} is not known here; known: {known}")]


def _read_tenant(
    value: dict[str, Any], metadata: Any, faults: list[Fault], source: str, line: int
) -> tuple[Manifest | None, list[Fault]]:
    if faults:
        # The rules look at the name; the schema's faults are told all the same.
        faults += [fault for fault in check_tenant({**value, "metadata": {"name": "x"}})[1] if fault not in faults]
        return None, faults
    checked, faults = check_tenant({**value, "metadata": metadata})
    if faults:
        return None, faults
    spec = msgspec.convert(checked["spec"], TenantSpec)
    return TenantManifest(metadata["name"], metadata.get("namespace", DEFAULT_NAMESPACE), spec, source, line), []


def _read_secret(
    value: dict[str, Any], metadata: Any, faults: list[Fault], source: str, line: int
) -> tuple[Manifest | None, list[Fault]]:
    checked = check_schema(value, _SECRET, (), faults)
    if faults:
        return None, faults
    data: dict[str, bytes] = {}
    for key, text in checked.get("data", {}).items():
        try:
            data[key] = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            faults.append(Fault(("data", key), "is not base64; plain text belongs in stringData"))
    data |= {key: text.encode() for key, text in checked.get("stringData", {}).items()}
    if faults:
        return None, faults
    return SecretManifest(metadata["name"], metadata.get("namespace", DEFAULT_NAMESPACE), data, source, line), []


class _ReadError(Exception):
    def __init__(self, line: int, detail: str, path: Path = ()) -> None:
        super().__init__(detail)
        self.line = line
        self.detail = detail
        self.path = path


class _Loader(yaml.SafeLoader):
    """Composes nodes; where it fails, *path* is the place that it was at."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.path: Path = ()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose the node at *index* of *parent*: a number, the node of its name, or nothing for a name itself."""
        around = self.path
        part = index.value if isinstance(index, yaml.ScalarNode) else index
        if isinstance(part, str | int):
            self.path = (*around, part)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.path = around
        return node


class _Document:
    """One YAML document as plain values, and the line of each place in it."""

    def __init__(self, text: str, offset: int) -> None:
        self._offset = offset
        self._lines: dict[Path, int] = {}
        self._left = _MAX_NODES
        loader: _Loader | None = None
        try:
            loader = _Loader(text)
            node = loader.get_single_node()
        except RecursionError:
            raise _ReadError(offset + 1, "is nested too deeply") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise _ReadError(offset + (mark.line if mark else 0) + 1, f"is not YAML: {error.problem}") from None
        except yaml.YAMLError as error:
            raise _ReadError(offset + 1, f"is not YAML: {str(error).splitlines()[0]}") from None
        except _UNUSABLE:
            # Escapes beyond the last character; the reader stands behind them, in the same line.
            line, path = (loader.line, loader.path) if loader else (0, ())
            raise _ReadError(offset + line + 1, "holds an escape that stands for no character", path) from None
        finally:
            if loader is not None:
                loader.dispose()
        self.value = None if node is None else self._build(node, ())

    def line(self, path: Path) -> int:
        """Return the line of *path*, of the nearest place around it where it is not written down."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, self._offset + 1)

    def _build(self, node: yaml.Node, path: Path) -> Any:
        line = self._offset + node.start_mark.line + 1
        # A field's line is that of its name; the value may begin on the next.
        self._lines.setdefault(path, line)
        self._left -= 1
        if self._left < 0 or len(path) > _MAX_DEPTH:
            raise _ReadError(line, "is too large once its aliases are followed, or nested too deeply", path)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            raise _ReadError(line, f"the tag {node.tag!a} is not known here", path)
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, line, path)
        raise AssertionError(node)

    def _build_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = self._offset + key_node.start_mark.line + 1
            key = _scalar(key_node, line, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise _ReadError(line, "a field's name must be a string; put it in quotes", path)
            if key in mapping:
                raise _ReadError(line, "is there twice", (*path, key))
            self._lines[*path, key] = line
            mapping[key] = self._build(value_node, (*path, key))
        return mapping


_COLLECTIONS: Final = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
_CONSTRUCTOR: Final = yaml.constructor.SafeConstructor()
# What Python and PyYAML raise for text that looks like a value, or is tagged as one, and stands for none.
_UNUSABLE: Final = (ValueError, KeyError, IndexError, OverflowError)
_NO_TEXT: Final = "holds half of a surrogate pair, which is no character"
_UNREADABLE: Final = {
    "bool": "is tagged as true or false, and is neither",
    "int": "looks like a whole number, and is none or has too many digits; text belongs in quotes",
    "float": "looks like a number, and is none; text belongs in quotes",
}


def _scalar(node: yaml.ScalarNode, line: int, path: Path) -> Any:
    """Return the value of a scalar as ``kubectl`` reads it."""
    text: str = node.value
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    try:
        match kind:
            case "str" | "timestamp" | "value" | "merge":
                return _whole(text)
            case "null":
                return None
            case "bool":
                return _CONSTRUCTOR.construct_yaml_bool(node)
            case "int" if ":" not in text:
                return _CONSTRUCTOR.construct_yaml_int(node)
            case "float" if ":" not in text:
                return _CONSTRUCTOR.construct_yaml_float(node)
            case "int" | "float":
                return text
    except _UNUSABLE:
        raise _ReadError(line, _UNREADABLE.get(kind, _NO_TEXT), path) from None
    raise _ReadError(line, f"the tag {node.tag!a} is not known here", path)


def _whole(text: str) -> str:
    r"""Return *text*, pairs of escapes such as JSON's ``\ud83d\ude00`` as the one character that they stand for.

    :raises UnicodeDecodeError: half a pair stands alone.
    """
    return text if text.isascii() else text.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
