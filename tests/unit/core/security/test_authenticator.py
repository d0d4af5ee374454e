"""From header to principal: who is let in, what is remembered, what is limited."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from collegium_core.errors import TooManyRequests, Unauthorized, Unavailable
from collegium_core.security import authenticator as module
from collegium_core.security import passwords
from collegium_core.security.authenticator import Authenticator
from collegium_core.security.credentials import credential_from_hash, make_credential, make_key
from collegium_core.security.limits import FAILURES_PER_MINUTE
from collegium_core.security.passwords import PasswordVerifier, hash_password
from collegium_core.settings import Settings, SettingsError, load
from collegium_core.tenancy.record import Credential, TenantRecord
from collegium_testing.clock import ManualClock

_KEY = make_key()
_HASH = hash_password("secret", rounds=4)


class CountingVerifier(PasswordVerifier):
    """Counts how often a password is really verified."""

    def __init__(self) -> None:
        super().__init__(cores=2)
        self.calls = 0

    async def verify(self, password: bytes, digests: tuple[str, ...]) -> str | None:
        """Count, then verify."""
        self.calls += 1
        return await super().verify(password, digests)


@pytest.fixture(autouse=True)
def cheap_dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_DUMMY", _HASH.encode())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({}, tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def verifier() -> CountingVerifier:
    return CountingVerifier()


@pytest.fixture
async def door(settings: Settings, clock: ManualClock, verifier: CountingVerifier) -> AsyncIterator[Authenticator]:
    authenticator = Authenticator(settings, clock=clock, passwords=verifier)
    yield authenticator
    await authenticator.close()


def _record(*credentials: Credential, slug: str = "t-acme") -> TenantRecord:
    return TenantRecord(slug=slug, display=slug, canonical=slug, credentials=credentials)


def _bob(**changes: object) -> Credential:
    return msgspec.structs.replace(credential_from_hash("people", "bob", _HASH, ["statements/read"]), **changes)


ACME = _record(make_credential("lms", "alice", _KEY, ["all"], {"mbox": "mailto:a@b.org"}), _bob())


def basic(username: str, password: str, scheme: str = "Basic") -> bytes:
    return f"{scheme} {base64.b64encode(f'{username}:{password}'.encode()).decode()}".encode()


async def _refused(door: Authenticator, record: TenantRecord | None, header: bytes | None, **more: str) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await door.authenticate(record, header, **more)
    return caught.value


async def test_a_key_proves_its_user(door: Authenticator, verifier: CountingVerifier) -> None:
    """The principal carries tenant, credential, scopes and the credential's agent; nothing is hashed slowly."""
    found = await door.authenticate(ACME, basic("alice", _KEY))
    assert (found.slug, found.name, found.username) == ("t-acme", "lms", "alice")
    assert found.scopes == {"all"}
    assert found.authority == b'{"mbox":"mailto:a@b.org"}'
    assert verifier.calls == 0


async def test_a_password_is_verified_once(door: Authenticator, verifier: CountingVerifier, clock: ManualClock) -> None:
    """The second request costs a look-up; a header in use stays known, an idle one is verified again."""
    header = basic("bob", "secret", scheme="bAsIc")
    assert door.cached(ACME, header) is None
    found = await door.authenticate(ACME, header)
    assert b'"homePage":"http://localhost","name":"bob"' in found.authority
    for _ in range(10):
        clock.advance(20)
        assert door.cached(ACME, header) is found
    assert verifier.calls == 1
    clock.advance(901)
    assert door.cached(ACME, header) is None
    await door.authenticate(ACME, header)
    assert verifier.calls == 2


async def test_a_changed_record_counts_at_once(door: Authenticator, verifier: CountingVerifier) -> None:
    """Removed, re-hashed or re-scoped: what was remembered no longer holds; other credentials may change."""
    header = basic("bob", "secret")
    await door.authenticate(ACME, header)
    assert door.cached(_record(_bob(), slug="t-acme"), header) is not None
    for changed in (_record(), _record(_bob(digest=hash_password("x", rounds=4))), _record(_bob(scopes=("all",)))):
        await door.authenticate(ACME, header)
        assert door.cached(changed, header) is None
    await _refused(door, _record(), header)
    rescoped = await door.authenticate(_record(_bob(scopes=("all",))), header)
    assert rescoped.scopes == {"all"}


