"""The import of one file: everything once, interruptions, refusals."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
from pathlib import Path
from typing import cast

import msgspec
import pytest

from collegium_workers.transfer import lines
from collegium_workers.transfer.client import Answer, Client, PlatformAwayError
from collegium_workers.transfer.importing import FileImport
from collegium_workers.transfer.lines import Fault, FileFaultError
from collegium_workers.transfer.progress import ProgressFile


class Platform:
    """Stores by id; goes away after *lasts* requests; answers the first request of all last."""

    def __init__(self, *, lasts: int = 10_000, bad: frozenset[str] = frozenset()) -> None:
        self.stored: dict[str, bytes] = {}
        self.requests = 0
        self.lasts = lasts
        self.bad = bad

    async def post_statements(self, body: bytes) -> Answer:
        """Answer like the platform."""
        self.requests += 1
        number = self.requests
        if number > self.lasts:
            raise PlatformAwayError("gone")
        for _ in range(3 if number == 1 else 1):
            await asyncio.sleep(0)
        statements = msgspec.json.decode(body, type=list[msgspec.Raw])
        ids = [msgspec.json.decode(each)["id"] for each in statements]
        if self.bad & set(ids):
            return Answer(400, b'{"detail":"no"}', {})
        self.stored |= dict(zip(ids, map(bytes, statements), strict=True))
        return Answer(200, b"[]", {})


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_MOST_STATEMENTS", 10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"id":"s%d"}\n' % n for n in range(200)))
    return path


class Run:
    """One run of an import, and what it said."""

    def __init__(self, platform: Platform, file: Path) -> None:
        self.complaints: list[Fault] = []
        self.advanced: list[tuple[int, int]] = []
        self.place = ProgressFile(file.parent / "imports", file, platform="p", tenant="acme")
        self.work = FileImport(
            cast("Client", platform),
            file,
            self.place,
            advance=lambda *step: self.advanced.append(step),
            complain=self.complaints.append,
        )


async def test_every_line_is_stored_once(file: Path) -> None:
    """In one run, and the bytes are those of the file."""
    platform = Platform()
    run = Run(platform, file)
    tally = await run.work.run()
    assert (200, 0, 0) == (tally.accepted, tally.refused, tally.resumed)
    assert {f"s{n}": b'{"id":"s%d"}' % n for n in range(200)} == platform.stored
    assert 200 == sum(accepted for accepted, _ in run.advanced)
    assert file.stat().st_size == max(read for _, read in run.advanced)


async def test_an_interrupted_import_goes_on(file: Path) -> None:
    """What was answered is not sent again, what was not is: in the end everything is there."""
    platform = Platform(lasts=8)
    first = Run(platform, file)
    with pytest.raises(PlatformAwayError):
        await first.work.run()
    reached = first.place.read()
    assert 0 < reached.lines < 200
    assert all(f"s{n}" in platform.stored for n in range(reached.lines))
    platform.lasts = 10_000
    before = platform.requests
    tally = await Run(platform, file).work.run()
    assert 200 == len(platform.stored)
    assert (200, reached.lines) == (tally.accepted, tally.resumed)
    assert (200 - reached.lines) // 10 == platform.requests - before


async def test_a_cancelled_import_keeps_its_place(file: Path) -> None:
    """Ctrl-C is an interruption like any other."""
    run = Run(Platform(), file)
    task = asyncio.create_task(run.work.run())
    while not run.advanced:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    reached = run.place.read()
    assert reached.lines == reached.accepted < 200


async def test_a_second_run_begins_at_the_first_line(file: Path) -> None:
    """A complete import leaves no place behind; the platform knows every statement."""
    platform = Platform()
    await Run(platform, file).work.run()
    tally = await Run(platform, file).work.run()
    assert (200, 0) == (tally.accepted, tally.resumed)
    assert 200 == len(platform.stored)


async def test_refused_lines_are_told_and_counted(file: Path) -> None:
    """Lines that are no JSON and lines that the platform refuses alike; the others are stored."""
    file.write_bytes(file.read_bytes() + b"nonsense\n")
    platform = Platform(bad=frozenset({"s7", "s150"}))
    run = Run(platform, file)
    tally = await run.work.run()
    assert (198, 3) == (tally.accepted, tally.refused)
    assert {8, 151, 201} == {fault.number for fault in run.complaints}


async def test_what_comes_through_a_pipe_is_stored_and_leaves_no_place(tmp_path: Path) -> None:
    """It can be read only once, so there is nowhere to go on from; faulty lines are told like those of a file."""
    reading, writing = os.pipe()
    text = b"".join(b'{"id":"s%d"}\n' % n for n in range(200)) + b'{"x":"\xff"}\n'
    writer = asyncio.create_task(asyncio.to_thread(_write_and_close, writing, text))
    platform = Platform()
    complaints: list[Fault] = []
    work = FileImport(
        cast("Client", platform),
        Path(f"/dev/fd/{reading}"),
        None,
        advance=lambda _accepted, _read: None,
        complain=complaints.append,
    )
    tally = await work.run()
    await writer
    os.close(reading)
    assert (200, 1, 0) == (tally.accepted, tally.refused, tally.resumed)
    assert 200 == len(platform.stored)
    assert [201] == [fault.number for fault in complaints]
    assert [] == list(tmp_path.iterdir())


async def test_an_import_from_a_silent_pipe_can_be_cancelled() -> None:
    """Ctrl-C does not wait for whoever writes."""
    reading, writing = os.pipe()
    work = FileImport(
        cast("Client", Platform()),
        Path(f"/dev/fd/{reading}"),
        None,
        advance=lambda _accepted, _read: None,
        complain=lambda _: None,
    )
    task = asyncio.create_task(work.run())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    os.close(reading)
    os.close(writing)


def _write_and_close(descriptor: int, text: bytes) -> None:
    with open(descriptor, "wb") as pipe:
        pipe.write(text)


async def test_a_file_that_breaks_off_is_sent_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    """And the error names the line."""
    path = tmp_path / "a.jsonl.gz"

    digits = random.Random(1)
    text = b"".join(b'{"id":"s%d","x":"%x"}\n' % (n, digits.getrandbits(800)) for n in range(3000))
    path.write_bytes(gzip.compress(text)[:-20_000])
    platform = Platform()
    with pytest.raises(FileFaultError, match="cannot be read beyond line"):
        await Run(platform, path).work.run()
    assert len(platform.stored) > 1000
