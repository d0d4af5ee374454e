"""Helm and kubectl out of their wheel."""

from __future__ import annotations

import subprocess
from pathlib import Path


def test_helm(helm: Path) -> None:
    """Helm 4 runs."""
    said = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True, timeout=30)
    assert said.stdout.startswith("v4.")


def test_kubectl(kubectl: Path) -> None:
    """The kubectl fits the control plane."""
    command = [kubectl, "version", "--client", "-o", "yaml"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert "gitVersion: v1.37." in said.stdout
