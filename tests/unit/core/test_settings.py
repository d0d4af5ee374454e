"""Reading the settings: order of sources, kinds of values, faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from collegium_core.settings import SETTINGS, Settings, SettingsError, load, resolve
from collegium_core.settings_values import hide_credentials, read_value
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.record import Placement
from collegium_testing import reference

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _faults(environ: dict[str, str], folder: Path) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, folder)
    return {fault.path: fault.detail for fault in caught.value.faults}


def test_every_row_has_a_field_and_every_field_a_row() -> None:
    """The struct and the table say the same."""
    assert [setting.name.lower() for setting in SETTINGS] == [field.name for field in msgspec.structs.fields(Settings)]


def test_defaults_are_one_machine(folder: Path) -> None:
    """With nothing set: SQLite below .data in the current folder, loopback, port 8100."""
    settings = load({}, folder)
    assert (settings.store, settings.data_dir) == ("sqlite", folder / ".data")
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 8100, 9464)
    assert settings.object_store_url == (folder / ".data" / "objects").as_uri()
    assert settings.max_body_bytes == 16 * 1024 * 1024
    assert settings.placement is Placement.DEDICATED
    assert settings.body_timeout_seconds == 30.0
    assert settings.cors_allow_origins == ()
    assert (settings.redis_url, settings.system_key_file, settings.public_url) == ("", "", "")


def test_an_opensearch_url_chooses_the_store(folder: Path) -> None:
    """The store is OpenSearch as soon as its URL is set, and SQLite where that is asked for all the same."""
    environ = {"COLLEGIUM_OPENSEARCH_URL": "http://search:9200/"}
    assert load(environ, folder).store == "opensearch"
    assert load(environ, folder).opensearch_url == "http://search:9200"
    assert load({**environ, "COLLEGIUM_STORE": "sqlite"}, folder).store == "sqlite"
    assert load({**environ, "COLLEGIUM_STORE": "ES"}, folder).store == "opensearch"


def test_opensearch_without_its_url_is_a_fault(folder: Path) -> None:
    """A store that cannot be reached is refused at start."""
    assert "COLLEGIUM_OPENSEARCH_URL" in _faults({"COLLEGIUM_STORE": "opensearch"}, folder)


def test_sources_come_in_their_order(folder: Path) -> None:
    """Environment before Ralph's name before .env before TOML before the default."""
    (folder / "c.toml").write_text('port = 1\nhost = "toml"\nLogLevel = "debug"\nmetrics_port = 5\n', encoding="utf-8")
    (folder / ".env").write_text("COLLEGIUM_PORT=2\nRALPH_RUNSERVER_HOST=dotenv\nCOLLEGIUM_METRICS_PORT=6\n", "utf-8")
    environ = {"COLLEGIUM_CONFIG": "c.toml", "RALPH_RUNSERVER_PORT": "3"}
    found = resolve(environ, folder)
    assert (found.settings.port, found.sources["PORT"]) == (3, "RALPH_RUNSERVER_PORT in environment")
    assert (found.settings.host, found.sources["HOST"]) == ("dotenv", "RALPH_RUNSERVER_HOST in .env")
    assert (found.settings.metrics_port, found.sources["METRICS_PORT"]) == (6, "COLLEGIUM_METRICS_PORT in .env")
    assert (found.settings.log_level, found.sources["LOG_LEVEL"]) == ("debug", "LOG_LEVEL in c.toml")
    assert found.sources["STORE"] == "default"
    assert load({**environ, "COLLEGIUM_PORT": "4"}, folder).port == 4


def test_an_empty_value_means_the_default(folder: Path) -> None:
    """An empty variable hides what stands in a later source, as containers' manifests expect."""
    (folder / ".env").write_text("COLLEGIUM_PORT=2\nCOLLEGIUM_OPENSEARCH_URL=http://search:9200\n", encoding="utf-8")
    settings = load({"COLLEGIUM_PORT": "", "COLLEGIUM_OPENSEARCH_URL": " "}, folder)
    assert (settings.port, settings.store) == (8100, "sqlite")


def test_dotenv_knows_quotes_comments_and_export(folder: Path) -> None:
    """A .env file as shells and Compose read it; other programs' lines are let be."""
    lines = [
        "# comment",
        "export COLLEGIUM_HOST='::1'",
        'COLLEGIUM_PUBLIC_URL="https://lrs.example.org/x"  # ours',
        "COLLEGIUM_PORT=9000 # inline",
        "not a variable",
        "OTHER='unfinished",
    ]
    (folder / ".env").write_text("\n".join(lines), encoding="utf-8")
    settings = load({}, folder)
    assert (settings.host, settings.public_url, settings.port) == ("::1", "https://lrs.example.org/x", 9000)


