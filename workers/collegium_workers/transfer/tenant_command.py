"""``collegium tenant``: the tenants of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collegium_workers.transfer.options import run

if TYPE_CHECKING:
    from collegium_core.tenancy.record import TenantRecord

__all__ = ["tenant"]

_data = click.option("--data", type=click.Path(path_type=Path), help="Data folder of collegium up (setting DATA_DIR).")


@click.group()
def tenant() -> None:
    """List, show and create tenants."""


@tenant.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per tenant.")
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the tenants."""
    from collegium_workers.transfer.tenants import read_tenants, show_json  # noqa: PLC0415 - not needed for --help

    records = run(read_tenants(data))
    if as_json:
        for record in records:
            click.echo(show_json(record))
        return
    width = max((len(record.display) for record in records), default=0)
    for record in records:
        click.echo(f"{record.display:<{width}}  {record.slug}  {record.state.value}  {record.placement.value}")


@tenant.command()
@click.argument("name")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(name: str, data: Path | None, *, as_json: bool) -> None:
    """Show one tenant: state, placement, users; no secrets."""
    from collegium_workers.transfer.tenants import read_tenant, show_json  # noqa: PLC0415 - not needed for --help

    record = run(read_tenant(data, name))
    if as_json:
        click.echo(show_json(record))
        return
    _print(record)


@tenant.command()
@click.argument("name")
@_data
@click.option("--username", "-u", default="", help="Name of its first user (default: the tenant's name).")
@click.option("--password", "-p", default="", help="Password of that user (default: a key is made and shown once).")
@click.option(
    "--scope", "-s", "scopes", multiple=True, default=("all",), show_default=True, help="What the user may do."
)
def create(name: str, data: Path | None, username: str, password: str, scopes: tuple[str, ...]) -> None:
    """Create a tenant with one user, kept as a document in the data folder.

    A running platform has it within two seconds, a stopped one from its next start on. On Kubernetes, apply a Tenant.
    """
    from collegium_workers.transfer.tenants import create_tenant  # noqa: PLC0415 - not needed for --help

    made = run(create_tenant(data, name, username=username, password=password, scopes=scopes))
    click.echo(f"tenant {made.name} ({made.slug}), user {made.username}")
    if made.key:
        click.echo(f"password {made.key}  (shown this once)")
    if not made.is_running:
        click.echo("it can be called once collegium up runs")


def _print(record: TenantRecord) -> None:
    click.echo(f"name       {record.display}")
    click.echo(f"slug       {record.slug}")
    click.echo(f"state      {record.state.value}")
    click.echo(f"placement  {record.placement.value}")
    for credential in record.credentials:
        click.echo(f"user       {credential.username}  ({credential.kind.value}; {' '.join(credential.scopes)})")