async def test_two_credentials_may_share_a_user_name(door: Authenticator) -> None:
    """While a password or key is rotated, the old one and the new one both work."""
    newer = make_key()
    record = _record(
        _bob(), credential_from_hash("new", "bob", hash_password("newer", rounds=4)), make_credential("k", "bob", newer)
    )
    names = [(await door.authenticate(record, basic("bob", p))).name for p in ("secret", "newer", newer)]
    assert names == ["people", "new", "k"]


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Basic",
        b"Basic ",
        b"Basic !!!",
        b"Basic YWxpY2U=",
        b"Basic " + base64.b64encode(b":secret"),
        b"Basic " + base64.b64encode(b"\xff\xfe:secret"),
        b"Bearer abc",
        b"Basic " + b"A" * 5000,
        b"\xff\xfe",
    ],
)
async def test_headers_that_cannot_be_read_are_401(door: Authenticator, header: bytes | None) -> None:
    """Missing, another scheme, no base64, no colon, no user name, not UTF-8, endless: never anything but 401."""
    refused = await _refused(door, ACME, header)
    assert refused.status == 401
    assert ("www-authenticate", 'Basic realm="collegium", charset="UTF-8"') in refused.headers


async def test_every_wrong_credential_gets_the_same_answer(door: Authenticator, verifier: CountingVerifier) -> None:
    """Unknown user, wrong password, another tenant's user, unknown tenant: no difference in answer or in work."""
    other = _record(credential_from_hash("c", "carol", _HASH), slug="t-globex")
    answers = set()
    for number, (record, header) in enumerate(
        [
            (ACME, basic("bob", "wrong")),
            (ACME, basic("carol", "secret")),
            (ACME, basic("alice", "secret")),
            (None, basic("bob", "secret")),
        ],
        1,
    ):
        refused = await _refused(door, record, header)
        answers.add((refused.status, refused.detail, refused.headers))
        assert verifier.calls == number
    assert len(answers) == 1
    assert (await door.authenticate(other, basic("carol", "secret"))).slug == "t-globex"


async def test_a_header_known_in_one_tenant_is_nothing_in_another(door: Authenticator) -> None:
    """What is remembered is bound to the tenant."""
    header = basic("bob", "secret")
    await door.authenticate(ACME, header)
    assert door.cached(_record(slug="t-globex"), header) is None
    await _refused(door, _record(slug="t-globex"), header)


async def test_failures_are_remembered_for_seconds(
    door: Authenticator, verifier: CountingVerifier, clock: ManualClock
) -> None:
    """The same wrong header is not hashed again within five seconds, unless the credentials change meanwhile."""
    header = basic("bob", "later")
    await _refused(door, ACME, header)
    await _refused(door, ACME, header)
    assert verifier.calls == 1
    changed = _record(_bob(digest=hash_password("later", rounds=4)))
    assert (await door.authenticate(changed, header)).username == "bob"
    await _refused(door, ACME, basic("bob", "wrong"))
    clock.advance(5.1)
    await _refused(door, ACME, basic("bob", "wrong"))
    assert verifier.calls == 4


async def test_unknown_tenants_are_remembered_apart(door: Authenticator, verifier: CountingVerifier) -> None:
    """A failure at one unknown tenant does not make the next one answer faster."""
    for name in ("x", "y", "x"):
        await _refused(door, None, basic("bob", "secret"), tenant=name)
    assert verifier.calls == 2