def test_dotenv_names_the_line_of_a_fault(folder: Path) -> None:
    """Quotes that do not match in a line of ours are a fault with its number."""
    (folder / ".env").write_text("\nCOLLEGIUM_HOST='x", encoding="utf-8")
    assert ".env:2" in _faults({}, folder)


def test_root_path_is_read_plain_too(folder: Path) -> None:
    """ROOT_PATH without prefix counts, and any spelling becomes /path."""
    assert load({"ROOT_PATH": "lrs/v1/"}, folder).root_path == "/lrs/v1"
    assert load({"ROOT_PATH": "/a", "COLLEGIUM_ROOT_PATH": "/b"}, folder).root_path == "/b"
    assert load({"ROOT_PATH": "/"}, folder).root_path == ""


def test_secrets_come_from_files(folder: Path) -> None:
    """NAME_FILE names a file that holds the value; both at once is a fault, as is a file that cannot be read."""
    (folder / "url").write_text("redis://:geheim@valkey:6379/0\n", encoding="utf-8")
    found = resolve({"COLLEGIUM_REDIS_URL_FILE": "url"}, folder)
    assert found.settings.redis_url == "redis://:geheim@valkey:6379/0"
    assert found.sources["REDIS_URL"] == "COLLEGIUM_REDIS_URL_FILE in environment"
    both = {"COLLEGIUM_REDIS_URL_FILE": "url", "COLLEGIUM_REDIS_URL": "redis://x"}
    assert "COLLEGIUM_REDIS_URL" in _faults(both, folder)
    assert "cannot be read" in _faults({"COLLEGIUM_REDIS_URL_FILE": "none"}, folder)["COLLEGIUM_REDIS_URL"]


def test_all_faults_come_at_once_and_without_secrets(folder: Path) -> None:
    """One start names every fault; the value is quoted unless it is a secret."""
    environ = {
        "COLLEGIUM_REDIS_URL": "http://user:geheim@valkey",
        "COLLEGIUM_PORT": "many",
        "COLLEGIUM_MAX_BODY_BYTES": "1 potato",
        "RALPH_RUNSERVER_BACKEND": "mongo",
    }
    faults = _faults(environ, folder)
    assert {f"{name} in environment" for name in environ} == set(faults)
    assert "'many'" in faults["COLLEGIUM_PORT in environment"]
    assert "geheim" not in str(faults)


def test_printing_settings_shows_no_secret(folder: Path) -> None:
    """Neither repr nor str of the settings holds a password."""
    environ = {
        "COLLEGIUM_REDIS_URL": "redis://user:geheim@valkey:6379/1",
        "COLLEGIUM_OBJECT_STORE_URL": "s3://b/p?key=geheim",
    }
    settings = load(environ, folder)
    assert "geheim" in settings.redis_url
    assert "geheim" not in repr(settings) + str(settings)
    assert "valkey:6379/1" in repr(settings)


def test_a_kubernetes_service_link_is_recognised(folder: Path) -> None:
    """A Service named collegium sets COLLEGIUM_PORT=tcp://…; the message says what to do."""
    faults = _faults({"COLLEGIUM_PORT": "tcp://10.0.0.1:80"}, folder)
    assert "enableServiceLinks" in faults["COLLEGIUM_PORT in environment"]


def test_toml_takes_every_spelling_and_second_names(folder: Path) -> None:
    """Upper case, lower case and camel case name the same setting; connection strings have a second name."""
    text = 'MaxBodyBytes = "1MiB"\nmax-batch-statements = 7\nCORS_ALLOW_ORIGINS = ["https://a.org", "*"]\n'
    text += 'SystemDatabaseConnectionString = "redis://r"\nTenantDatabaseConnectionString = "http://o:9200"\n'
    (folder / "c.toml").write_text(text, encoding="utf-8")
    settings = load({"COLLEGIUM_CONFIG": "c.toml"}, folder)
    assert (settings.max_body_bytes, settings.max_batch_statements) == (2**20, 7)
    assert settings.cors_allow_origins == ("https://a.org", "*")
    assert (settings.redis_url, settings.opensearch_url) == ("redis://r", "http://o:9200")


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("prot = 1", "prot in c.toml", "did you mean PORT?"),
        ('"acmeco.Port" = 1', "acmeco.Port in c.toml", "for a single tenant"),
        ("acmeco.Port = 1", "acmeco in c.toml", "for a single tenant"),
        ("port = true", "port in c.toml", "must be a string, a number"),
        ("port = 1\nPORT = 2", "PORT in c.toml", "twice"),
        ('host = "${TenantName}"', "HOST in c.toml", "is not expanded"),
    ],
)
def test_toml_faults_name_their_place(folder: Path, text: str, place: str, says: str) -> None:
    """What the TOML file cannot mean is refused by name."""
    (folder / "c.toml").write_text(text, encoding="utf-8")
    assert says in _faults({"COLLEGIUM_CONFIG": "c.toml"}, folder)[place]


