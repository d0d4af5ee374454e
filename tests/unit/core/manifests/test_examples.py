"""The local parser's verdict on the table of Tenants that the API server is asked about too."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml

from collegium_core.manifests import TenantManifest, parse_documents, transition_errors
from collegium_core.manifests.validation import check_tenant, field_name
from collegium_testing.manifest_examples import TENANT_EXAMPLES, Example


@pytest.mark.parametrize("example", TENANT_EXAMPLES, ids=lambda example: example.title)
def test_verdict(example: Example) -> None:
    """The parser accepts what is right and names the one field that is not."""
    before = None if example.before is None else check_tenant(example.document(example.before))[0]
    _, faults = check_tenant(example.document(), before)
    assert ([] if example.accepted else [example.field]) == [field_name(fault.path) for fault in faults]


@pytest.mark.parametrize(
    "example", [each for each in TENANT_EXAMPLES if each.before is None], ids=lambda example: example.title
)
def test_verdict_on_text(example: Example) -> None:
    """The same document as YAML text gives one manifest or one error."""
    manifests, errors = parse_documents(yaml.safe_dump(example.document(), allow_unicode=True), "file.yaml")
    assert (1, 0) == (len(manifests), len(errors)) if example.accepted else (0, 1) == (len(manifests), len(errors))


@pytest.mark.parametrize(
    "example", [each for each in TENANT_EXAMPLES if each.before is not None], ids=lambda example: example.title
)
def test_verdict_on_changes(example: Example) -> None:
    """Two manifests of one object show whether the change is allowed."""

    def manifest(spec: object) -> TenantManifest:
        [found], errors = parse_documents(json.dumps(example.document(spec)), "file.json")
        assert not errors
        assert isinstance(found, TenantManifest)
        return found

    errors = transition_errors(manifest(example.before), manifest(example.spec))
    assert example.accepted == (not errors)


def test_no_fault_repeats_a_value() -> None:
    """A message never holds what was written: it may be a secret in the wrong place."""
    secret = "hunter2-" * 3
    spec = {"name": secret * 20, "state": secret, "settings": {"1": secret, "a": [secret]}, "storage": secret}
    _, faults = check_tenant(Example("x", spec).document())
    assert faults
    assert secret not in msgspec.json.encode(faults).decode()
