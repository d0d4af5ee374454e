"""A real Kubernetes control plane on loopback: etcd, API server, controllers, scheduler, and a node that kwok plays."""

from __future__ import annotations

import json
import secrets
import ssl
import subprocess
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collegium_testing.processes import free_port, kill, spawn, wait_until
from collegium_testing.services.component import SOURCES
from collegium_testing.services.kubernetes import ControlPlaneBinary, Kwok, Tools

__all__ = ["Cluster", "ControlPlane"]

_NODE = SOURCES / "kubernetes" / "node.yaml"
_USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
}


class Cluster:
    """A cluster that is there: its kubeconfig, and ``kubectl`` for it."""

    def __init__(self, kubeconfig: Path, kubectl: Path) -> None:
        """Name the two files; nothing is asked yet."""
        self.kubeconfig = kubeconfig
        self._kubectl = kubectl

    def kubectl(self, *arguments: str | Path, stdin: str | None = None, check: bool = True, timeout: float = 60) -> str:
        """Run kubectl with *stdin* and return its output; with *check* a failure raises with what it said."""
        done = subprocess.run(
            [self._kubectl, f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, object]:
        """Return what ``kubectl get ARGUMENTS -o json`` says."""
        found: dict[str, object] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def install_crds(self, folder: Path) -> None:
        """Apply every manifest of *folder* and wait until the API server serves the kinds."""
        if not any(folder.glob("*.yaml")):
            return
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", folder)


class ControlPlane(Cluster):
    """A cluster of our own in *folder*: about 0.7 GB of memory, ready in 4 to 7 s.

    RBAC is real: users are static tokens (``admin`` may do everything), service accounts get real tokens. Containers
    are not: the one node, ``kwok-1``, makes pods Ready, completes those of Jobs, and answers at no address.
    """

    def __init__(self, folder: Path, *, crds: Path | None = None) -> None:
        """Say where it will run and which CRDs (a folder of manifests) it shall have from the start."""
        super().__init__(folder / "kubeconfig", Tools().kubectl)
        self.folder = folder
        self._crds = crds
        self._port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self._tokens = {user: secrets.token_hex(16) for user in _USERS}
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def server(self) -> str:
        """Where the API server answers."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def token(self) -> str:
        """The bearer token of ``admin``."""
        return self._tokens["admin"]

    @property
    def certificate(self) -> Path:
        """What the API server's certificate is checked against."""
        return self.folder / "certs" / "apiserver.crt"

    def start(self) -> ControlPlane:
        """Start everything in the order in which each part needs the other."""
        self._write_files()
        self._start_etcd()
        self._start_apiserver()
        # The garbage collector looks for new kinds every 30 s only, so ours are there before it is.
        if self._crds:
            self.install_crds(self._crds)
        self._start_controllers()
        self._start_node()
        return self

    def stop(self) -> None:
        """Kill everything: nothing of it is kept, and a graceful end takes 10 s."""
        for process in reversed(self._processes):
            kill(process)
        self._processes.clear()

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = (f'{self._tokens[user]},{user},{user},"{group}"' for user, group in _USERS.items())
        (self.folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "sa.key").write_bytes(key)
        for user, file in (
            ("admin", "kubeconfig"),
            ("system:kube-controller-manager", "controller-manager.kubeconfig"),
            ("system:kube-scheduler", "scheduler.kubeconfig"),
        ):
            (self.folder / file).write_text(json.dumps(self._kubeconfig(self._tokens[user])))

    def _kubeconfig(self, token: str) -> dict[str, object]:
        cluster = {"server": self.server, "certificate-authority": str(self.certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
            "current-context": "test",
        }

    def _spawn(self, name: str, program: Path, *arguments: str) -> subprocess.Popen[bytes]:
        process = spawn([program, *arguments], log=self.folder / f"{name}.log", cwd=self.folder)
        self._processes.append(process)
        return process

    def _component(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        return self._spawn(name, ControlPlaneBinary().binary, name, *arguments)

    def _start_etcd(self) -> None:
        client = f"http://127.0.0.1:{self._etcd_port}"
        process = self._component("etcd", str(self.folder / "etcd"), client, f"http://127.0.0.1:{self._peer_port}")

        def healthy() -> bool:
            with urllib.request.urlopen(f"{client}/health", timeout=2) as answer:  # noqa: S310 - our own loopback address
                return bool(answer.status == 200)

        wait_until(healthy, what="etcd", timeout=30, process=process, log=self.folder / "etcd.log")

    def _start_apiserver(self) -> None:
        process = self._component(
            "apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self.folder}/certs",
            # Without a default route the server finds no address of its own to tell.
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={self.folder}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self.folder}/sa.key",
            f"--service-account-key-file={self.folder}/sa.key",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--allow-privileged=true",
        )
        log = self.folder / "apiserver.log"
        wait_until(lambda: self._answers("/readyz"), what="the API server", timeout=120, process=process, log=log)

    def _start_controllers(self) -> None:
        process = self._component(
            "controller-manager",
            f"--kubeconfig={self.folder}/controller-manager.kubeconfig",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.folder}/sa.key",
            f"--root-ca-file={self.certificate}",
            # At the default rate of 20 calls a second the controllers need 5 s to start.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            # It wants the CA first in a file that begins with the server's own certificate, and logs errors only.
            "--controllers=*,-kube-apiserver-serving-clustertrustbundle-publisher-controller",
        )
        self._component(
            "scheduler", f"--kubeconfig={self.folder}/scheduler.kubeconfig", "--secure-port=0", "--leader-elect=false"
        )
        log = self.folder / "controller-manager.log"
        # Before this account is there, admission refuses every pod.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until(lambda: self._answers(account), what="the controllers", timeout=60, process=process, log=log)

    def _start_node(self) -> None:
        kwok = Kwok()
        # With a shorter lease the controllers think that the node is gone.
        options = ("--manage-all-nodes", "--node-lease-duration-seconds=40")
        self._spawn("kwok", kwok.binary, f"--kubeconfig={self.kubeconfig}", f"--config={kwok.stages}", *options)
        self.kubectl("apply", "--server-side", "-f", _NODE)
        self.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "node/kwok-1")

    def _answers(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate))
        request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {self.token}"})  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310 - same
            return bool(answer.status == 200)
