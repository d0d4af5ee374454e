"""Where the API server is and how to show who one is: a pod's service account, else a kubeconfig.

Tokens of pods expire and are replaced on disk, so the token is read anew, not once.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import yaml

__all__ = ["Access", "AccessError", "find_access", "open_session"]

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_SECONDS: Final = 30.0
_CONNECTIONS: Final = 32  # unlimited connections cost more memory than everything else


class AccessError(Exception):
    """There is no way to the API server; the message says what was looked for."""


class Access(msgspec.Struct, frozen=True):
    """A way to the API server. Its ``repr`` holds no secret."""

    server: str
    context: ssl.SSLContext | bool
    token: str = ""
    token_file: Path | None = None

    def __repr__(self) -> str:
        return f"Access({self.server!r})"


def find_access(environ: Mapping[str, str]) -> Access:
    """Return the way that ``KUBECONFIG`` names, else the pod's own, else that of ``~/.kube/config``. Reads files.

    :raises AccessError: none of them is there, or the kubeconfig asks for something that is not known here.
    """
    if named := environ.get("KUBECONFIG"):
        return _from_kubeconfig(Path(named))
    if (host := environ.get("KUBERNETES_SERVICE_HOST")) and (_ACCOUNT / "token").exists():
        host = f"[{host}]" if ":" in host else host
        return Access(
            server=f"https://{host}:{environ.get('KUBERNETES_SERVICE_PORT', '443')}",
            context=ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt")),
            token_file=_ACCOUNT / "token",
        )
    return _from_kubeconfig(Path("~/.kube/config").expanduser())


def _from_kubeconfig(path: Path) -> Access:
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        return _assemble(path.parent, cluster, user)
    except OSError as error:
        raise AccessError(f"no service account here, and {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise AccessError(f"{path} is no usable kubeconfig: {type(error).__name__} at {error!s:.60}") from None


def _named(config: Mapping[str, Any], group: str, name: str) -> Any:
    for entry in config[group]:
        if entry["name"] == name:
            return entry
    raise KeyError(f"{group}/{name}")


def _assemble(folder: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> Access:
    if "exec" in user or "auth-provider" in user:
        raise AccessError(
            "a kubeconfig whose user runs a program is not supported: use a token or a client certificate"
        )
    tls = ssl.create_default_context(
        cafile=str(folder / cluster["certificate-authority"]) if "certificate-authority" in cluster else None,
        cadata=_decoded(cluster, "certificate-authority-data"),
    )
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if "client-certificate" in user:
        tls.load_cert_chain(folder / user["client-certificate"], folder / user["client-key"])
    elif "client-certificate-data" in user:
        # The ssl module reads a certificate from files alone.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
            pem.write(f"{_decoded(user, 'client-certificate-data')}\n{_decoded(user, 'client-key-data')}")
            pem.flush()
            tls.load_cert_chain(pem.name)
    token_file = folder / user["tokenFile"] if "tokenFile" in user else None
    return Access(server=cluster["server"].rstrip("/"), context=tls, token=user.get("token", ""), token_file=token_file)


def _decoded(entry: Mapping[str, Any], key: str) -> str | None:
    return base64.b64decode(entry[key], validate=True).decode() if key in entry else None


def open_session(access: Access, *, timeout_seconds: float = 30.0) -> aiohttp.ClientSession:
    """Return a session whose every request carries the present token; close it in the loop that opened it."""
    state: dict[str, Any] = {"token": access.token, "until": 0.0}

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if access.token_file is not None and state["until"] < time.monotonic():
            state["token"] = (await asyncio.to_thread(access.token_file.read_text)).strip()
            state["until"] = time.monotonic() + _TOKEN_SECONDS
        if state["token"]:
            request.headers["Authorization"] = f"Bearer {state['token']}"
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=access.context),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=10),
        middlewares=(authenticate,),
        headers={"User-Agent": "collegium-operator"},
    )
