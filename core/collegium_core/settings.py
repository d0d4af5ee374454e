"""The one table of settings, and how it is read: environment, ``.env``, TOML file, default; every fault at once.

A row is written down here when its behaviour exists, not before. The reference page is generated from this table.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec

from collegium_core.errors import FieldError
from collegium_core.settings_sources import read_dotenv, read_secret, read_toml
from collegium_core.settings_values import Setting, hide_credentials, read_value
from collegium_core.tenancy.record import Placement

__all__ = [
    "CONFIG",
    "PREFIX",
    "SETTINGS",
    "Resolved",
    "Setting",
    "Settings",
    "SettingsError",
    "load",
    "resolve",
    "shown",
]

PREFIX: Final = "COLLEGIUM_"
CONFIG: Final = "COLLEGIUM_CONFIG"
_RALPH: Final = "RALPH_"
_MIB: Final = 2**20


class SettingsError(Exception):
    """Settings that cannot be used. ``faults`` names each by its place; no message holds a secret's value."""

    def __init__(self, faults: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.detail}" for fault in faults))
        self.faults = tuple(faults)


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="REDIS_URL",
        kind="url",
        default="",
        default_note="`collegium up` starts its own Valkey",
        secret=True,
        schemes=("redis", "rediss", "unix"),
        aliases=("SystemDatabaseConnectionString",),
        help="Redis 7 or Valkey that holds logs and tenant records; with `?cluster=true` any node of a cluster.",
    ),
    Setting(
        name="OPENSEARCH_URL",
        kind="url",
        default="",
        secret=True,
        schemes=("http", "https"),
        ralph="BACKENDS__LRS__ES__HOSTS",
        aliases=("TenantDatabaseConnectionString",),
        help="OpenSearch that holds the tenants' documents.",
    ),
    Setting(
        name="STORE",
        kind="choice",
        default="",
        default_note="`opensearch` where OPENSEARCH_URL is set, else `sqlite`",
        choices={"opensearch": "opensearch", "sqlite": "sqlite", "es": "opensearch", "async_es": "opensearch"},
        ralph="RUNSERVER_BACKEND",
        help="Where statements and documents are stored.",
    ),
    Setting(
        name="DATA_DIR",
        kind="path",
        default=".data",
        help="Folder of everything that one machine keeps: SQLite stores, the embedded Valkey's log, objects, locks.",
    ),
    Setting(
        name="OBJECT_STORE_URL",
        kind="url",
        default="",
        default_note="`objects` in DATA_DIR",
        secret=True,
        schemes=("file", "s3"),
        help="Where attachments and artifacts are kept: `file:///folder` or `s3://bucket/prefix`.",
    ),
    Setting(
        name="HOST",
        kind="text",
        default="127.0.0.1",
        ralph="RUNSERVER_HOST",
        help="Address that the API and the metrics listen on; `0.0.0.0` in a container.",
    ),
    Setting(
        name="PORT",
        kind="integer",
        default="8100",
        maximum=65_535,
        ralph="RUNSERVER_PORT",
        help="Port of the API; 0 takes a free one.",
    ),
    Setting(
        name="METRICS_PORT",
        kind="integer",
        default="9464",
        maximum=65_535,
        help="Port of `/metrics`; 0 takes a free one.",
    ),
    Setting(
        name="ROOT_PATH",
        kind="prefix",
        default="",
        plain=True,
        help="Path under which a proxy serves the API, such as `/lrs`; also read as plain `ROOT_PATH`.",
    ),
    Setting(
        name="PUBLIC_URL",
        kind="url",
        default="",
        schemes=("http", "https"),
        help="URL that clients use, ROOT_PATH included; home page of the authorities made from user names.",
    ),
    Setting(
        name="LOG_LEVEL",
        kind="choice",
        default="info",
        choices={level: level for level in ("debug", "info", "warning", "error", "critical")},
        help="Least severe log line that is written.",
    ),
    Setting(
        name="LOG_FORMAT",
        kind="choice",
        default="json",
        choices={"json": "json", "console": "console"},
        help="One JSON object per line, or lines for people.",
    ),
    Setting(
        name="AUTH_FILE",
        kind="path",
        default="",
        default_note="`auth.json` in the application directory of `collegium`, else of `ralph` where that one exists",
        ralph="AUTH_FILE",
        help="Ralph's credentials file. Only `collegium auth -w` uses it: the API does not know its users yet.",
    ),
    Setting(
        name="SYSTEM_KEY_FILE",
        kind="path",
        default="",
        default_note="no system credential",
        help="File with the key of the user `system`, who may call every tenant; not readable by others.",
    ),
    Setting(
        name="MAX_BODY_BYTES",
        kind="bytes",
        default="16MiB",
        minimum=1024,
        maximum=1024 * _MIB,
        help="Largest JSON body or document; more is answered 413.",
    ),
    Setting(
        name="MAX_BATCH_STATEMENTS",
        kind="integer",
        default="5000",
        minimum=1,
        maximum=100_000,
        help="Most statements in one request; more is answered 413.",
    ),
    Setting(
        name="BODY_TIMEOUT_SECONDS",
        kind="seconds",
        default="30",
        minimum=0.1,
        maximum=3600,
        help="How long a request's body may take to arrive; then 408.",
    ),
    Setting(
        name="BACKLOG_LIMIT",
        kind="integer",
        default="500000",
        minimum=1,
        maximum=1_000_000_000,
        help="Accepted statements of one tenant that may wait for indexing; then writes are answered 503.",
    ),
    Setting(
        name="CORS_ALLOW_ORIGINS",
        kind="origins",
        default="",
        default_note="none",
        ralph="RUNSERVER_CORS_ALLOW_ORIGINS",
        help="Origins whose pages may call the API, separated by commas or white space; `*` is every one.",
    ),
    Setting(
        name="PLACEMENT",
        kind="choice",
        default="Dedicated",
        choices={placement.value.lower(): placement.value for placement in Placement},
        help="Where the documents of a tenant that names no placement live: indices of its own, or shared ones.",
    ),
    Setting(
        name="TENANT_LABEL_LIMIT",
        kind="integer",
        default="100",
        maximum=10_000,
        help="Tenants that a process names in its metrics; the further ones are summed as `other`.",
    ),
    Setting(
        name="SERVE_TENANT",
        kind="slug",
        default="",
        default_note="all",
        help="Slug of the only tenant that this process serves: an API knows no other, a worker takes no other's work.",
    ),
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process, as :data:`SETTINGS` describes them. Its ``repr`` holds no secret."""

    redis_url: str
    opensearch_url: str
    store: Literal["opensearch", "sqlite"]
    data_dir: Path
    object_store_url: str
    host: str
    port: int
    metrics_port: int
    root_path: str
    public_url: str
    log_level: str
    log_format: Literal["json", "console"]
    auth_file: Path
    system_key_file: str
    max_body_bytes: int
    max_batch_statements: int
    body_timeout_seconds: float
    backlog_limit: int
    cors_allow_origins: tuple[str, ...]
    placement: Placement
    tenant_label_limit: int
    serve_tenant: str

    def __repr__(self) -> str:
        pairs = (f"{setting.name.lower()}={shown(setting, self)!r}" for setting in SETTINGS)
        return f"Settings({', '.join(pairs)})"


class Resolved(msgspec.Struct, frozen=True):
    """Settings, and for each row's name where its value came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Settings:
    """Return the settings that *environ*, the ``.env`` file in *cwd* and the TOML file give.

    :raises SettingsError: names every fault there is.
    """
    return resolve(environ, cwd).settings


