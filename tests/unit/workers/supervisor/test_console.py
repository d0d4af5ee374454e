"""What `collegium up` says."""

from __future__ import annotations

import io
import shlex

import msgspec

from collegium_workers.supervisor.console import HumanVoice, JsonVoice, ReadyReport
from collegium_workers.supervisor.views import Login, TenantView

REPORT = ReadyReport(
    url="http://127.0.0.1:8100",
    metrics_url="http://127.0.0.1:9464/metrics",
    data="/data",
    seconds=1.234567,
    tenants=(
        TenantView("acme", "t-acme-x", "Active", (Login("acme-lms", "it's [bold] a 'pass word'"),)),
        TenantView("Größe & Co", "t-gr-x", "Suspended"),
    ),
)


def test_ready_is_the_first_json_event() -> None:
    """What happened earlier follows it; each is one line."""
    output = io.StringIO()
    voice = JsonVoice(output)
    voice.event("manifest-fault", file="a.yaml", line=3)
    voice.ready(REPORT)
    voice.event("child-exited", process="api")
    ready, *others = [msgspec.json.decode(line) for line in output.getvalue().splitlines()]
    assert {
        "event": "ready",
        "url": "http://127.0.0.1:8100",
        "metrics_url": "http://127.0.0.1:9464/metrics",
        "data": "/data",
        "seconds": 1.235,
        "tenants": [
            {"name": "acme", "slug": "t-acme-x", "state": "Active", "url": "http://127.0.0.1:8100/acme/xAPI/"},
            {
                "name": "Größe & Co",
                "slug": "t-gr-x",
                "state": "Suspended",
                "url": "http://127.0.0.1:8100/Gr%C3%B6%C3%9Fe%20%26%20Co/xAPI/",
            },
        ],
    } == ready
    assert ["manifest-fault", "child-exited"] == [event["event"] for event in others]


def test_json_holds_no_password() -> None:
    """Machines that read events have the manifests themselves."""
    output = io.StringIO()
    JsonVoice(output).ready(REPORT)
    assert "pass word" not in output.getvalue()


def test_a_failed_start_says_what_had_happened_before() -> None:
    """The last event is `failed`, with its sentence."""
    output = io.StringIO()
    voice = JsonVoice(output)
    voice.event("orphan-ended", pid=1)
    voice.failed("the disk is full")
    events = [msgspec.json.decode(line) for line in output.getvalue().splitlines()]
    assert [{"event": "orphan-ended", "pid": 1}, {"event": "failed", "detail": "the disk is full"}] == events


def test_people_get_a_command_that_works_when_pasted() -> None:
    """One line, quoted for the shell whatever the password holds, with the endpoint of the first tenant."""
    output = io.StringIO()
    HumanVoice(output, io.StringIO()).ready(REPORT)
    [line] = [line for line in output.getvalue().splitlines() if line.startswith("curl ")]
    words = shlex.split(line)
    assert "acme-lms:it's [bold] a 'pass word'" == words[words.index("-u") + 1]
    assert "http://127.0.0.1:8100/acme/xAPI/statements" == words[-1]
    statement = msgspec.json.decode(words[words.index("-d") + 1])
    assert {"actor", "verb", "object"} == set(statement)


def test_people_see_url_tenants_and_credentials() -> None:
    """The welcome has everything for a first request; a closed tenant says so."""
    output = io.StringIO()
    HumanVoice(output, io.StringIO()).ready(REPORT)
    text = output.getvalue()
    for part in ("http://127.0.0.1:8100", "tenant acme", "user acme-lms", "it's [bold] a 'pass word'", "Suspended"):
        assert part in text


def test_faults_of_manifests_name_file_line_and_field() -> None:
    """On standard error, so that standard output stays what it is for."""
    errors = io.StringIO()
    HumanVoice(io.StringIO(), errors).event(
        "manifest-fault", file="m/acme.yaml", line=12, field="spec.stat", detail="unknown field"
    )
    assert "manifest m/acme.yaml:12: spec.stat: unknown field\n" == errors.getvalue()


def test_what_is_wrong_with_a_tenant_or_the_demo_is_shown() -> None:
    """Both name the tenant; other events are for the log."""
    errors = io.StringIO()
    voice = HumanVoice(io.StringIO(), errors)
    voice.event("tenant-fault", tenant="Acme [1]", slug="t-acme", detail="an index stands in its place")
    voice.event("demo-failed", tenant="Acme", detail="it ended with 1")
    voice.event("child-exited", process="api", code=1)
    assert "tenant Acme [1]: an index stands in its place\ndemo for tenant Acme: it ended with 1\n" == errors.getvalue()


def test_a_reader_that_has_gone_is_no_error() -> None:
    """A closed pipe does not end the platform."""
    output = io.StringIO()
    output.close()
    JsonVoice(output).ready(REPORT)
