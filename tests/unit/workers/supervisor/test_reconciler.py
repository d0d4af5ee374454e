"""Folders of manifests become tenant records."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from collegium_core import manifests
from collegium_core.errors import BadRequest, Conflict, Problem, Unavailable
from collegium_core.security import credentials
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import Placement, TenantRecord, TenantState
from collegium_workers.supervisor import folders
from collegium_workers.supervisor import reconciler as module
from collegium_workers.supervisor.reconciler import ManifestFolder, Reconciler
from collegium_workers.supervisor.views import Login

KEY = "ck_" + "k" * 43
SECOND_LOOK = 0.1
OTHER_KEY = "ck_" + "o" * 43
TENANT = """\
apiVersion: collegium.dev/v1alpha1
kind: Tenant
metadata: {{name: {name}}}
spec:
  state: {state}
  authentication:
    - name: lms
      basic: {{secretRef: {{name: {name}-lms}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: {name}-lms}}
stringData: {{username: {name}-user, password: {password}}}
"""


class Registry:
    """A registry of records in a dictionary; ``is_away`` makes it unavailable."""

    def __init__(self) -> None:
        self.records: dict[str, TenantRecord] = {}
        self.writes = 0
        self.is_away = False

    async def list(self) -> list[TenantRecord]:
        """Return all."""
        self._check()
        return list(self.records.values())

    async def put(self, record: TenantRecord) -> bool:
        """Store one."""
        self._check()
        changed = self.records.get(record.slug) != record
        self.writes += changed
        self.records[record.slug] = record
        return changed

    async def remove(self, slug: str) -> None:
        """Forget one."""
        self._check()
        del self.records[slug]

    def _check(self) -> None:
        if self.is_away:
            raise Unavailable("away")


class Scene:
    """A folder, a registry and a reconciler between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "manifests"
        self.own = folder / "tenants"
        self.folder.mkdir()
        self.own.mkdir()
        self.registry = Registry()
        self.provisioned: list[str] = []
        self.store_is_away = False
        self.refusals: dict[str, Problem] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.reconciler = self.restart()

    def restart(self, *, with_manifests: bool = True) -> Reconciler:
        """Return a new reconciler over the same folders and registry."""
        platform = SimpleNamespace(
            registry=self.registry, scope=self._scope, settings=SimpleNamespace(placement=Placement.DEDICATED)
        )
        watched = [ManifestFolder(self.own, "tenants")]
        if with_manifests:
            watched.insert(0, ManifestFolder(self.folder, "manifests"))
        self.reconciler = Reconciler(cast("Platform", platform), watched, report=self._report)
        return self.reconciler

    def write(self, name: str, *, state: str = "Active", password: str = KEY, own: bool = False) -> Path:
        """Write a tenant's documents."""
        path = (self.own if own else self.folder) / f"{name}.yaml"
        path.write_text(TENANT.format(name=name, state=state, password=password))
        return path

    async def look_twice(self) -> None:
        """Look, and look again once the second look is due."""
        await self.reconciler.step()
        await asyncio.sleep(SECOND_LOOK)
        await self.reconciler.step()

    def record(self, name: str) -> TenantRecord | None:
        """Return what the registry holds."""
        return self.registry.records.get(parse_name(name).slug)

    def faults(self, event: str = "manifest-fault") -> list[dict[str, Any]]:
        """Return the reported faults."""
        return [fields for name, fields in self.events if name == event]

    def _report(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    def _scope(self, record: TenantRecord) -> Any:
        async def provision() -> None:
            if self.store_is_away:
                raise Unavailable("no store")
            if record.display in self.refusals:
                raise self.refusals[record.display]
            self.provisioned.append(record.display)

        return SimpleNamespace(provision=provision)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(folders, "SECOND_LOOK_SECONDS", SECOND_LOOK)
    return Scene(tmp_path)


async def test_tenants_of_the_folder_and_the_default_one_exist(scene: Scene) -> None:
    """Each with its credential and its stores; the default tenant without a manifest and without a credential."""
    scene.write("acme")
    scene.write("globex")
    assert await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert ["acme-user"] == [credential.username for credential in acme.credentials]
    default = scene.record("default")
    assert default is not None
    assert () == default.credentials
    assert {"acme", "globex", "default"} == set(scene.provisioned)
    assert ["acme", "globex", "default"] == [view.name for view in scene.reconciler.tenants()]
    assert (Login("acme-user", KEY),) == scene.reconciler.tenants()[0].logins


async def test_nothing_new_writes_nothing(scene: Scene) -> None:
    """Looking costs the registry nothing."""
    scene.write("acme")
    await scene.reconciler.step()
    before = scene.registry.writes
    for _ in range(3):
        await scene.reconciler.step()
    assert before == scene.registry.writes


async def test_a_changed_document_takes_effect(scene: Scene) -> None:
    """State and password of the next look are those of the file."""
    scene.write("acme")
    await scene.reconciler.step()
    first = scene.record("acme")
    scene.write("acme", state="ReadOnly", password=OTHER_KEY)
    await scene.reconciler.step()
    second = scene.record("acme")
    assert first is not None
    assert second is not None
    assert TenantState.READ_ONLY is second.state
    assert first.credentials != second.credentials


async def test_a_removed_document_closes_the_door(scene: Scene) -> None:
    """The record goes, in this run and also when the file went while nothing ran."""
    paths = [scene.write("acme"), scene.write("globex")]
    await scene.reconciler.step()
    paths[0].unlink()
    await scene.look_twice()
    assert scene.record("acme") is None
    paths[1].unlink()
    scene.restart()
    await scene.look_twice()
    assert scene.record("globex") is None
    assert scene.record("default") is not None


async def test_tenants_that_came_from_elsewhere_are_left_alone(scene: Scene) -> None:
    """What was made on demand has no document to be missed."""
    name = parse_name("on demand")
    await scene.registry.put(TenantRecord(name.slug, name.display, name.canonical))
    await scene.reconciler.step()
    assert scene.record("on demand") is not None


async def test_without_a_manifests_folder_its_tenants_stay(scene: Scene) -> None:
    """A platform started for a while by another command knows nothing of the folder."""
    scene.write("acme")
    await scene.reconciler.step()
    await scene.restart(with_manifests=False).step()
    assert scene.record("acme") is not None


async def test_a_broken_document_is_told_and_takes_nothing_away(scene: Scene) -> None:
    """File, line and field are named once, other files load, and the tenant stays as it was."""
    path = scene.write("acme")
    await scene.reconciler.step()
    path.write_text(path.read_text().replace("state: Active", "stat: Active"))
    scene.write("globex")
    for _ in range(3):
        await scene.reconciler.step()
    [fault] = scene.faults()
    assert (str(path), 5, "spec.stat") == (fault["file"], fault["line"], fault["field"])
    assert scene.record("acme") is not None
    assert scene.record("globex") is not None


async def test_a_document_broken_before_the_start_keeps_its_tenant(scene: Scene) -> None:
    """Nobody can tell which tenant the broken file would have given, so no door is closed."""
    path = scene.write("acme")
    await scene.reconciler.step()
    path.write_text("kind: [")
    await scene.restart().step()
    assert scene.record("acme") is not None


async def test_a_missing_secret_is_told_and_the_tenant_exists_without_that_credential(scene: Scene) -> None:
    """The fault names the entry; the tenant is there for others."""
    path = scene.write("acme")
    path.write_text(path.read_text().partition("---")[0])
    await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert () == acme.credentials
    [fault] = scene.faults()
    assert "there is no Secret 'acme-lms'" in fault["detail"]


async def test_a_name_cannot_be_changed_in_place(scene: Scene) -> None:
    """As on Kubernetes: the fault is told, the tenant stays what it was."""
    path = scene.write("acme")
    await scene.reconciler.step()
    path.write_text(path.read_text().replace("spec:\n", "spec:\n  name: other\n"))
    await scene.reconciler.step()
    assert scene.record("acme") is not None
    assert scene.record("other") is None
    assert ["name cannot be changed, set or unset once the Tenant exists"] == [
        fault["detail"] for fault in scene.faults()
    ]


async def test_the_manifests_folder_counts_before_created_tenants(scene: Scene) -> None:
    """Two documents for one tenant: the earlier folder's is in force, the other is told."""
    scene.write("acme", state="ReadOnly")
    scene.write("acme", own=True)
    await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert TenantState.READ_ONLY is acme.state
    [fault] = scene.faults()
    assert "means the same tenant" in fault["detail"]


async def test_a_registry_that_is_away_is_tried_again(scene: Scene) -> None:
    """The step says that it is not done, and the next one is."""
    scene.write("acme")
    scene.registry.is_away = True
    assert not await scene.reconciler.step()
    scene.registry.is_away = False
    assert await scene.reconciler.step()
    assert scene.record("acme") is not None


async def test_a_registry_that_lost_everything_has_it_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are written again now and then, whether or not a file has changed."""
    scene.write("acme")
    await scene.reconciler.step()
    scene.registry.records.clear()
    monkeypatch.setattr(module, "_RESYNC_SECONDS", 0.0)
    await scene.reconciler.step()
    assert scene.record("acme") is not None
    assert scene.record("default") is not None


async def test_a_store_that_is_away_holds_up_no_record(scene: Scene) -> None:
    """The tenant can be called; its stores are made when they can be."""
    scene.write("acme")
    scene.store_is_away = True
    assert await scene.reconciler.step()
    assert scene.record("acme") is not None
    scene.store_is_away = False
    await scene.reconciler.step()
    assert "acme" in scene.provisioned


async def test_a_tenant_whose_stores_are_refused_stops_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once per reason and tried again; the others have their stores at once."""
    monkeypatch.setattr(module, "_RESYNC_SECONDS", 0.0)
    for name in ("acme", "globex", "hooli"):
        scene.write(name)
    scene.refusals["acme"] = Conflict("an index stands in its place")
    for _ in range(3):
        assert await scene.reconciler.step()
    assert {"globex", "hooli", "default"} == set(scene.provisioned)
    assert ["acme", "globex", "hooli", "default"] == [view.name for view in scene.reconciler.tenants()]
    scene.refusals["acme"] = Conflict("an alias stands in its place")
    await scene.reconciler.step()
    assert ["an index stands in its place", "an alias stands in its place"] == [
        fault["detail"] for fault in scene.faults("tenant-fault")
    ]
    scene.refusals.clear()
    await scene.reconciler.step()
    assert "acme" in scene.provisioned


async def test_a_tenant_whose_record_is_refused_stops_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record stays what it was, and it is told once."""
    monkeypatch.setattr(module, "_RESYNC_SECONDS", 0.0)
    scene.write("acme")
    await scene.reconciler.step()
    before = scene.record("acme")
    desired = manifests.desired_record

    def refusing(manifest: Any, *rest: Any, **more: Any) -> TenantRecord:
        if manifest.display in {"acme", "initech"}:
            raise BadRequest("not like this")
        return desired(manifest, *rest, **more)

    monkeypatch.setattr(module, "desired_record", refusing)
    scene.write("acme", state="ReadOnly")
    scene.write("initech")
    scene.write("globex")
    for _ in range(2):
        assert await scene.reconciler.step()
    assert [("acme", "not like this"), ("initech", "not like this")] == sorted(
        (fault["tenant"], fault["detail"]) for fault in scene.faults("tenant-fault")
    )
    assert before == scene.record("acme")
    assert scene.record("initech") is None
    assert scene.record("globex") is not None
    assert "globex" in scene.provisioned


async def test_a_store_that_is_away_for_one_tenant_holds_up_no_other(scene: Scene) -> None:
    """The next step begins with those that have not been tried; the store is told once while it is away."""
    for name in ("acme", "globex", "hooli"):
        scene.write(name)
    scene.refusals["acme"] = Unavailable("its index is blocked")
    for _ in range(4):
        assert await scene.reconciler.step()
    assert {"globex", "hooli", "default"} == set(scene.provisioned)
    assert 1 == len(scene.faults("store-away"))
    scene.refusals.clear()
    await scene.reconciler.step()
    assert "acme" in scene.provisioned


async def test_passwords_are_hashed_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a resync nor a change elsewhere nor a restart makes the hash anew."""
    hashed: list[str] = []
    make = credentials.make_credential

    def counting(name: str, username: str, password: str, *rest: Any) -> Any:
        hashed.append(username)
        return make(name, username, password, *rest)

    monkeypatch.setattr(module, "make_credential", counting)
    monkeypatch.setattr(module, "_RESYNC_SECONDS", 0.0)
    scene.write("acme", password="a long password")
    await scene.reconciler.step()
    first = scene.record("acme")
    scene.write("globex", password="another one")
    await scene.reconciler.step()
    await scene.restart().step()
    assert ["acme-user", "globex-user"] == sorted(hashed)
    assert first == scene.record("acme")


async def test_the_placement_is_decided_once(scene: Scene) -> None:
    """A tenant that exists keeps its placement whatever the platform's default is now."""
    scene.write("acme")
    name = parse_name("acme")
    await scene.registry.put(TenantRecord(name.slug, name.display, name.canonical, placement=Placement.POOLED))
    await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert Placement.POOLED is acme.placement


async def test_a_folder_that_vanishes_takes_nothing_away(scene: Scene) -> None:
    """A file system that is gone for a moment closes no door."""
    scene.write("acme")
    await scene.reconciler.step()
    scene.folder.rename(scene.folder.with_name("elsewhere"))
    await scene.reconciler.step()
    assert scene.record("acme") is not None
    assert "cannot be read" in scene.faults()[0]["detail"]


async def test_a_lock_file_blinds_nobody(scene: Scene) -> None:
    """A link to nowhere beside the manifests is no change, and changes are seen all the same."""
    scene.write("acme")
    (scene.folder / ".#acme.yaml").symlink_to("ada@host.1:2")
    (scene.folder / "gone.yaml").symlink_to("nowhere")
    await scene.reconciler.step()
    scene.write("acme", state="ReadOnly")
    scene.write("globex")
    await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert TenantState.READ_ONLY is acme.state
    assert scene.record("globex") is not None
    assert [] == scene.faults()


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_tenant_in_force_is_not_taken_over(scene: Scene, *, is_restarted: bool) -> None:
    """A document of an earlier file, or folder, whose name means the same tenant is a fault and changes nothing."""
    scene.write("acme", own=True)
    await scene.reconciler.step()
    before = scene.record("acme")
    taker = scene.write("0-acme2", password=OTHER_KEY).read_text().replace("spec:\n", "spec:\n  name: ACME\n")
    (scene.folder / "0-acme2.yaml").write_text(taker)
    (scene.own / "0-acme2.yaml").write_text(taker)
    if is_restarted:
        scene.restart()
    await scene.look_twice()
    assert before == scene.record("acme")
    assert {("manifests", "spec.name"), ("tenants", "spec.name")} == {
        (Path(fault["file"]).parent.name, fault["field"]) for fault in scene.faults()
    }
    assert all("acme.yaml:1, which counts" in fault["detail"] for fault in scene.faults())


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_broken_document_gives_its_tenant_to_nobody(scene: Scene, *, is_restarted: bool) -> None:
    """While it is broken another document for the same tenant waits; once it is gone that one has the tenant."""
    path = scene.write("acme")
    await scene.reconciler.step()
    before = scene.record("acme")
    taker = scene.write("0-acme2", password=OTHER_KEY)
    taker.write_text(taker.read_text().replace("spec:\n", "spec:\n  name: ACME\n"))
    path.write_text("kind: [")
    if is_restarted:
        scene.restart()
    await scene.look_twice()
    assert before == scene.record("acme")
    assert {"acme.yaml", "0-acme2.yaml"} == {Path(fault["file"]).name for fault in scene.faults()}
    path.unlink()
    await scene.reconciler.step()
    assert before == scene.record("acme")
    await scene.look_twice()
    acme = scene.record("acme")
    assert acme is not None
    assert "manifests:default/0-acme2" == acme.owner


async def test_an_object_written_twice_stays_with_its_file(scene: Scene) -> None:
    """A Secret and a Tenant of the same name in a file that sorts earlier change nothing, nor while a file is cut."""
    path = scene.write("acme")
    text = path.read_text()
    await scene.reconciler.step()
    before = scene.record("acme")
    (scene.folder / "0.yaml").write_text(text.replace(KEY, OTHER_KEY))
    await scene.look_twice()
    assert before == scene.record("acme")
    path.write_text("")
    await scene.reconciler.step()
    assert before == scene.record("acme")
    path.write_text(text)
    await scene.look_twice()
    assert before == scene.record("acme")
    assert {"0.yaml"} == {Path(fault["file"]).name for fault in scene.faults()}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("password", ["123456", "x" * 80, "0x_", "''"])
async def test_a_broken_secret_keeps_its_credential(scene: Scene, password: str, *, is_restarted: bool) -> None:
    """The fault is told, whoever knows the password in force still comes in, and what else has changed takes effect."""
    path = scene.write("acme")
    await scene.reconciler.step()
    before = scene.record("acme")
    text = path.read_text().replace(KEY, password).replace("- name: lms\n", "- name: lms\n      scopes: [define]\n")
    path.write_text(text)
    if is_restarted:
        scene.restart()
    await scene.look_twice()
    acme = scene.record("acme")
    assert before is not None
    assert acme is not None
    assert [(each.username, each.digest) for each in before.credentials] == [
        (each.username, each.digest) for each in acme.credentials
    ]
    assert ("define",) == acme.credentials[0].scopes
    assert scene.faults()
    assert {KEY} >= {login.password for login in scene.reconciler.tenants()[0].logins}
    path.write_text(text.replace(password, OTHER_KEY))
    await scene.reconciler.step()
    acme = scene.record("acme")
    assert acme is not None
    assert before.credentials[0].digest != acme.credentials[0].digest


async def test_a_new_owner_has_no_credential_of_the_old(scene: Scene) -> None:
    """What is kept for a faulty Secret is the same object's alone."""
    scene.write("acme").unlink()
    name = parse_name("acme")
    scene.write("acme", own=True)
    await scene.reconciler.step()
    (scene.own / "acme.yaml").unlink()
    scene.write("acme", password="123")
    await scene.look_twice()
    await scene.look_twice()
    acme = scene.registry.records[name.slug]
    assert ("manifests:default/acme", ()) == (acme.owner, acme.credentials)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("part", ["", "Secret", "Tenant"])
async def test_what_is_half_written_takes_nothing_away(scene: Scene, part: str, *, is_restarted: bool) -> None:
    """A Tenant or Secret that is missing goes at a second look, not when its file is whole again by then."""
    path = scene.write("acme")
    await scene.reconciler.step()
    before = scene.record("acme")
    text = path.read_text()
    path.write_text("".join(each for each in text.split("---\n") if part and f"kind: {part}" not in each))
    if is_restarted:
        scene.restart()
    await scene.reconciler.step()
    await scene.reconciler.step()
    assert before == scene.record("acme")
    path.write_text(text)
    await scene.look_twice()
    assert before == scene.record("acme")
    assert [] == scene.faults()


async def test_a_removed_secret_closes_the_door_to_it(scene: Scene) -> None:
    """At the second look, with the fault; a changed one needs no second look."""
    path = scene.write("acme")
    await scene.reconciler.step()
    path.write_text(path.read_text().partition("---")[0])
    await scene.look_twice()
    acme = scene.record("acme")
    assert acme is not None
    assert () == acme.credentials
    [fault] = scene.faults()
    assert "there is no Secret" in fault["detail"]


async def test_the_second_look_comes_by_itself(scene: Scene) -> None:
    """Nothing has to change for it."""
    path = scene.write("acme")
    task = asyncio.create_task(scene.reconciler.run())
    try:
        async with asyncio.timeout(10):
            while scene.record("acme") is None:
                await asyncio.sleep(0.01)
            path.unlink()
            while scene.record("acme") is not None:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("text", ["kind: [", ""])
async def test_the_default_tenant_keeps_its_manifest_too(scene: Scene, text: str) -> None:
    """Broken or half written over a restart, its credential stays."""
    path = scene.write("default")
    await scene.reconciler.step()
    before = scene.record("default")
    path.write_text(text)
    await scene.restart().step()
    assert before == scene.record("default")
