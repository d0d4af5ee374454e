"""The servers of the fixtures are the real ones, set up as production is."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import redis.cluster
from obstore.store import S3Store

from collegium_testing.services.opensearch import OpenSearchNode
from collegium_testing.services.valkey import ValkeyServer


def _call(url: str, method: str = "GET", body: bytes | None = None, *, timeout: float = 30) -> bytes:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - our own loopback address
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - same
        content: bytes = answer.read()
        return content


def test_valkey(valkey_url: str) -> None:
    """Valkey 9 answers, with functions."""
    with redis.Redis.from_url(valkey_url) as client:
        assert client.info("server")["valkey_version"].startswith("9.")
        assert client.function_list() is not None


def test_redis7(redis7_url: str) -> None:
    """Redis 7 answers, with functions."""
    with redis.Redis.from_url(redis7_url) as client:
        info = client.info("server")
        assert info["redis_version"].startswith("7.")
        assert "valkey_version" not in info
        assert client.function_list() is not None


def test_cluster_refuses_keys_of_two_slots(redis_cluster_url: str) -> None:
    """The cluster serves all slots and insists that one call touches one of them."""
    client: redis.cluster.RedisCluster = redis.cluster.RedisCluster.from_url(redis_cluster_url)
    with client:
        assert int(client.cluster_info()["cluster_size"]) == 3
        assert client.set("t:{a}:1", "x")
        node = client.get_node_from_key("t:{a}:1")
        with pytest.raises(redis.exceptions.ResponseError, match="same slot"):
            client.execute_command("EVAL", "return 1", 2, "a", "b", target_nodes=node)


def test_opensearch_makes_no_index_by_itself(opensearch_url: str) -> None:
    """OpenSearch answers and refuses a write to an index that nobody made."""
    assert json.loads(_call(opensearch_url))["version"]["number"]
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        _call(f"{opensearch_url}/nobody-made-this/_doc/1", "PUT", b"{}")
    refused.value.close()


def test_opensearch_hangs_goes_on_and_keeps_its_data(opensearch_node: OpenSearchNode) -> None:
    """A paused node does not answer; resumed it does; killed and started again it has what it acknowledged."""
    index = f"{opensearch_node.url}/keeps"
    _call(index, "PUT", b'{"settings":{"number_of_replicas":0}}')
    _call(f"{index}/_create/1", "PUT", b'{"a":1}')
    opensearch_node.pause()
    with pytest.raises(TimeoutError):
        _call(f"{index}/_doc/1", timeout=1)
    opensearch_node.resume()
    assert json.loads(_call(f"{index}/_doc/1"))["_source"] == {"a": 1}
    opensearch_node.kill()
    assert not opensearch_node.running
    opensearch_node.start()
    assert json.loads(_call(f"{index}/_doc/1"))["_source"] == {"a": 1}


def test_s3_keeps_objects(s3_url: str) -> None:
    """The bucket is there and gives back what was put."""
    store = S3Store(
        "collegium",
        endpoint=s3_url,
        region="us-east-1",
        access_key_id="any",
        secret_access_key="any",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    store.put("testing/x", b"hello")
    assert bytes(store.get("testing/x").bytes()) == b"hello"


def test_slow_disk(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """With the shim each acknowledged write waits for a slow fdatasync."""
    server = ValkeyServer(tmp_path, env=disk_shim(fdatasync_ms=300)).start()
    try:
        began = time.monotonic()
        assert server.ask("SET", "a", "1") == "+OK\r\n"
        assert time.monotonic() - began >= 0.3
    finally:
        server.kill()


def test_full_disk(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """While the flag file is there nothing can be written and no write is acknowledged; afterwards all is well."""
    full = tmp_path / "full"
    server = ValkeyServer(tmp_path / "data", env=disk_shim(full_flag=full)).start()
    try:
        assert server.ask("SET", "a", "1") == "+OK\r\n"
        full.touch()
        try:
            answer = server.ask("SET", "a", "2")
        except OSError:  # a server that syncs always ends itself rather than go on unsafely
            answer = ""
        assert not answer.startswith("+OK")
        server.kill()
        full.unlink()
        server.start()
        assert server.ask("GET", "a") == "$1\r\n1\r\n"
    finally:
        server.kill()


def test_sockets_are_open_here() -> None:
    """Only the unit tier has its sockets closed."""
    socket.socket(socket.AF_INET).close()
