"""From structs to CustomResourceDefinition: the structural schema, its rules, its printer columns."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec
import msgspec.inspect
import yaml

from collegium_core.manifests.rules import TENANT_RULES, Rule
from collegium_core.manifests.spec import GROUP, VERSION, TenantSpec
from collegium_core.manifests.status import TenantStatus

__all__ = ["custom_resource_definitions", "structural", "tenant_schema", "to_yaml"]

Schema = dict[str, Any]

_TENANT_COLUMNS: Final = (
    ("Slug", "string", ".status.slug", 0),
    ("State", "string", ".spec.state", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 0),
    ("API", "integer", ".status.api.ready", 0),
    ("Policy", "string", ".spec.deletionPolicy", 0),
    ("Placement", "string", ".status.placement", 1),
    ("Endpoint", "string", ".status.endpoint", 1),
    ("Message", "string", '.status.conditions[?(@.type=="Ready")].message', 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def structural(model: type[msgspec.Struct]) -> Schema:
    """Return the structural OpenAPI schema of *model*: types, bounds, enumerations, defaults and descriptions.

    :raises TypeError: the struct uses a type that has no place in a structural schema.
    """
    return _schema(msgspec.inspect.type_info(model))


def _schema(kind: msgspec.inspect.Type) -> Schema:  # noqa: PLR0911 - one case per kind of type
    match kind:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=extra):
            return {**_schema(inner), **(extra or {})}
        case msgspec.inspect.UnionType(types=types):
            [inner] = [each for each in types if not isinstance(each, msgspec.inspect.NoneType)]
            return _schema(inner)
        case msgspec.inspect.StructType(fields=fields):
            return _struct_schema(fields)
        case msgspec.inspect.StrType(min_length=shortest, max_length=longest, pattern=pattern):
            return _given(type="string", minLength=shortest, maxLength=longest, pattern=pattern)
        case msgspec.inspect.EnumType(cls=cls) if issubclass(cls, enum.StrEnum):
            return {"type": "string", "enum": [member.value for member in cls]}
        case msgspec.inspect.IntType(ge=least, le=most):
            return _given(type="integer", format="int64", minimum=least, maximum=most)
        case msgspec.inspect.ListType(item_type=item, min_length=fewest, max_length=most):
            return _given(type="array", items=_schema(item), minItems=fewest, maxItems=most)
        case _:
            raise TypeError(f"{kind} has no place in a structural schema")


def _given(**pairs: Any) -> Schema:
    return {key: value for key, value in pairs.items() if value is not None}


def _struct_schema(fields: Iterable[msgspec.inspect.Field]) -> Schema:
    properties, required = {}, []
    for field in fields:
        schema = _schema(field.type)
        if field.required:
            required.append(field.encode_name)
        elif (default := _default(field)) is not None:
            schema["default"] = default
        properties[field.encode_name] = schema
    return _given(type="object", required=required or None, properties=properties)


def _default(field: msgspec.inspect.Field) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.to_builtins(field.default_factory())
    return msgspec.to_builtins(field.default)


@cache
def tenant_schema() -> Schema:
    """Return the schema of a whole Tenant without its rules; shared, not to be changed."""
    return _root_schema(structural(TenantSpec), structural(TenantStatus), "One tenant: its learning record store.")


def _root_schema(spec: Schema, status: Schema, description: str) -> Schema:
    # The status is written by the operator field by field: nothing in it may be filled in by the server.
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**spec, "description": "The desired state."},
            "status": {**_without_defaults(status), "description": "The observed state; written by the operator."},
        },
    }


def _without_defaults(schema: Schema) -> Schema:
    bare = {key: value for key, value in schema.items() if key != "default"}
    if "items" in bare:
        bare["items"] = _without_defaults(bare["items"])
    if "properties" in bare:
        bare["properties"] = {name: _without_defaults(each) for name, each in bare["properties"].items()}
    return bare


def _with_rules(schema: Schema, rules: Iterable[Rule], at: tuple[str, ...] = ()) -> Schema:
    """Return *schema* with each rule at its place."""
    copy = dict(schema)
    if here := [{"rule": rule.cel, "message": rule.message} for rule in rules if rule.at == at]:
        copy["x-kubernetes-validations"] = here
    if "items" in copy:
        copy["items"] = _with_rules(copy["items"], rules, (*at, "*"))
    if "properties" in copy:
        copy["properties"] = {name: _with_rules(each, rules, (*at, name)) for name, each in copy["properties"].items()}
    return copy


def _definition(kind: str, plural: str, schema: Schema, columns: Iterable[tuple[str, str, str, int]]) -> Schema:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{GROUP}",
            # An uninstalled release must not take the tenants with it.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "categories": ["collegium"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        _given(name=name, type=type_, jsonPath=path, priority=priority or None)
                        for name, type_, path, priority in columns
                    ],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def custom_resource_definitions() -> dict[str, Schema]:
    """Return every CustomResourceDefinition by the name of its file below ``crds/``."""
    tenants = _with_rules(tenant_schema(), TENANT_RULES)
    return {f"{GROUP}_tenants.yaml": _definition("Tenant", "tenants", tenants, _TENANT_COLUMNS)}


class _Dumper(yaml.SafeDumper):
    """No anchors, lists indented: what people expect of a file that they read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is pyyaml's
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - pyyaml's
        super().increase_indent(flow, False)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return *document* as YAML in its own order of keys, long lines folded by nobody."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
