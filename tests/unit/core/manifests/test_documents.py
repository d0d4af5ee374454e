"""Reading YAML: positions, many documents, Secrets, and what is refused for the reader's good."""

from __future__ import annotations

import base64
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.manifests import ManifestError, SecretManifest, documents, parse_documents, validation

TENANT = "apiVersion: collegium.dev/v1alpha1\nkind: Tenant\nmetadata: {name: %s}\nspec: {}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"


def parse(text: str) -> tuple[list[str], list[str]]:
    """Return the names of the manifests and the errors as people see them."""
    manifests, errors = parse_documents(textwrap.dedent(text), "f.yaml")
    return [manifest.name for manifest in manifests], [str(error) for error in errors]


def test_errors_name_file_line_and_field_and_the_others_load() -> None:
    """Two faults in one document are both named where they stand; the documents around it are read."""
    text = (
        TENANT % "one"
        + textwrap.dedent("""\
        ---
        # a comment
        apiVersion: collegium.dev/v1alpha1
        kind: Tenant
        metadata:
          name: two
        spec:
          sate: Active
          api:
            mode:
              3
        ---
        """)
        + TENANT % "three"
    )
    manifests, errors = parse_documents(text, "folder/f.yaml")
    assert ["one", "three"] == [manifest.name for manifest in manifests]
    assert [
        "folder/f.yaml:12: spec.sate: unknown field; did you mean 'state'?",
        "folder/f.yaml:14: spec.api.mode: must be a string, is a whole number",
    ] == [str(error) for error in errors]


def test_a_broken_document_spoils_no_other() -> None:
    """What is no YAML is an error at its line; documents before and after it are read."""
    names, errors = parse(TENANT % "one" + "---\nkey: [1,\n---\n" + TENANT % "two")
    assert ["one", "two"] == names
    [error] = errors
    assert error.startswith("f.yaml:7: is not YAML")


def test_empty_documents_are_nothing() -> None:
    """Separators without anything between them, comments and an empty text give neither manifest nor error."""
    for text in ("", "---\n", "---\n---\n# nothing\n---\n", "\n\n"):
        assert ([], []) == parse(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("just text", "f.yaml:1: is no object"),
        ("- a\n- b", "f.yaml:1: is no object"),
        ("kind: Tenant", "f.yaml:1: apiVersion: is required"),
        ("apiVersion: v1\nkind: 3", "f.yaml:2: kind: is required and must be a string"),
        ("apiVersion: v1\nkind: Pod", "f.yaml:2: kind: 'Pod' of 'v1' is not known"),
        ("apiVersion: collegium.dev/v1\nkind: Tenant\nmetadata: {name: x}", "f.yaml:2: kind: 'Tenant' of"),
        (TENANT % "UPPER", "f.yaml:3: metadata.name: must match"),
        ("apiVersion: collegium.dev/v1alpha1\nkind: Tenant\nspec: {}", "f.yaml:1: metadata.name: is required"),
        (TENANT.replace("{name: %s}", "x"), "f.yaml:3: metadata: must be an object"),
        (TENANT % "x, colour: red", "f.yaml:3: metadata.colour: unknown field"),
        (TENANT % "x" + "sepc: {}", "f.yaml:5: sepc: unknown field; did you mean 'spec'?"),
        ((TENANT % "x").replace("spec: {}", ""), "f.yaml:1: spec: is required"),
        ((TENANT % "x").replace("{}", "{state: Active, state: Active}"), "f.yaml:4: spec.state: is there twice"),
        ((TENANT % "x").replace("{}", "{on: x}"), "f.yaml:4: spec: a field's name must be a string"),
        ((TENANT % "x").replace("{}", "{name: !secret x}"), "f.yaml:4: spec.name: the tag"),
        ((TENANT % "x").replace("{}", "!!python/object:os.system {}"), "f.yaml:4: spec: the tag"),
        (SECRET + "data: {a: '%%%'}", "f.yaml:4: data.a: is not base64"),
        (SECRET + "stringData: {a: 1}", "f.yaml:4: stringData.a: must be a string"),
        (SECRET + "strData: {a: x}", "f.yaml:4: strData: unknown field; did you mean 'stringData'?"),
    ],
)
def test_faults(text: str, place: str) -> None:
    """Every kind of fault is said where it is, and is the only one."""
    names, errors = parse(text)
    assert [] == names
    [error] = errors
    assert error.startswith(place), error


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("0x_", "looks like a whole number"),
        ("0b_", "looks like a whole number"),
        ("9" * 10_000, "looks like a whole number"),
        ('!!int "x"', "looks like a whole number"),
        ('!!int ""', "looks like a whole number"),
        ('!!float "x"', "looks like a number"),
        ('!!bool "x"', "is tagged as true or false"),
        (r'"\U00110000"', "holds an escape that stands for no character"),
        (r'"\UFFFFFFFF"', "holds an escape that stands for no character"),
        (r'"\ud800"', "holds half of a surrogate pair"),
        (r'{"\ud800": x}', "holds half of a surrogate pair"),
    ],
)
def test_values_that_stand_for_nothing(value: str, detail: str) -> None:
    """They are named by file, line and field; the documents before and after are read."""
    text = f"{TENANT % 'one'}---\n{SECRET}stringData:\n  password: x\n  username: {value}\n---\n{TENANT % 'two'}"
    names, errors = parse(text)
    assert ["one", "two"] == names
    [error] = errors
    assert error.startswith(f"f.yaml:11: stringData.username: {detail}"), error


