"""The reference pages that are made from the code: ``python -m collegium_testing.reference`` writes them anew.

A unit test fails while a page in the tree differs from what the code says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml

from collegium_api.census import ROUTES
from collegium_core.commands import collegium as root
from collegium_core.settings import CONFIG, PREFIX, SETTINGS
from collegium_core.settings_values import Kind, Setting
from collegium_core.telemetry.metrics import METRICS

__all__ = ["FOLDER", "PAGES", "write_pages"]

FOLDER: Final = Path(__file__).resolve().parents[3] / "docs" / "reference"
CRDS: Final = FOLDER.parents[1] / "crds"

_NOTE: Final = "<!-- Made from the code by `make docs`; do not edit. -->"

_SETTINGS_TEXT: Final = f"""\
Every process reads its settings once, at start. The value of `NAME` is the first of:

1. the environment variable `{PREFIX}NAME`, then Ralph's variable of the same meaning;
2. the same names in a file `.env` in the current folder;
3. `NAME` in the TOML file that `{CONFIG}` names, in any spelling: `LOG_LEVEL`, `log_level`, `LogLevel`;
4. the default.

An empty value means the default. Where anything is wrong the process says all of it at once and does not start.
`collegium settings` shows what holds and where it comes from. A secret can stand in a file of its own, which
`{PREFIX}NAME_FILE` names; secrets are never printed."""

_METRICS_TEXT: Final = f"""\
Each process serves `/metrics` in the Prometheus text format on its metrics port, with these and the usual
`process_…` metrics. `collegium up` serves one `/metrics` for all its processes: the last column says what becomes of
their values. The label `tenant` is the tenant's name for the first `{PREFIX}TENANT_LABEL_LIMIT` tenants of a process,
then `other`."""

_KINDS: Final[Mapping[Kind, str]] = {
    "text": "text",
    "url": "URL",
    "path": "path",
    "integer": "integer",
    "bytes": "size (`16MiB`, `500kB`, `1048576`)",
    "seconds": "seconds",
    "origins": "list",
    "prefix": "path of a URL",
    "slug": "slug",
}


def settings_page() -> str:
    """Return the page of all settings."""
    return "\n".join(
        [
            "# Settings",
            "",
            _NOTE,
            "",
            _SETTINGS_TEXT,
            "",
            *_table(("Name", "Kind", "Default", "Meaning", "Also read from"), map(_setting_row, SETTINGS)),
            "",
        ]
    )


def _setting_row(setting: Setting) -> tuple[str, ...]:
    values = list(dict.fromkeys(setting.choices.values()))
    kind = " or ".join(f"`{value}`" for value in values) if values else _KINDS[setting.kind]
    default = setting.default_note or (f"`{setting.default}`" if setting.default else "none")
    others = [f"`{setting.name}`"] if setting.plain else []
    others += [f"`RALPH_{setting.ralph}`"] if setting.ralph else []
    others += [f"`{alias}` in TOML" for alias in setting.aliases]
    if setting.secret:
        others.append(f"`{PREFIX}{setting.name}_FILE`")
    return f"`{setting.name}`", kind + (", secret" if setting.secret else ""), default, setting.help, ", ".join(others)


def metrics_page() -> str:
    """Return the page of all metrics."""
    rows = (
        (
            f"`{metric.name}`",
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
            "summed" if metric.merge == "sum" else "the greatest",
        )
        for metric in METRICS
    )
    return "\n".join(
        [
            "# Metrics",
            "",
            _NOTE,
            "",
            _METRICS_TEXT,
            "",
            *_table(("Name", "Kind", "Labels", "Meaning", "Over processes"), rows),
            "",
        ]
    )


def commands_page() -> str:
    """Return the page of all commands and their options."""
    lines = ["# Commands", "", _NOTE, ""]
    context = click.Context(root, info_name="collegium")
    for name in root.list_commands(context):
        _, command, _ = root.resolve_command(context, [name])
        if command is not None:
            lines += _command(command, f"collegium {name}")
    return "\n".join(lines)


def _command(command: click.Command, name: str) -> list[str]:
    if isinstance(command, click.Group):
        below = [line for key in sorted(command.commands) for line in _command(command.commands[key], f"{name} {key}")]
        return [f"## `{name}`", "", _paragraph(command), "", *below]
    arguments = " ".join(
        p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)
    )
    rows = [
        (", ".join(f"`{text}`" for text in [*option.opts, *option.secondary_opts]), option.help or "")
        for option in command.params
        if isinstance(option, click.Option)
    ]
    table = _table(("Option", "Meaning"), rows) if rows else []
    return [f"## `{f'{name} {arguments}'.strip()}`", "", _paragraph(command), "", *table, ""]


def _paragraph(command: click.Command) -> str:
    return " ".join((command.help or "").split())


_ROUTES_TEXT: Final = """\
Errors of every route are problem documents (RFC 9457): `type`, `title`, `status`, `detail`, `instance`, and `errors`
with `path` and `detail` where several places are wrong. `/metrics` is on the metrics port only."""


def routes_page() -> str:
    """Return the page of all HTTP routes."""
    rows = [(f"`{route.path}`", ", ".join(route.methods), route.scope or "none", route.meaning) for route in ROUTES]
    return "\n".join(
        ["# Routes", "", _NOTE, "", _ROUTES_TEXT, "", *_table(("Path", "Methods", "Scope", "Is"), rows), ""]
    )


def tenant_page() -> str:
    """Return the page of the fields of the Tenant resource, from its definition."""
    definition = yaml.safe_load((CRDS / "collegium.dev_tenants.yaml").read_text(encoding="utf-8"))
    [version] = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    name = f"{definition['spec']['group']}/{version['name']}"
    lines = ["# Tenant", "", _NOTE, "", f"`apiVersion: {name}`, `kind: Tenant`, namespaced.", ""]
    for part in ("spec", "status"):
        rows = list(_fields(part, schema["properties"][part]))
        lines += [f"## {part}", "", *_table(("Field", "Type", "Default", "Meaning"), rows), ""]
    return "\n".join(lines)


def _fields(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, field in schema.get("properties", {}).items():
        here, inner = f"{path}.{name}", field
        if field.get("type") == "array":
            here, inner = f"{here}[]", field["items"]
        allowed = inner.get("enum")
        kind = " or ".join(f"`{value}`" for value in allowed) if allowed else str(inner.get("type", "object"))
        default = field.get("default")
        shown = "" if default is None else f"`{default}`"
        yield f"`{here}`", kind, shown, " ".join(str(field.get("description", "")).split())
        yield from _fields(here, inner)


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    heads = list(headings)
    lines = [heads, ["---"] * len(heads), *(list(row) for row in rows)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "commands.md": commands_page,
    "metrics.md": metrics_page,
    "routes.md": routes_page,
    "settings.md": settings_page,
    "tenant.md": tenant_page,
}


def write_pages(folder: Path = FOLDER) -> list[Path]:
    """Write every page into *folder* and return the ones that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed: list[Path] = []
    for name, make in PAGES.items():
        path, text = folder / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    for written in write_pages():
        print(f"written: {written}")
