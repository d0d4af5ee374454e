"""A folder of manifests: all its files, and what clashes between them."""

from __future__ import annotations

from pathlib import Path

from collegium_core.manifests import TenantManifest, credential_faults, manifest_files, read_folder

EXAMPLES = Path(__file__).resolve().parents[4] / "examples" / "manifests"


def write(folder: Path, file: str, name: str, spec: str = "{}") -> None:
    text = f"apiVersion: collegium.dev/v1alpha1\nkind: Tenant\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    (folder / file).write_text(text)


def test_the_examples_are_right() -> None:
    """What a newcomer runs first has no fault, and every credential in it can be made."""
    manifests, errors = read_folder(EXAMPLES)
    assert [] == errors
    tenants = [manifest for manifest in manifests if isinstance(manifest, TenantManifest)]
    assert ["acme", "globex"] == [tenant.display for tenant in tenants]
    secrets = {each.name: each.data for each in manifests if not isinstance(each, TenantManifest)}
    assert [] == [fault for tenant in tenants for fault in credential_faults(tenant, secrets)]


def test_files_in_order_and_only_manifests(tmp_path: Path) -> None:
    """YAML and JSON files count, in order of their names; others and folders do not."""
    write(tmp_path, "b.yaml", "two")
    write(tmp_path, "a.yml", "one")
    (tmp_path / "c.json").write_text(
        '{"apiVersion": "collegium.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "three"}, "spec": {}}'
    )
    (tmp_path / "notes.txt").write_text("not: [read")
    (tmp_path / "more.yaml").mkdir()
    manifests, errors = read_folder(tmp_path)
    assert (["one", "two", "three"], []) == ([manifest.name for manifest in manifests], errors)


def test_clashes(tmp_path: Path) -> None:
    """The second object of one name is a fault; the first counts."""
    write(tmp_path, "a.yaml", "one")
    write(tmp_path, "b.yaml", "one", "{state: Suspended}")
    manifests, [error] = read_folder(tmp_path)
    assert ["one"] == [manifest.name for manifest in manifests]
    assert ("b.yaml", "metadata.name") == (Path(error.file).name, error.field)
    assert "a.yaml:1" in error.detail


def test_an_object_stays_with_its_file(tmp_path: Path) -> None:
    """What an earlier reading found counts before a newcomer of the same name, whatever the order of their files."""
    write(tmp_path, "b.yaml", "one")
    before, _ = read_folder(tmp_path)
    write(tmp_path, "a.yaml", "one", "{state: Suspended}")
    manifests, [error] = read_folder(tmp_path, before)
    assert before == manifests
    assert "a.yaml" == Path(error.file).name
    (tmp_path / "b.yaml").unlink()
    [manifest], errors = read_folder(tmp_path, before)
    assert ("a.yaml", []) == (Path(manifest.file).name, errors)


def test_hidden_files_and_links_to_nowhere_are_no_manifests(tmp_path: Path) -> None:
    """Editors lock and swap with them; a link to a file counts as the file does."""
    write(tmp_path, "a.yaml", "one")
    write(tmp_path, ".hidden.yaml", "two")
    (tmp_path / ".#a.yaml").symlink_to("ada@host.1:2")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "three")
    write(tmp_path, "three", "three")
    assert ["a.yaml", "link.yaml"] == [path.name for path in manifest_files(tmp_path)]
    manifests, errors = read_folder(tmp_path)
    assert (["one", "three"], []) == ([manifest.name for manifest in manifests], errors)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A folder that is not there and a file that is not UTF-8 are errors; the other files are read."""
    assert "cannot be read" in str(read_folder(tmp_path / "missing")[1][0])
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    write(tmp_path, "b.yaml", "one")
    manifests, [error] = read_folder(tmp_path)
    assert ["one"] == [manifest.name for manifest in manifests]
    assert "UTF-8" in error.detail
