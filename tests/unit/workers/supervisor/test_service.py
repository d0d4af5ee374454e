"""What goes wrong beside the running platform does not end it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from collegium_core.settings import load
from collegium_workers.supervisor import service
from collegium_workers.supervisor.console import JsonVoice
from collegium_workers.supervisor.logstream import LogStream
from collegium_workers.supervisor.programs import Programs
from collegium_workers.supervisor.reconciler import Reconciler
from collegium_workers.supervisor.views import Login, TenantView


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (OSError(12, "Cannot allocate memory"), ["it cannot be started: Cannot allocate memory"]),
        (1, ["it ended with 1; its log lines say why"]),
        (0, []),
    ],
)
async def test_a_demo_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: OSError | int, told: list[str]
) -> None:
    """And nothing is raised, which would end the platform."""

    async def run_once(_child: object) -> int:
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(service.Child, "run_once", run_once)
    settings = load({"COLLEGIUM_DATA_DIR": str(tmp_path)}, tmp_path)
    output = io.StringIO()
    voice = JsonVoice(output)
    plan = service.Plan(settings, manifests=None, demo=5)
    one = service._Service(plan, cast("LogStream", None), voice)
    views = [TenantView("acme", "t-acme", "Active", (Login("user", "secret"),))]
    await one._demo(Programs(settings), cast("Reconciler", SimpleNamespace(tenants=lambda: views)))
    voice.failed("the end")
    events: list[dict[str, Any]] = [json.loads(line) for line in output.getvalue().splitlines()]
    assert told == [event["detail"] for event in events if event["event"] == "demo-failed"]
