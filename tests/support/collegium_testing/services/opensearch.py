"""A real OpenSearch node: its recipe and its process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from collegium_testing.processes import NOBODY, end, free_port, kill, spawn, wait_until
from collegium_testing.services import cache
from collegium_testing.services.component import SOURCES, BuildError, Built, Missing, Workshop
from collegium_testing.services.folders import reachable_copy
from collegium_testing.services.toolchains import JAVA_FLOOR, JavaRuntime

__all__ = ["OpenSearchHome", "OpenSearchNode"]

_RECIPES = SOURCES / "opensearch"
_VERSION = "3.9.0"
_COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


@dataclass(frozen=True)
class _Module:
    """A part of OpenSearch that is loaded as a plugin: its class, and how the names of its jars begin."""

    name: str
    plugin: str
    jars: tuple[str, ...]


_MODULES = (
    _Module(
        "transport-netty4",
        "org.opensearch.transport.Netty4ModulePlugin",
        ("netty-", "opensearch-netty4", "transport-netty4-client"),
    ),
    _Module(
        "reindex",
        "org.opensearch.index.reindex.ReindexModulePlugin",
        (
            "reindex-client",
            "opensearch-rest-client",
            "http",
            "commons-codec",
            "commons-logging",
            "opensearch-ssl-config",
        ),
    ),
    _Module("mapper-extras", "org.opensearch.index.mapper.MapperExtrasModulePlugin", ("mapper-extras-client",)),
    _Module("parent-join", "org.opensearch.join.ParentJoinModulePlugin", ("parent-join-client",)),
)
_DESCRIPTOR = f"""\
name={{name}}
description={{name}}
version={_VERSION}
opensearch.version={_VERSION}
java.version={JAVA_FLOOR}
classname={{plugin}}
extended.plugins=
has.native.controller=false
"""

_SETTINGS = """\
cluster.name: collegium-tests
node.name: node-1
path.data: {folder}/data
path.logs: {folder}/logs
http.host: 127.0.0.1
http.port: {port}
transport.host: 127.0.0.1
transport.port: 0
discovery.type: single-node
action.auto_create_index: false
cluster.routing.allocation.disk.threshold_enabled: false
node.store.allow_mmap: false
"""
_LOGGING = """\
status = error
appender.file.type = Console
appender.file.name = file
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""
# Tuned for short runs: the first compiler only, the small collector, no memory touched before it is used.
_FLAGS = (
    "-Xss1m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Djna.nosys=true",
    "-Dio.netty.noUnsafe=true",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-Dopensearch.distribution.type=zip",
    "-Dopensearch.bundled_jdk=false",
)


class OpenSearchHome(Built):
    """The folder that a node starts from, put together from jars that Maven fetches and we pin by hash."""

    name = "opensearch"
    title = f"OpenSearch {_VERSION}"
    cost = "65 MB of jars, 1 min"

    def key(self) -> str:
        """Return a name that changes with the jars and with how they are put together."""
        layout = repr((_MODULES, _DESCRIPTOR))
        return cache.fingerprint(_RECIPES / "pom.xml", _RECIPES / "jars.sha256", layout)

    def obstacle(self) -> Missing | None:
        """Return that there is no Maven, where there is none."""
        if shutil.which("mvn"):
            return None
        return Missing("OpenSearch's jars need Maven", "sudo apt-get install maven")

    def build(self, folder: Path, workshop: Workshop) -> None:
        """Fetch the jars, compare their hashes, sort them into the library and the modules' folders."""
        jars = folder / "jars"
        command = ("mvn", "--batch-mode", "--quiet", "--strict-checksums", "-f", _RECIPES / "pom.xml")
        workshop.say("downloading jars")
        # Java takes the home folder from the list of users, where one of a container often has none.
        options = f"{os.environ.get('MAVEN_OPTS', '')} -Duser.home={Path.home()}"
        workshop.run(*command, _COPY_DEPENDENCIES, f"-DoutputDirectory={jars}", env={"MAVEN_OPTS": options})
        # HTTP/3 in native code: 20 MB that no test speaks to.
        for native in jars.glob("netty-codec-native-quic*"):
            native.unlink()
        _compare_hashes(jars, _RECIPES / "jars.sha256")
        # All five have to exist: a node that may not write here does not start when it cannot make them.
        for name in ("bin", "lib", "modules", "plugins", "extensions"):
            (folder / name).mkdir()
        for module in _MODULES:
            place = folder / "modules" / module.name
            place.mkdir()
            (place / "plugin-descriptor.properties").write_text(
                _DESCRIPTOR.format(name=module.name, plugin=module.plugin)
            )
        for jar in jars.iterdir():
            owner = next((module for module in _MODULES if jar.name.startswith(module.jars)), None)
            jar.rename((folder / "modules" / owner.name if owner else folder / "lib") / jar.name)
        jars.rmdir()


