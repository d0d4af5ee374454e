"""The CustomResourceDefinitions: the files, the structs and the rules are one thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from collegium_core.manifests.rules import TENANT_RULES
from collegium_core.manifests.schema import custom_resource_definitions, structural, to_yaml
from collegium_core.manifests.spec import TenantSpec

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = (ROOT / "crds", ROOT / "charts" / "collegium" / "files" / "crds")


@pytest.mark.parametrize("folder", FOLDERS, ids=["crds", "chart"])
def test_files_are_what_the_structs_say(folder: Path) -> None:
    """``python -m collegium_core.manifests crds charts/collegium/files/crds`` has been run after the last change."""
    expected = custom_resource_definitions()
    assert set(expected) == {path.name for path in folder.iterdir()}
    for name, definition in expected.items():
        text = (folder / name).read_text()
        assert definition == yaml.safe_load(text)
        assert text.endswith(to_yaml(definition))


def walk(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every schema with its place."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from walk(schema[name], f"{path}.{name}")


def spec_schema() -> Any:
    [definition] = custom_resource_definitions().values()
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_everything_is_bounded_and_described() -> None:
    """Every string, list and map of a spec has an upper bound, every list a type, every field a description."""
    for path, schema in walk(spec_schema()):
        match schema["type"]:
            case "string":
                assert "maxLength" in schema or "enum" in schema, path
            case "array":
                assert {"maxItems", "x-kubernetes-list-type"} <= schema.keys(), path
            case "object":
                assert "maxProperties" in schema or "properties" in schema, path
        for name, inner in schema.get("properties", {}).items():
            assert inner.get("description"), f"{path}.{name}"


def test_every_rule_has_its_place() -> None:
    """No rule is lost between the table and the definition."""
    [definition] = custom_resource_definitions().values()
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    written = [rule["rule"] for _, schema in walk(root) for rule in schema.get("x-kubernetes-validations", ())]
    assert sorted(rule.cel for rule in TENANT_RULES) == sorted(written)


def test_defaults_are_the_structs() -> None:
    """An empty spec with the schema's defaults is the struct's own."""
    schema = structural(TenantSpec)
    defaults = {name: inner["default"] for name, inner in schema["properties"].items() if "default" in inner}
    assert TenantSpec() == msgspec.convert(defaults, TenantSpec)


def test_a_type_without_a_place_is_refused() -> None:
    """A struct that asks for what no structural schema has is found when the definition is made."""

    class Odd(msgspec.Struct):
        field: complex

    with pytest.raises(TypeError, match="no place in a structural schema"):
        structural(Odd)
