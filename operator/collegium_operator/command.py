"""``collegium operator``: the operator's process, configured by the environment."""

from __future__ import annotations

import click

__all__ = ["operator"]


@click.command()
def operator() -> None:
    """Reconcile Tenants of a Kubernetes cluster: what the operator's pod runs."""
    from collegium_operator.main import run  # noqa: PLC0415 - loads kopf only when it is wanted

    run()