def test_pairs_of_escapes_are_one_character() -> None:
    """JSON writes characters beyond the first 65,536 so."""
    [secret], errors = parse_documents(SECRET + r'stringData: {"a": "\ud83d\ude00"}', "f")
    assert not errors
    assert isinstance(secret, SecretManifest)
    assert {"a": "\U0001f600".encode()} == secret.data


def test_no_fault_of_ours_keeps_back_another_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised for one document is its error, without the message, which may hold a secret."""
    check = validation.check_tenant

    def failing(value: dict[str, Any]) -> Any:
        if value["metadata"]["name"] == "two":
            raise RuntimeError("s3cret")
        return check(value)

    monkeypatch.setattr(documents, "check_tenant", failing)
    names, errors = parse("---\n".join(TENANT % name for name in ("one", "two", "three")))
    assert ["one", "three"] == names
    assert ["f.yaml:5: cannot be read (RuntimeError)"] == errors


def test_scalars_are_kubectls() -> None:
    """A date and a number to base 60 are text, as ``kubectl`` has them; a bare ``on`` is a boolean."""
    text = SECRET + "stringData: {Date: 2026-01-02, Time: 12:30:00, Ratio: 1:30.5}"
    [secret], errors = parse_documents(text, "f")
    assert not errors
    assert isinstance(secret, SecretManifest)
    assert {"Date": b"2026-01-02", "Time": b"12:30:00", "Ratio": b"1:30.5"} == secret.data
    _, [error] = parse(SECRET + "stringData: {Switch: on}")
    assert error.endswith("must be a string, is true or false")


def test_secrets() -> None:
    """``data`` is base64, ``stringData`` wins over it, and neither is ever shown."""
    encoded = base64.b64encode(b"from data").decode()
    text = SECRET + f"type: kubernetes.io/basic-auth\ndata: {{a: {encoded}, b: {encoded}}}\nstringData: {{b: plain}}\n"
    [secret], errors = parse_documents(text, "f")
    assert not errors
    assert isinstance(secret, SecretManifest)
    assert {"a": b"from data", "b": b"plain"} == secret.data
    assert "plain" not in repr(secret)
    assert "from data" not in f"{[secret]}"


def test_objects_as_kubectl_prints_them_are_read() -> None:
    """What the API server adds to an object does not keep its file from being read."""
    text = """\
        apiVersion: collegium.dev/v1alpha1
        kind: Tenant
        metadata:
          name: acme
          namespace: learning
          uid: 0c5b
          resourceVersion: "5"
          generation: 2
          creationTimestamp: "2026-01-01T00:00:00Z"
          managedFields: [{manager: x}]
        spec: {deletionPolicy: Delete}
        status:
          slug: t-acme
          conditions: []
        """
    [tenant], errors = parse_documents(textwrap.dedent(text), "f")
    assert ("learning", []) == (tenant.namespace, errors)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "a: " * 500 + "b", "x: &x [1]\ny: " + "[" * 70 + "1" + "]" * 70, "{" * 3000],
    ids=["unclosed", "chained", "deep", "braces"],
)
def test_depth_is_bounded(text: str) -> None:
    """Whatever is nested too deeply is one error and no traceback."""
    names, errors = parse(text)
    assert ([], 1) == (names, len(errors))


def test_aliases_are_bounded() -> None:
    """A few lines of aliases do not become gigabytes, and one that holds itself ends."""
    layers = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    for text in (f"a0: &a0 x\n{layers}", "a: &a [*a]"):
        names, [error] = parse(text)
        assert [] == names
        assert "too large" in error


def test_size_is_bounded() -> None:
    """A file of more than a mebibyte is refused without being read."""
    manifests, errors = parse_documents("#" * (2**20 + 1), "f")
    assert ([], [ManifestError("f", 0, "", "is larger than 1048576 bytes")]) == (manifests, errors)


@given(st.text(alphabet=st.sampled_from(list("ab:-[]{}&*!|>'\"#%@`,? \n\t\u00e9\x00")), max_size=60))
def test_no_text_brings_the_parser_down(text: str) -> None:
    """Any text gives manifests and errors, never an exception."""
    manifests, errors = parse_documents(text, "f")
    assert all(error.line <= text.count("\n") + 1 for error in errors)
    assert [] == manifests
