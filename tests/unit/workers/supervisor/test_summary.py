"""The sum of the children's metrics."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from collegium_workers.supervisor import summary
from collegium_workers.supervisor.summary import Summary


def exposition(value: int, gauge: int) -> str:
    return (
        "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
        f"requests_total {value}\n"
        "# HELP waiting Waiting.\n# TYPE waiting gauge\n"
        f"waiting {gauge}\n"
    )


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    by_port: dict[str, str | None] = {}

    async def read(environment: Mapping[str, str]) -> str | None:
        return by_port.get(environment["COLLEGIUM_METRICS_PORT"])

    monkeypatch.setattr(summary, "_read", read)
    return by_port


def child(name: str, pid: int | None, port: str) -> Any:
    return SimpleNamespace(spec=SimpleNamespace(name=name), pid=pid, environment={"COLLEGIUM_METRICS_PORT": port})


async def test_children_are_added_up(answers: dict[str, str | None]) -> None:
    """Two processes, one number."""
    answers |= {"1": exposition(3, 1), "2": exposition(4, 2)}
    text = (await Summary([child("api", 10, "1"), child("index", 11, "2")]).produce()).decode()
    assert "requests_total 7.0\n" in text
    assert "waiting 3.0\n" in text


async def test_counts_outlive_a_restart(answers: dict[str, str | None]) -> None:
    """A sum that falls would look like a restart of everything; what is momentary goes with the process."""
    api = child("api", 10, "1")
    answers["1"] = exposition(5, 9)
    whole = Summary([api])
    await whole.produce()
    api.pid, api.environment = 12, {"COLLEGIUM_METRICS_PORT": "3"}
    answers["3"] = exposition(2, 1)
    text = (await whole.produce()).decode()
    assert "requests_total 7.0\n" in text
    assert "waiting 1.0\n" in text


async def test_a_child_that_does_not_answer_keeps_its_last_numbers(answers: dict[str, str | None]) -> None:
    """A busy process is not a process that has counted nothing."""
    api = child("api", 10, "1")
    answers["1"] = exposition(5, 1)
    whole = Summary([api])
    await whole.produce()
    answers["1"] = None
    assert "requests_total 5.0\n" in (await whole.produce()).decode()
