"""A release of the chart in a real cluster, and its operator as a process with the rights of its service account."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from collegium_testing.pods import run_container
from collegium_testing.processes import end, free_port, kill, tail, wait_until
from collegium_testing.services.cluster import Cluster

__all__ = ["CHART", "OperatorProcess", "Release", "eventually"]

CHART = Path(__file__).resolve().parents[3] / "charts" / "collegium"
_PROGRAMS = Path(__file__).resolve().parents[3] / ".venv" / "bin"

T = TypeVar("T")


def eventually(look: Callable[[], T | None], *, what: str, timeout: float = 20) -> T:
    """Return what *look* returns once that is something; ``AssertionError`` with *what* after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if (found := look()) is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.1)


class Release:
    """The chart, installed in *namespace* by Helm; its operator is started by :meth:`operator`."""

    def __init__(self, cluster: Cluster, helm: Path, namespace: str, folder: Path) -> None:
        """Name the parts; nothing is installed yet."""
        self.cluster = cluster
        self.namespace = namespace
        self.name = "collegium"
        self._helm = helm
        self._folder = folder

    def install(self, values: Mapping[str, Any]) -> Release:
        """Install or upgrade with *values*. CRDs are there already: every release of a test run shares them."""
        file = self._folder / "values.json"
        file.write_text(json.dumps({"crds": {"install": False}, **values}))
        self.helm("upgrade", "--install", self.name, CHART, "--values", file)
        return self

    def helm(self, *arguments: str | Path) -> str:
        """Run Helm in the release's namespace and return its output."""
        done = subprocess.run(
            [self._helm, f"--kubeconfig={self.cluster.kubeconfig}", "--namespace", self.namespace, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"helm {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def operator(self, **overrides: str) -> OperatorProcess:
        """Start the operator as its Deployment says, as its service account."""
        deployment: Any = self.cluster.get("deployment", f"{self.name}-operator", "-n", self.namespace)
        account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
        token = self.cluster.kubectl("-n", self.namespace, "create", "token", account, "--duration=1h").strip()
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        number = len(list(self._folder.glob("operator-*.kubeconfig")))
        kubeconfig = self._folder / f"operator-{number}.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        return OperatorProcess(self, deployment, kubeconfig, overrides, f"operator-{number}").start()


class OperatorProcess:
    """One running operator; :attr:`log` is what it writes."""

    def __init__(
        self, release: Release, deployment: Any, kubeconfig: Path, overrides: Mapping[str, str], pod: str
    ) -> None:
        """Name the parts; :meth:`start` starts it."""
        self._release = release
        self._deployment = deployment
        self.port, self.metrics_port = free_port(), free_port()
        self.log = kubeconfig.with_suffix(".log")
        self.pod = pod
        self._overrides = {
            "PATH": f"{_PROGRAMS}:/usr/bin:/bin",
            "KUBECONFIG": str(kubeconfig),
            "COLLEGIUM_HOST": "127.0.0.1",
            "COLLEGIUM_PORT": str(self.port),
            "COLLEGIUM_METRICS_PORT": str(self.metrics_port),
            "COLLEGIUM_DATA_DIR": str(kubeconfig.with_suffix(".data")),
            **overrides,
        }
        self.process: subprocess.Popen[bytes]

    def start(self) -> OperatorProcess:
        """Start it and wait until it is ready."""
        self.process = run_container(
            self._release.cluster,
            self._deployment,
            log=self.log,
            overrides=self._overrides,
            pod=self.pod,
            cwd=self.log.parent,
        )
        wait_until(self.is_ready, what="the operator", timeout=60, process=self.process, log=self.log)
        return self

    def is_ready(self) -> bool:
        """Ask ``/readyz``."""
        return self.ask("/readyz")[0] == 200

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of the operator's own *path*."""
        port = self.metrics_port if path == "/metrics" else self.port
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def memory_bytes(self) -> int:
        """Return the greatest resident memory so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        return end(self.process, timeout=30)

    def kill(self) -> None:
        """End it with SIGKILL."""
        kill(self.process)

    def said(self) -> str:
        """Return the end of its log."""
        return tail(self.log, 6000)