def _compare_hashes(jars: Path, pins: Path) -> None:
    lines = [line.split() for line in pins.read_text().splitlines()]
    pinned = {name: digest for digest, name in lines}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    wrong = sorted(name for name in pinned.keys() | found.keys() if pinned.get(name) != found.get(name))
    if wrong:
        raise BuildError(f"these jars are not the ones that {pins.name} pins: {', '.join(wrong)}")


class OpenSearchNode:
    """One single-node cluster on loopback. It keeps its port and its data over :meth:`stop` and :meth:`kill`.

    *folder* holds everything it writes and has to be reachable for every user: OpenSearch refuses to run as root, so
    as root it runs as :data:`~collegium_testing.processes.NOBODY` (see
    :func:`~collegium_testing.services.folders.public_folder`). Needs about 300 MB of memory with the default *heap*.
    """

    def __init__(self, folder: Path, *, heap: str = "512m", port: int | None = None) -> None:
        """Prepare *folder*; nothing runs yet."""
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = NOBODY if os.geteuid() == 0 else None
        self._command = self._prepare(heap)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "node.log"

    @property
    def running(self) -> bool:
        """Whether its process is there (it may be paused)."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout: float = 180) -> OpenSearchNode:
        """Start it and wait until it serves; after a kill it first replays what was not flushed."""
        environment = {"PATH": os.environ["PATH"], "LIBFFI_TMPDIR": str(self.folder / "tmp")}
        self._process = spawn(self._command, log=self.log, env=environment, cwd=self.folder, user=self._user)
        wait_until(self._serves, what="OpenSearch", timeout=timeout, process=self._process, log=self.log)
        return self

    def stop(self) -> None:
        """End it as an administrator does."""
        if self._process:
            self.resume()
            end(self._process, timeout=60)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process:
            kill(self._process)

    def pause(self) -> None:
        """Let it hang: connections are accepted and nothing answers."""
        if self.running and self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        if self.running and self._process:
            self._process.send_signal(signal.SIGCONT)

    def _serves(self) -> bool:
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=5s"
        with urllib.request.urlopen(health, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return json.load(answer)["timed_out"] is False

    def _prepare(self, heap: str) -> list[str]:
        runtime = JavaRuntime().home()
        if runtime is None:
            raise FileNotFoundError(f"no Java of version {JAVA_FLOOR} or newer")
        home = reachable_copy(OpenSearchHome().folder, self.folder / "home")
        java = reachable_copy(runtime, self.folder / "java") / "bin" / "java"
        for name in ("conf", "data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "conf" / "opensearch.yml").write_text(_SETTINGS.format(folder=self.folder, port=self.port))
        (self.folder / "conf" / "log4j2.properties").write_text(_LOGGING)
        if self._user is not None:
            for name in ("conf", "data", "logs", "tmp"):
                for path in [self.folder / name, *(self.folder / name).rglob("*")]:
                    os.chown(path, self._user, self._user)
        memory = (f"-Xmx{heap}", "-Xms64m")
        folders = (
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-XX:ErrorFile={self.folder}/logs/crash-%p.log",
            f"-Dopensearch.path.home={home}",
            f"-Dopensearch.path.conf={self.folder}/conf",
        )
        return [str(java), *memory, *_FLAGS, *folders, "-cp", f"{home}/lib/*", "org.opensearch.bootstrap.OpenSearch"]
