"""``collegium settings``: what this process would run with, and where each value comes from."""

from __future__ import annotations

import rich_click as click

__all__ = ["settings"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def settings(*, as_json: bool) -> None:
    """Show every setting, its value and where that comes from."""
    from collegium_core.settings import PREFIX, SETTINGS, resolve, shown  # noqa: PLC0415 - commands load lazily

    resolved = resolve()
    if as_json:
        import msgspec  # noqa: PLC0415 - same

        document = {
            setting.name: {"value": shown(setting, resolved.settings), "source": resolved.sources[setting.name]}
            for setting in SETTINGS
        }
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return

    from rich.console import Console  # noqa: PLC0415 - same
    from rich.table import Table  # noqa: PLC0415 - same

    table = Table(title=f"Settings (environment variables begin with {PREFIX})", title_justify="left")
    for heading in ("Name", "Value", "From", "Meaning"):
        table.add_column(heading, overflow="fold")
    for setting in SETTINGS:
        source = resolved.sources[setting.name]
        style = "dim" if source == "default" else None
        table.add_row(setting.name, shown(setting, resolved.settings), source, setting.help, style=style)
    Console().print(table)