@pytest.mark.parametrize("content", [None, b"= 1", b"\xff"])
def test_a_toml_file_that_cannot_be_read_is_a_fault(folder: Path, content: bytes | None) -> None:
    """Missing, malformed or not UTF-8: named, and nothing is started."""
    if content is not None:
        (folder / "c.toml").write_bytes(content)
    assert str(folder / "c.toml") in _faults({"COLLEGIUM_CONFIG": "c.toml"}, folder)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16MiB", 2**24),
        ("16 mib", 2**24),
        ("2Gi", None),
        ("500kB", 500_000),
        ("1M", 10**6),
        ("4096", 4096),
        ("4096b", 4096),
    ],
)
def test_sizes(text: str, size: int | None) -> None:
    """Sizes take decimal and binary units in either case; out of range is refused."""
    if size is None:
        with pytest.raises(ValueError, match="must be a size"):
            read_value(_BY_NAME["MAX_BODY_BYTES"], text)
    else:
        assert size == read_value(_BY_NAME["MAX_BODY_BYTES"], text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٣"),
        ("PORT", "9" * 5000),
        ("BODY_TIMEOUT_SECONDS", "0"),
        ("BODY_TIMEOUT_SECONDS", "nan"),
        ("REDIS_URL", "valkey:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://host:port"),
        ("OPENSEARCH_URL", "http://a:9200,http://b:9200"),
        ("OBJECT_STORE_URL", "gs://bucket"),
        ("ROOT_PATH", "/a/../b"),
        ("ROOT_PATH", "/a b"),
        ("CORS_ALLOW_ORIGINS", "https://a.org/path"),
        ("CORS_ALLOW_ORIGINS", "a.org"),
        ("CORS_ALLOW_ORIGINS", "[1]"),
        ("LOG_LEVEL", "loud"),
        ("PLACEMENT", "Elsewhere"),
        ("DATA_DIR", "a\0b"),
        ("SERVE_TENANT", "acme"),
        ("SERVE_TENANT", parse_name("acme").slug.upper()),
    ],
)
def test_wrong_values_are_refused(name: str, text: str) -> None:
    """Each kind says what it must be."""
    with pytest.raises(ValueError, match="must be"):
        read_value(_BY_NAME[name], text)


@pytest.mark.parametrize("name", ["acme", "Acme Learning & Development Ltd", "学び", "a--b"])
def test_slugs(name: str) -> None:
    """Every tenant's slug is one."""
    slug = parse_name(name).slug
    assert slug == read_value(_BY_NAME["SERVE_TENANT"], slug)


def test_origins_are_separated_by_commas_or_white_space() -> None:
    """Lists in the environment take either, and the JSON list that Ralph's variable holds."""
    setting = _BY_NAME["CORS_ALLOW_ORIGINS"]
    expected = ("https://a.org", "http://b.org:8080", "http://[::1]:3000")
    assert expected == read_value(setting, "https://a.org, http://b.org:8080\nhttp://[::1]:3000")
    assert expected == read_value(setting, '["https://a.org", "http://b.org:8080", "http://[::1]:3000"]')


def test_the_auth_file_is_ralphs_where_only_that_exists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """auth.json in our application directory; in Ralph's where ours is not there and Ralph's is."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    assert load({}, folder).auth_file == folder / "collegium" / "auth.json"
    (folder / "ralph").mkdir()
    (folder / "ralph" / "auth.json").write_text("[]", encoding="utf-8")
    assert load({}, folder).auth_file == folder / "ralph" / "auth.json"
    (folder / "collegium").mkdir()
    (folder / "collegium" / "auth.json").write_text("[]", encoding="utf-8")
    assert load({}, folder).auth_file == folder / "collegium" / "auth.json"
    assert load({"RALPH_AUTH_FILE": "x.json"}, folder).auth_file == folder / "x.json"


def test_hide_credentials_keeps_where_a_url_points() -> None:
    """User information and query go, host and path stay."""
    assert hide_credentials("redis://u:p@h:1/0") == "redis://***@h:1/0"
    assert hide_credentials("s3://bucket/p?secret=x") == "s3://bucket/p?***"
    assert hide_credentials("http://[") == "***"


@pytest.mark.parametrize("page", reference.PAGES)
def test_reference_pages_are_up_to_date(page: str) -> None:
    """What docs/reference says is what the code says; `make docs` writes it anew."""
    assert reference.PAGES[page]() == (reference.FOLDER / page).read_text(encoding="utf-8")


def test_settings_import_nothing_heavy() -> None:
    """Loading the settings pulls in neither a server nor a database client."""
    code = (
        "import sys; from collegium_core.settings import load; load({'COLLEGIUM_AUTH_FILE': 'x'});"
        "print([m for m in ('click', 'redis', 'litestar', 'opensearchpy', 'rich', 'structlog') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
