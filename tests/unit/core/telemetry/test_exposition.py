"""The metrics port and the sum of several processes' expositions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collegium_core.telemetry import exposition
from collegium_core.telemetry.exposition import Exposition, keep_totals, sum_expositions


def _process(accepted: float, lag: float, latencies: list[float]) -> str:
    registry = CollectorRegistry()
    Counter("collegium_statements_accepted", "n", ["tenant"], registry=registry).labels('t "x} 1').inc(accepted)
    Gauge("collegium_index_lag_seconds", "n", ["tenant"], registry=registry).labels("a").set(lag)
    Gauge("collegium_operator_queue_depth", "n", registry=registry).set(2)
    histogram = Histogram("collegium_http_request_seconds", "n", registry=registry, buckets=(0.1, 1))
    for latency in latencies:
        histogram.observe(latency)
    return generate_latest(registry).decode()


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_counters_and_histograms_are_added_and_lags_are_not() -> None:
    """One exposition for all processes, in the same format, with each header once."""
    text = sum_expositions([_process(3, 1.5, [0.05, 5]), _process(4, 0.5, [0.5])])
    expected = {
        ("collegium_statements_accepted_total", 't "x} 1'): 7.0,
        ("collegium_index_lag_seconds", "a"): 1.5,
        ("collegium_operator_queue_depth",): 4.0,
        ("collegium_http_request_seconds_bucket", "0.1"): 1.0,
        ("collegium_http_request_seconds_bucket", "1.0"): 2.0,
        ("collegium_http_request_seconds_bucket", "+Inf"): 3.0,
        ("collegium_http_request_seconds_count",): 3.0,
        ("collegium_http_request_seconds_sum",): 5.55,
    }
    assert expected == pytest.approx(_samples(text))
    assert text.count("# TYPE collegium_statements_accepted_total counter") == 1


def test_one_exposition_stays_what_it_says() -> None:
    """The sum of one process is that process; of none, nothing."""
    text = _process(3, 1.5, [0.05])
    assert _samples(text) == _samples(sum_expositions([text]))
    assert sum_expositions([]) == ""


def test_special_values_survive() -> None:
    """Infinities and NaN are written as the format spells them."""
    text = "# TYPE a gauge\na 1\n# TYPE b gauge\nb +Inf\n# TYPE c gauge\nc NaN\n# TYPE d gauge\nd -Inf\n"
    assert sum_expositions([text]).split("\n")[1::2] == ["a 1.0", "b +Inf", "c NaN", "d -Inf"]


def test_totals_outlive_their_process() -> None:
    """Of a process that has ended counters and histograms are kept, gauges are not."""
    kept = keep_totals(_process(3, 1.5, [0.05]))
    assert _samples(kept)[("collegium_statements_accepted_total", 't "x} 1')] == 3.0
    assert _samples(kept)[("collegium_http_request_seconds_count",)] == 1.0
    assert "lag" not in kept


@pytest.mark.parametrize("line", ["nothing", "a b", "12", 'a{b="c"}'])
def test_a_line_that_is_no_sample_is_refused(line: str) -> None:
    """Half an answer does not become wrong numbers."""
    with pytest.raises(ValueError, match="not a sample"):
        sum_expositions([f"# TYPE a gauge\n{line}"])


class _Sink(asyncio.Transport):
    """Collects what is written; loses nothing and says when it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""
        self.cut = False
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += bytes(data)

    def is_closing(self) -> bool:
        return self.cut

    def abort(self) -> None:
        if not self.cut:
            self.cut = True
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    close = abort


async def _ask(server: Exposition, request: bytes, *, ends: bool = True) -> bytes:
    """Return the answer of *server* to *request*, without a socket."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=exposition._LONGEST_REQUEST, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, server._accept, loop=loop)
    sink = _Sink()
    sink.protocol = protocol
    protocol.connection_made(sink)
    protocol.data_received(request)
    if ends:
        protocol.eof_received()
    while not sink.cut:
        await asyncio.sleep(0)
    return sink.data


def _server(
    produce: Callable[[], bytes | Awaitable[bytes]] = exposition.render,
    healthy: Callable[[], bool | Awaitable[bool]] | None = None,
) -> Exposition:
    return Exposition(produce, healthy)


async def test_metrics_are_served_in_the_text_format() -> None:
    """GET /metrics answers this process' metrics, HEAD only how long they are."""
    answer = await _ask(_server(), b"GET /metrics?x=1 HTTP/1.1\r\nhost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8")
    assert f"content-length: {len(body)}".encode() in head
    assert b"collegium_build_info{" in body
    assert (await _ask(_server(), b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_health_is_what_the_process_says() -> None:
    """/healthz answers 200 without a check, else as the check says, which may be a coroutine."""

    async def unwell() -> bool:
        return False

    assert b" 200 " in await _ask(_server(), b"GET /healthz HTTP/1.1\r\n\r\n")
    assert b" 503 " in await _ask(_server(healthy=unwell), b"GET /healthz HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET / HTTP/1.1", b"404"), (b"POST /metrics HTTP/1.1", b"405"), (b"\xff\xfe", b"404"), (b"", b"404")],
)
async def test_other_requests_are_answered_shortly(request_line: bytes, status: bytes) -> None:
    """Nothing else is served here, and nonsense does not harm."""
    assert (await _ask(_server(), request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("request_bytes", [b"GET /metrics", b"x" * 40_000])
async def test_half_and_endless_requests_are_dropped(request_bytes: bytes) -> None:
    """A request that ends early or never is answered nothing."""
    assert await _ask(_server(), request_bytes) == b""


async def test_a_slow_request_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not finish the request in time is disconnected."""
    monkeypatch.setattr(exposition, "_REQUEST_SECONDS", 0.01)
    assert await _ask(_server(), b"GET /metrics", ends=False) == b""


async def test_a_collector_that_fails_is_a_500_and_the_server_goes_on() -> None:
    """The fault goes to the log, not to the caller."""

    def broken() -> bytes:
        raise RuntimeError("geheim")

    answer = await _ask(_server(broken), b"GET /metrics HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"geheim" not in answer


async def test_closing_ends_what_is_under_way() -> None:
    """A connection that waits for its request is cut; closing twice is fine."""
    server = _server()
    asking = asyncio.create_task(_ask(server, b"GET", ends=False))
    await asyncio.sleep(0)
    await server.close()
    assert await asking == b""
    await server.close()