async def test_concurrent_requests_share_one_verify(door: Authenticator, verifier: CountingVerifier) -> None:
    """Twenty requests with the same header hash once; one that goes away does not take the others with it."""
    header = basic("bob", "secret")
    tasks = [asyncio.create_task(door.authenticate(ACME, header)) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {"bob"} == {found.username for found in results[1:] if not isinstance(found, BaseException)}
    assert verifier.calls == 1


async def _fail(door: Authenticator, times: int, address: str = "10.0.0.1") -> None:
    for number in range(times):
        await _refused(door, ACME, basic("bob", f"wrong {number}"), address=address)


async def test_guessing_is_limited_per_user_and_address(
    door: Authenticator, verifier: CountingVerifier, clock: ManualClock
) -> None:
    """After fifty failures in a minute: 429 for thirty seconds, for that user name from that address only."""
    await _fail(door, FAILURES_PER_MINUTE)
    calls = verifier.calls
    with pytest.raises(TooManyRequests) as caught:
        await door.authenticate(ACME, basic("bob", "secret"), address="10.0.0.1")
    assert dict(caught.value.headers) == {"retry-after": "30"}
    assert verifier.calls == calls
    assert (await door.authenticate(ACME, basic("bob", "secret"), address="10.0.0.2")).username == "bob"
    await _refused(door, ACME, basic("carol", "x"), address="10.0.0.1")
    clock.advance(31)
    await _refused(door, ACME, basic("bob", "another"), address="10.0.0.1")


async def test_slower_failures_are_not_limited(door: Authenticator, clock: ManualClock) -> None:
    """Fifty failures over more than a minute are a person with a problem, not an attack."""
    for number in range(60):
        clock.advance(1.3)
        await _refused(door, ACME, basic("bob", f"wrong {number}"))


async def test_what_needs_no_hashing_is_never_limited(door: Authenticator) -> None:
    """Once limited, keys and remembered failures still answer 401 and a known header still enters."""
    good = basic("bob", "secret")
    found = await door.authenticate(ACME, good, address="10.0.0.1")
    await _fail(door, FAILURES_PER_MINUTE)
    assert found == await door.authenticate(ACME, good, address="10.0.0.1")
    await _refused(door, ACME, basic("bob", "wrong 0"), address="10.0.0.1")
    for _ in range(60):
        await _refused(door, ACME, basic("bob", make_key()), address="10.0.0.1")
    await _refused(door, ACME, basic("bob", "x" * 73), address="10.0.0.1")


async def test_a_wrong_key_costs_no_hash(door: Authenticator, verifier: CountingVerifier) -> None:
    """A key is compared by SHA-256 alone, for known and unknown users alike."""
    for username in ("alice", "bob", "nobody"):
        await _refused(door, ACME, basic(username, make_key()))
    assert verifier.calls == 0


async def test_too_many_waiting_passwords_are_sent_away(
    settings: Settings, verifier: CountingVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue for verification is bounded; beyond it 503, which a client may repeat."""
    monkeypatch.setattr(passwords, "_WAITING_PER_CORE", 1)
    door = Authenticator(settings, passwords=verifier)
    tasks = [asyncio.create_task(door.authenticate(ACME, basic(f"u{n}", "x"))) for n in range(40)]
    kinds = [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)]
    await door.close()
    assert {Unauthorized, Unavailable} == set(kinds)


async def test_what_is_remembered_is_bounded(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither good nor bad headers can fill the memory, and no entry holds a password."""
    monkeypatch.setattr(module, "_FAILURES_REMEMBERED", 3)
    door = Authenticator(settings, clock=clock, capacity=2)
    keys = [make_key() for _ in range(4)]
    record = _record(*(make_credential(f"k{n}", f"u{n}", key) for n, key in enumerate(keys)))
    headers = [basic(f"u{n}", key) for n, key in enumerate(keys)]
    for header in headers:
        await door.authenticate(record, header)
        await _refused(door, record, header[:-8] + b"AAAAAAA=")
    assert [door.cached(record, header) is not None for header in headers] == [False, False, True, True]
    assert len(door._refused) == 3
    assert not any(key in repr((door._known, door._refused)) for key in keys)
    await door.close()


@pytest.fixture
def system_key(tmp_path: Path) -> Path:
    path = tmp_path / "system.key"
    path.write_text(f"{_KEY}\n", encoding="ascii")
    path.chmod(0o600)
    return path


async def test_the_system_user_may_call_every_tenant(tmp_path: Path, system_key: Path) -> None:
    """The user `system` with the file's key: all and tenant/admin in any tenant that exists, nothing elsewhere."""
    door = Authenticator(load({"COLLEGIUM_SYSTEM_KEY_FILE": str(system_key)}, tmp_path))
    header = basic("system", _KEY)
    for record in (_record(), _record(slug="t-globex")):
        found = await door.authenticate(record, header)
        assert (record.slug, "system", {"all", "tenant/admin"}) == (found.slug, found.username, set(found.scopes))
        assert found is door.cached(record, header)
    await _refused(door, None, header)
    await _refused(door, _record(), basic("admin", _KEY))
    assert door.is_system(header)
    assert not any(door.is_system(other) for other in (None, b"x", basic("system", make_key()), basic("bob", _KEY)))
    await door.close()


async def test_without_a_key_file_there_is_no_system_user(door: Authenticator) -> None:
    """No file, no such user; an empty key is no key."""
    assert not door.is_system(basic("system", ""))
    await _refused(door, _record(), basic("system", ""))
    await _refused(door, _record(), basic("system", make_key()))


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0o600, "cannot be read"),
        (_KEY, 0o644, "chmod 600"),
        (_KEY, 0o660, "chmod 600"),
        ("geheim", 0o600, "does not hold a generated key"),
        ("gehéim", 0o600, "cannot be read"),
    ],
)
def test_a_system_key_file_must_be_private_and_hold_a_key(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    """Missing, readable by others, or not a key: refused at start, the content unseen."""
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
    with pytest.raises(SettingsError, match=says) as caught:
        Authenticator(load({"COLLEGIUM_SYSTEM_KEY_FILE": str(path)}, tmp_path), passwords=PasswordVerifier(cores=1))
    assert content is None or content not in str(caught.value)
