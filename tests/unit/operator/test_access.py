"""The way to the API server: kubeconfigs as people have them, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from collegium_operator.access import AccessError, find_access


def write(folder: Path, user: Any, cluster: Any = None) -> dict[str, str]:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://k.example:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(path)}


def test_a_token(tmp_path: Path) -> None:
    """Server and token are those of the current context; the token is not shown."""
    access = find_access(write(tmp_path, {"token": "hunter2"}))
    assert ("https://k.example:6443", "hunter2") == (access.server, access.token)
    assert "hunter2" not in repr(access)


def test_a_token_file(tmp_path: Path) -> None:
    """A file of a token is named relative to the kubeconfig."""
    assert tmp_path / "t" == find_access(write(tmp_path, {"tokenFile": "t"})).token_file


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({"exec": {"command": "x"}}, {}, "runs a program"),
        ({"token": "x"}, {"certificate-authority": "missing.crt"}, "cannot be read"),
        ({"token": "x"}, {"certificate-authority-data": "%"}, "no usable kubeconfig"),
    ],
)
def test_what_is_not_supported_is_said(tmp_path: Path, user: Any, cluster: Any, said: str) -> None:
    """A kubeconfig that cannot be used is an error that says why."""
    with pytest.raises(AccessError, match=said):
        find_access(write(tmp_path, user, cluster))


def test_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a cluster and without kubeconfig the message says what was looked for."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AccessError, match="no service account here"):
        find_access({})
    broken = tmp_path / "broken"
    broken.write_text("[1, 2]")
    with pytest.raises(AccessError, match="no usable kubeconfig"):
        find_access({"KUBECONFIG": str(broken)})
