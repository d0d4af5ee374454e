"""Files, pipes and standard input as streams of bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import zstandard

from collegium_workers.transfer.lines import StatementFile
from collegium_workers.transfer.sources import STANDARD_INPUT, is_stream

READ = """
from pathlib import Path
from collegium_workers.transfer.lines import StatementFile
with StatementFile(Path({path!r})) as file:
    file.skip(0, 0)
    for batch in file.batches():
        print(batch.end, batch.offset, batch.read, len(batch.lines))
"""


def numbers(path: Path) -> list[int]:
    with StatementFile(path) as file:
        file.skip(0, 0)
        return [line.number for batch in file.batches() for line in batch.lines]


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_standard_input_is_read_to_its_end(path: str) -> None:
    """What comes through a pipe, piece by piece, is read like a file."""
    command = [sys.executable, "-c", READ.format(path=path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(b'{"id":"%d"}\n{"id":' % number)
            process.stdin.flush()
            time.sleep(0.05)
            process.stdin.write(b'"b"}\n')
        process.stdin.close()
        assert b"6 66 66 6\n" == process.stdout.read()
        assert 0 == process.wait(20)


def test_only_files_can_be_read_again(tmp_path: Path) -> None:
    """A pipe and standard input are streams, a file is none, what is not there is an error."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert [False, True, True] == [is_stream(path) for path in (tmp_path / "file", tmp_path / "pipe", STANDARD_INPUT)]
    with pytest.raises(FileNotFoundError):
        is_stream(tmp_path / "absent")


@pytest.mark.parametrize("name", ["pipe", "pipe.zst"])
def test_a_named_pipe_is_read(tmp_path: Path, name: str) -> None:
    """Packed or not; its name tells."""
    text = b'{"id":"a"}\n' * 1000
    os.mkfifo(tmp_path / name)
    packed = zstandard.ZstdCompressor().compress(text) if name.endswith(".zst") else text
    writer = threading.Thread(target=(tmp_path / name).write_bytes, args=(packed,))
    writer.start()
    assert list(range(1, 1001)) == numbers(tmp_path / name)
    writer.join()


def test_a_thread_that_waits_for_a_pipe_can_be_stopped() -> None:
    """So that Ctrl-C does not wait for whoever writes."""
    reading, writing = os.pipe()
    found: list[object] = []
    try:
        with StatementFile(Path(f"/dev/fd/{reading}")) as file:
            thread = threading.Thread(target=lambda: found.append(next(file.batches(), None)))
            thread.start()
            time.sleep(0.05)
            assert thread.is_alive()
            file.stop()
            thread.join(10)
            assert not thread.is_alive()
    finally:
        os.close(reading)
        os.close(writing)
    assert [None] == found


def test_zstandard_is_unpacked_exactly(tmp_path: Path) -> None:
    """Frames large and small, with and without checksum and size, with something to skip between, give every byte."""
    chance = random.Random(1)
    lines = [b'{"id":"%d","x":"%s"}' % (n, b"y" * chance.randrange(2000)) for n in range(3000)]
    skipped = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"
    text = b"".join(line + b"\n" for line in lines)
    packed, at = skipped, 0
    while at < len(text):
        size = chance.choice([1, 100, 5000, 1_000_000])
        packer = zstandard.ZstdCompressor(
            write_checksum=chance.random() < 0.5, write_content_size=chance.random() < 0.5
        )
        packed += packer.compress(text[at : at + size]) + chance.choice([b"", skipped])
        at += size
    (tmp_path / "a.zst").write_bytes(packed)
    with StatementFile(tmp_path / "a.zst") as file:
        assert lines == [line.statement for batch in file.batches() for line in batch.lines]
