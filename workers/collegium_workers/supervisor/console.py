"""What ``collegium up`` says: events as JSON lines, or a welcome for people. Logs go elsewhere (standard error)."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any, Final, Protocol, TextIO
from urllib.parse import quote

import msgspec
from rich.console import Console
from rich.text import Text

from collegium_workers.supervisor.views import TenantView

__all__ = ["HumanVoice", "JsonVoice", "ReadyReport", "Voice", "tenant_url"]

_SHOWN: Final = {"tenant-fault": "tenant ", "demo-failed": "demo for tenant "}
_EXAMPLE = (
    '{"actor":{"mbox":"mailto:ada@example.org"},'
    '"verb":{"id":"http://adlnet.gov/expapi/verbs/experienced","display":{"en":"experienced"}},'
    '"object":{"id":"https://example.org/courses/1","definition":{"name":{"en":"A first course"}}}}'
)


class ReadyReport(msgspec.Struct, frozen=True):
    """The platform as it stands once it is ready; *seconds* since the command began."""

    url: str
    metrics_url: str
    data: str
    seconds: float
    tenants: Sequence[TenantView]


class Voice(Protocol):
    """How the command speaks to whoever started it."""

    def ready(self, report: ReadyReport) -> None:
        """Say that the platform serves requests."""

    def event(self, name: str, **fields: Any) -> None:
        """Say that something happened."""

    def failed(self, sentence: str) -> None:
        """Say why the command ends."""


def tenant_url(url: str, name: str) -> str:
    """Return the xAPI endpoint of a tenant."""
    return f"{url}/{quote(name, safe='')}/xAPI/"


class JsonVoice:
    """One JSON object per event on *output*; the first is ``ready``, what happens earlier follows it. No secrets."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        self._output = output
        self._held: list[dict[str, Any]] | None = []

    def ready(self, report: ReadyReport) -> None:
        """Print ``ready``, then what was held back."""
        tenants = [
            {"name": view.name, "slug": view.slug, "state": view.state, "url": tenant_url(report.url, view.name)}
            for view in report.tenants
        ]
        self._print(
            {
                "event": "ready",
                "url": report.url,
                "metrics_url": report.metrics_url,
                "data": report.data,
                "seconds": round(report.seconds, 3),
                "tenants": tenants,
            }
        )
        held, self._held = self._held or [], None
        for event in held:
            self._print(event)

    def event(self, name: str, **fields: Any) -> None:
        """Print one event, or hold it until the platform is ready."""
        event = {"event": name, **fields}
        if self._held is not None:
            self._held.append(event)
        else:
            self._print(event)

    def failed(self, sentence: str) -> None:
        """Print ``failed`` after what was held back."""
        for event in self._held or []:
            self._print(event)
        self._print({"event": "failed", "detail": sentence})

    def _print(self, event: dict[str, Any]) -> None:
        try:
            self._output.write(msgspec.json.encode(event).decode() + "\n")
            self._output.flush()
        except (OSError, ValueError):
            pass  # the reader has gone; the platform goes on


class HumanVoice:
    """A welcome with everything for the first request; the one place where manifests' passwords are shown."""

    def __init__(self, output: TextIO = sys.stdout, errors: TextIO = sys.stderr) -> None:
        # soft_wrap: what is to be pasted must not be broken over lines.
        self._console = Console(file=output, soft_wrap=True, highlight=False)
        self._errors = Console(file=errors, soft_wrap=True, highlight=False)

    def ready(self, report: ReadyReport) -> None:
        """Print the URL, the tenants with their credentials, and a request to paste."""
        lines = Text()
        lines.append("\nCollegium is running at ").append(report.url, "bold green")
        lines.append(f"   ready in {report.seconds:.1f} s\n", "dim")
        lines.append(f"metrics {report.metrics_url}   data {report.data}\n\n", "dim")
        for view in report.tenants:
            lines.append(f"tenant {view.name}", "bold").append(f"  {tenant_url(report.url, view.name)}")
            lines.append("" if view.state == "Active" else f"  {view.state}", "yellow").append("\n")
            for login in view.logins:
                lines.append("  user ").append(login.username, "cyan")
                lines.append("  password ").append(login.password, "cyan").append("\n")
        self._say(self._console, lines)
        if command := _first_request(report):
            self._say(self._console, Text("\nA first statement, to paste into another terminal:\n"))
            self._say(self._console, Text(command, "bold"))
        self._say(self._console, Text("\nStop with Ctrl-C.", "dim"))

    def event(self, name: str, **fields: Any) -> None:
        """Show what is wrong with manifests, tenants and the demo; everything else is in the log."""
        if name == "manifest-fault":
            place = f"{fields['file']}:{fields['line']}" if fields["line"] else fields["file"]
            sentence = ": ".join(part for part in (place, fields["field"], fields["detail"]) if part)
            self._say(self._errors, Text("manifest ", "yellow").append(sentence))
        elif name in _SHOWN:
            self._say(self._errors, Text(_SHOWN[name], "yellow").append(f"{fields['tenant']}: {fields['detail']}"))

    def failed(self, sentence: str) -> None:
        """Print the sentence as an error."""
        self._say(self._errors, Text("collegium up: ", "bold red").append(sentence))

    @staticmethod
    def _say(console: Console, text: Text) -> None:
        with contextlib.suppress(OSError, ValueError):  # the reader has gone; the platform goes on
            console.print(text)


def _first_request(report: ReadyReport) -> str:
    for view in report.tenants:
        if view.state == "Active" and view.logins:
            login = view.logins[0]
            return (
                f"curl -u {shlex.quote(f'{login.username}:{login.password}')} -H 'X-Experience-API-Version: 1.0.3' "
                f"-H 'Content-Type: application/json' -d {shlex.quote(_EXAMPLE)} "
                f"{shlex.quote(tenant_url(report.url, view.name) + 'statements')}"
            )
    return ""
