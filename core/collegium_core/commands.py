"""The root of the command line. Commands are found by the entry-point group ``collegium.commands`` and loaded when run.

So the core imports nothing upward, ``collegium --help`` is quick, and another distribution can add a command.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points, requires
from pathlib import Path
from typing import Any, Final, NoReturn

import rich_click as click
from click.exceptions import Exit

__all__ = ["GROUP", "Root", "collegium", "main"]

GROUP: Final = "collegium.commands"
_DISTRIBUTION: Final = "collegium"


class _Unloaded(click.Command):
    """A command as the list of commands shows it: its name and its one line, without its module."""

    def __init__(self, point: EntryPoint) -> None:
        super().__init__(point.name, short_help=_short_help(point))
        self.point = point

    def load(self) -> click.Command:
        command = self.point.load()
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.point.value} is no command")
        return command


class Root(click.RichGroup):
    """The group of all commands. What can be said in a sentence reaches the caller as one, not as a traceback."""

    @cached_property
    def _points(self) -> Mapping[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands, sorted."""
        return sorted(self._points)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        """Return what the list of commands shows of *cmd_name*, or None."""
        point = self._points.get(cmd_name)
        return _Unloaded(point) if point else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* name, loaded, since it is about to run."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, _Unloaded) else command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the named command; exit with 2 where the settings are wrong and with 1 where it could not be done."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, Exit, click.Abort):
            raise
        except Exception as error:
            said = _explain(error)
            if said is None:
                raise
            code, sentences = said
            for sentence in sentences:
                click.echo(f"collegium: {sentence}", err=True)
            ctx.exit(code)


def _explain(error: Exception) -> tuple[int, list[str]] | None:
    """Return exit code and sentences for an error that is no fault of the program's, else None."""
    # Not at the top: an answer to --help should not pay for them.
    from collegium_core.errors import Problem  # noqa: PLC0415 - see above
    from collegium_core.settings import SettingsError  # noqa: PLC0415 - see above

    if isinstance(error, SettingsError):
        return 2, [f"{fault.path}: {fault.detail}" for fault in error.faults]
    if isinstance(error, Problem):
        return 1, [error.detail, *(f"{fault.path}: {fault.detail}" for fault in error.errors)]
    if isinstance(error, ModuleNotFoundError):
        return 1, [_missing(error.name or str(error))]
    return None


def _missing(module: str) -> str:
    """Return the sentence for a module that is not installed: which extra brings it, where one does."""
    top = module.partition(".")[0]
    for requirement in requires(_DISTRIBUTION) or ():
        found = re.match(r"([A-Za-z0-9._-]+).*\bextra\s*==\s*['\"]([^'\"]+)", requirement)
        if found and re.sub(r"[-.]", "_", found[1]).lower() == top.lower():
            return f"{module} is not installed; pip install 'collegium[{found[2]}]' brings it"
    return f"the module {module} is missing from this installation"


def _short_help(point: EntryPoint) -> str:
    """Return the first line of the command's docstring, read from its source, which is cheaper than its imports."""
    try:
        spec = importlib.util.find_spec(point.module)
        tree = ast.parse(Path(spec.origin).read_bytes()) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError):
        return ""
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == point.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=_DISTRIBUTION, prog_name="collegium")
def collegium() -> None:
    """Run a multi-tenant learning-data platform: xAPI record stores that keep what they acknowledge."""


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    collegium.main(prog_name="collegium")
    raise AssertionError("click exits by itself")