def resolve(environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> Resolved:
    """Return the settings together with the source of each; arguments and errors as for :func:`load`."""
    folder = (cwd or Path.cwd()).absolute()
    faults: list[FieldError] = []
    dotenv = read_dotenv(folder / ".env", (PREFIX, _RALPH), faults)
    config = environ.get(CONFIG) or dotenv.get(CONFIG) or ""
    document = read_toml(folder / Path(config).expanduser(), SETTINGS, faults) if config else {}
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        place, text = "default", setting.default
        try:
            for found in _find(setting, environ, "environment", folder), _find(setting, dotenv, ".env", folder):
                if found:
                    place, text = found
                    break
            else:
                if setting.name in document:
                    place, text = f"{setting.name} in {config}", document[setting.name]
            sources[setting.name] = place if text.strip() else "default"
            # An empty value means the default, whatever stands in a source further down.
            text = text if text.strip() else setting.default
            values[setting.name.lower()] = read_value(setting, text) if text else _EMPTY.get(setting.kind, "")
        except ValueError as fault:
            faults.append(FieldError(place if place != "default" else f"{PREFIX}{setting.name}", str(fault)))
    if not faults:
        _derive(values, environ, folder, faults)
    if faults:
        raise SettingsError(faults)
    return Resolved(Settings(**cast("dict[str, Any]", values)), sources)


def shown(setting: Setting, settings: Settings) -> str:
    """Return the value of *setting* as it may be printed: of a secret only that there is one, and where it points."""
    value = getattr(settings, setting.name.lower())
    if setting.secret:
        return hide_credentials(value) if value else ""
    return " ".join(value) if isinstance(value, tuple) else str(value)


_EMPTY: Final[Mapping[str, object]] = {"origins": (), "path": None, "choice": None}


def _derive(values: dict[str, object], environ: Mapping[str, str], folder: Path, faults: list[FieldError]) -> None:
    """Fill in what depends on other settings, and check what only fits together."""
    data_dir = folder / cast("Path", values["data_dir"])
    values["data_dir"] = data_dir
    values["store"] = values["store"] or ("opensearch" if values["opensearch_url"] else "sqlite")
    if values["store"] == "opensearch" and not values["opensearch_url"]:
        faults.append(FieldError(f"{PREFIX}OPENSEARCH_URL", "must be set where the store is opensearch"))
    values["object_store_url"] = values["object_store_url"] or (data_dir / "objects").as_uri()
    values["placement"] = Placement(cast("str", values["placement"]))
    auth_file = cast("Path | None", values["auth_file"])
    values["auth_file"] = folder / auth_file if auth_file else _default_auth_file(environ)
    key_file = cast("Path | None", values["system_key_file"])
    values["system_key_file"] = str(folder / key_file) if key_file else ""


def _default_auth_file(environ: Mapping[str, str]) -> Path:
    import click  # noqa: PLC0415 - only this default needs it, and a process that has the setting does not pay for it

    own = Path(click.get_app_dir("collegium")) / "auth.json"
    ralph = Path(environ.get(f"{_RALPH}APP_DIR") or click.get_app_dir("ralph")) / "auth.json"
    return ralph if ralph.exists() and not own.exists() else own


def _find(setting: Setting, variables: Mapping[str, str], place: str, folder: Path) -> tuple[str, str] | None:
    """Return place and text of *setting* in one set of variables, or None."""
    name = f"{PREFIX}{setting.name}"
    file_name = f"{name}_FILE"
    if setting.secret and variables.get(file_name):
        if variables.get(name):
            raise ValueError(f"is set together with {file_name}; one of them must go")
        return f"{file_name} in {place}", read_secret(folder / variables[file_name], file_name)
    others = [setting.name] if setting.plain else []
    if setting.ralph:
        others.append(f"{_RALPH}{setting.ralph}")
    for candidate in (name, *others):
        if candidate in variables:
            return f"{candidate} in {place}", variables[candidate]
    return None
