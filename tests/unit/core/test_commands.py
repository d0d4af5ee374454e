"""The root of the command line: what it lists, loads and says."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from collegium_core import commands
from collegium_core.errors import BadRequest, FieldError, Unavailable
from collegium_core.settings import SETTINGS, SettingsError


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str, raises: Exception | None = None) -> Result:
    """Run the root with one further command, ``fail``, which raises."""

    @click.command()
    def fail() -> None:
        if raises is not None:
            raise raises

    point = EntryPoint(name="fail", value=f"{__name__}:fail", group=commands.GROUP)
    root = commands.Root("collegium")
    monkeypatch.setattr(EntryPoint, "load", lambda _self: fail)
    monkeypatch.setattr(root, "_points", {"fail": point})
    return CliRunner().invoke(root, list(arguments))


def test_help_lists_every_command_and_loads_none() -> None:
    """The list of commands comes from the entry points; no command's module nor its libraries are imported for it."""
    code = (
        "import sys; from collegium_core.commands import collegium; collegium.main(['--help'], standalone_mode=False);"
        "print([m for m in sys.modules if m.startswith(('collegium_', 'msgspec', 'redis', 'litestar', 'kopf'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    for name in commands.collegium.list_commands(click.Context(commands.collegium)):
        assert f"│ {name} " in done.stdout
    assert "Show every setting" in done.stdout
    loaded = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert loaded <= {"collegium_core", "collegium_core.commands", "collegium_core.security", *_packages()}


def _packages() -> set[str]:
    """Return the packages of the commands' modules: finding a module's source imports its packages, which are empty."""
    modules = [point.module for point in commands.collegium._points.values()]
    return {".".join(parts[:n]) for module in modules for parts in [module.split(".")] for n in range(1, len(parts))}


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit code 2, and the name that was not found."""
    result = CliRunner().invoke(commands.collegium, ["nope"])
    assert result.exit_code == 2
    assert "nope" in result.output


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (SettingsError([FieldError("A", "is wrong"), FieldError("B", "too")]), 2, ["A: is wrong", "B: too"]),
        (Unavailable("Valkey is away"), 1, ["Valkey is away"]),
        (BadRequest("no", errors=[FieldError("x", "bad")]), 1, ["no", "x: bad"]),
        (
            ModuleNotFoundError("no", name="kopf"),
            1,
            ["kopf is not installed; pip install 'collegium[operator]' brings it"],
        ),
        (
            ModuleNotFoundError("no", name="litestar.handlers"),
            1,
            ["litestar.handlers is not installed; pip install 'collegium[api]' brings it"],
        ),
        (ModuleNotFoundError("no", name="nowhere"), 1, ["the module nowhere is missing from this installation"]),
    ],
)
def test_errors_become_sentences(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, lines: list[str]
) -> None:
    """What is nobody's bug is one line each on standard error, with an exit code and no traceback."""
    result = _run(monkeypatch, "fail", raises=error)
    assert (code, [f"collegium: {line}" for line in lines]) == (result.exit_code, result.stderr.splitlines())
    assert result.stdout == ""


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that has no sentence is not swallowed."""
    assert isinstance(_run(monkeypatch, "fail", raises=RuntimeError("bug")).exception, RuntimeError)


def test_a_usage_error_of_a_command_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that a command does not have exits with 2, as click does."""
    result = _run(monkeypatch, "fail", "--nope")
    assert result.exit_code == 2
    assert "--nope" in result.output


def test_settings_prints_every_row_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`collegium settings` shows names, values, sources; of a secret where it points."""
    monkeypatch.setenv("COLLEGIUM_REDIS_URL", "redis://:geheim@valkey:6379")
    monkeypatch.setenv("COLUMNS", "200")
    table = CliRunner().invoke(commands.collegium, ["settings"])
    assert table.exit_code == 0
    assert all(setting.name in table.output for setting in SETTINGS)
    document = CliRunner().invoke(commands.collegium, ["settings", "--json"])
    values = msgspec.json.decode(document.output)
    assert values["REDIS_URL"] == {"value": "redis://***@valkey:6379", "source": "COLLEGIUM_REDIS_URL in environment"}
    assert list(values) == [setting.name for setting in SETTINGS]
    assert "geheim" not in table.output + document.output
