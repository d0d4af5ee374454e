"""Files of statements, one a line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from collegium_workers.transfer import lines
from collegium_workers.transfer.lines import Batch, FileFaultError, StatementFile

ID = "9dc99b37-e920-4a68-a066-917faca28949"


def read(path: Path, *, skip: tuple[int, int] = (0, 0)) -> list[Batch]:
    with StatementFile(path) as file:
        file.skip(*skip)
        return list(file.batches())


def statements(batches: list[Batch]) -> list[tuple[int, Any]]:
    return [(line.number, msgspec.json.decode(line.statement)) for batch in batches for line in batch.lines]


def pack(path: Path, text: bytes) -> Path:
    match path.suffix:
        case ".gz":
            # Two members, as `cat a.gz b.gz` makes them.
            path.write_bytes(gzip.compress(text[:40]) + gzip.compress(text[40:]))
        case ".zst":
            packer = zstandard.ZstdCompressor()
            path.write_bytes(packer.compress(text[:40]) + packer.compress(text[40:]))
        case _:
            path.write_bytes(text)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_plain_and_compressed_files_say_the_same(tmp_path: Path, name: str) -> None:
    """The name tells the compression; several frames one after the other are one file."""
    text = b"".join(b'{"id":"%s","n":%d}\n' % (ID.encode(), n) for n in range(5))
    assert [(n + 1, {"id": ID, "n": n}) for n in range(5)] == statements(read(pack(tmp_path / name, text)))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_reading_goes_on_in_the_middle(tmp_path: Path, name: str) -> None:
    """Line numbers and offsets are those of the whole file."""
    text = b"".join(b'{"id":"%s","n":%d}\n' % (ID.encode(), n) for n in range(5))
    path = pack(tmp_path / name, text)
    [batch] = read(path, skip=(2, 2 * len(text) // 5))
    assert [(3, 2), (4, 3), (5, 4)] == [(number, value["n"]) for number, value in statements([batch])]
    assert (5, len(text)) == (batch.end, batch.offset)


def test_bytes_are_kept(tmp_path: Path) -> None:
    """Numbers, escapes and white space within a line stay as they are."""
    line = b'{"id":"%s", "x":1e2,"y":"\\u00e9\xc3\xa9" }' % ID.encode()
    assert line == read(pack(tmp_path / "a.jsonl", b"  " + line + b"\r\n"))[0].lines[0].statement


def test_blank_lines_a_byte_order_mark_and_a_missing_last_line_end_do_no_harm(tmp_path: Path) -> None:
    """What editors leave behind is no statement and no fault."""
    text = b'\xef\xbb\xbf{"id":"a"}\r\n\r\n   \n{"id":"b"}'
    [batch] = read(pack(tmp_path / "a.jsonl", text))
    assert [(1, {"id": "a"}), (4, {"id": "b"})] == statements([batch])
    assert () == batch.faults


def test_a_statement_without_id_gets_the_same_one_every_time(tmp_path: Path) -> None:
    """So that importing a file again adds nothing; equal lines are different statements."""
    path = pack(tmp_path / "a.jsonl", b'{"actor":1}\n{"actor":1}\n')
    first, second = (value["id"] for _, value in statements(read(path)))
    assert first != second
    assert [first, second] == [value["id"] for _, value in statements(read(path))]


@pytest.mark.parametrize("line", [b"{", b"[1]", b"nonsense", b'"text"', b'{"a":NaN}', b'{"a":1} {"b":2}', b"\xff\xfe"])
def test_a_line_that_is_no_object_is_told_with_its_number(tmp_path: Path, line: bytes) -> None:
    """The others go on."""
    [batch] = read(pack(tmp_path / "a.jsonl", b'{"id":"a"}\n' + line + b'\n{"id":"c"}\n'))
    assert [1, 3] == [each.number for each in batch.lines]
    [fault] = batch.faults
    assert 2 == fault.number
    assert "is no JSON object" in fault.detail


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"actor":"\xff"}', "it is not UTF-8: invalid start byte"),
        (b'{"actor":' * 100_000 + b"1" + b"}" * 100_000, "it is nested too deeply to be read"),
        (b'{"id":"b","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply to be read"),
    ],
    ids=["no UTF-8", "deep", "deep with id"],
)
def test_a_line_that_no_reader_takes_is_told_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    """Bytes that are no text and great depth are faults of that line, and the others go on."""
    [batch] = read(pack(tmp_path / "a.jsonl", b'{"id":"a"}\n' + line + b'\n{"id":"c"}\n'))
    assert [1, 3] == [each.number for each in batch.lines]
    [fault] = batch.faults
    assert 2 == fault.number
    assert fault.detail.startswith(f"is no JSON object: {reason}")


def test_an_empty_object_is_left_to_the_platform(tmp_path: Path) -> None:
    """It is JSON; why it is no statement the platform says best."""
    assert b"{ }" == read(pack(tmp_path / "a.jsonl", b"{ }\n"))[0].lines[0].statement


def test_a_batch_has_a_limit_in_statements_and_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large statements make small batches."""
    monkeypatch.setattr(lines, "_MOST_STATEMENTS", 4)
    monkeypatch.setattr(lines, "_MOST_BYTES", 100)
    small, large = b'{"id":"a"}\n', b'{"id":"%s"}\n' % (b"x" * 80)
    batches = read(pack(tmp_path / "a.jsonl", small * 6 + large * 3))
    assert [4, 3, 2] == [len(batch.lines) for batch in batches]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by its length, and the next line is read."""
    monkeypatch.setattr(lines, "_LONGEST_LINE", 1000)
    [batch] = read(pack(tmp_path / "a.jsonl", b'{"id":"%s"}\n{"id":"b"}\n' % (b"x" * 700_000)))
    assert [(2, {"id": "b"})] == statements([batch])
    assert "is longer than 1000 bytes" == batch.faults[0].detail


def test_an_empty_file_has_no_batches(tmp_path: Path) -> None:
    """Nothing to do is no fault."""
    assert [] == read(pack(tmp_path / "a.jsonl", b""))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_broken_compression_is_a_clear_error(tmp_path: Path, name: str) -> None:
    """The sentence names file and line; it is no traceback."""
    path = pack(tmp_path / name, b'{"id":"a"}\n' * 5000)
    whole = path.read_bytes()
    for missing in (1, 4, 20, len(whole) // 2):
        path.write_bytes(whole[:-missing])
        with pytest.raises(
            FileFaultError, match=r"cannot be read beyond line \d+: Compressed file ended before the end"
        ):
            read(path)
    path.write_bytes(whole[:-20] + b"garbage that is no frame, or a bad one")
    with pytest.raises(FileFaultError, match=r"cannot be read beyond line \d+"):
        read(path)
    path.write_bytes(whole + b"garbage that is no frame")
    with pytest.raises(FileFaultError, match=r"cannot be read beyond line \d+"):
        read(path)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    """The sentence names it."""
    with pytest.raises(FileFaultError, match=r"absent\.jsonl: No such file"):
        read(tmp_path / "absent.jsonl")
