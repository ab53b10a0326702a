"""The form of an archive's file: what is bounded, what is refused, and the program that a stranger runs."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from common.audit.archive import (
    MAX_HEADER,
    Manifest,
    check_file,
    event_line,
    list_archive,
    manifest_line,
    read_events,
    signature_line,
    signed_part,
    split_lines,
)
from common.audit.checkpoint import verifier_key
from common.audit.event import GENESIS_HASH, MAX_LINE
from common.audit.verification import ChainBroken
from common.audit.verifier import main
from tests.common.audit.logs import HUB, KEY, a_log

KEYS = {KEY.id: KEY.public}


def written(folder: Path, **more: object) -> Path:
    """The first seven events of a log, which has a checkpoint there; not sealed."""
    log = a_log()
    mark = log.marks[1]
    content = zlib.compress(b"".join(map(event_line, log.rows[: mark.seq])))
    draft = Manifest(HUB, 1, mark.seq, GENESIS_HASH, mark.hash, mark, _digest(content), len(content), 1.0)
    return put(folder, replace(draft, **more), content)  # type: ignore[arg-type]


def put(folder: Path, manifest: Manifest, content: bytes) -> Path:
    first = manifest_line(manifest)
    purpose, _, rest = signed_part(first).partition(b"\n")
    path = folder / manifest.name
    path.write_bytes(first + signature_line(KEY.id, KEY.sign(purpose + b"\n", rest)) + content)
    return path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_was_written_reads_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path)
    manifest = check_file(path, HUB, KEYS)
    assert [(file.first, file.last) for file in list_archive(tmp_path)] == [(1, 7)]
    content = path.read_bytes().split(b"\n", 2)[2]
    rows = list(read_events(split_lines(content), manifest))
    assert rows == a_log().rows[:7]
    assert list_archive(tmp_path / "none") == []


def test_signed_content_that_is_not_the_events_is_refused(tmp_path: Path) -> None:
    """The digest fits, and the events are others than the chain has: whoever can read them sees it."""
    log = a_log()
    manifest = check_file(written(tmp_path), HUB, KEYS)
    lines = [event_line(row).rstrip(b"\n") for row in log.rows[:7]]
    for spoilt, said in (
        (lines[:-1], "its events are not those"),
        ([*lines, lines[0]], "its events are not those"),
        ([lines[1], lines[0], *lines[2:]], "its events are not those"),
        ([b"[1]", *lines[1:]], "event 1 cannot be read"),
        ([b"[" * 100_000, *lines[1:]], "event 1 cannot be read"),
    ):
        with pytest.raises(ChainBroken, match=said):
            list(read_events(spoilt, manifest))


def test_nothing_is_decompressed_beyond_a_line(tmp_path: Path) -> None:
    """A gigabyte of one line is refused long before it is in memory; so is what ends early, or goes on."""
    bomb = zlib.compressobj(9)
    content = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    good = zlib.compress(b"a\nb\n")
    for data, said in (
        (content, "a line is too long"),
        (good[:-6], "it ends too early"),
        (good + b"x", "something follows its end"),
        (zlib.compress(b"a\nb"), "something follows its end"),
        (b"no stream", "cannot be decompressed"),
    ):
        with pytest.raises(ValueError, match=said):
            list(split_lines(data))
    assert list(split_lines(good)) == [b"a", b"b"]
    assert len(next(split_lines(zlib.compress(b"x" * (MAX_LINE - 1) + b"\n")))) == MAX_LINE - 1


def test_first_lines_are_bounded_and_strict(tmp_path: Path) -> None:
    path = written(tmp_path)
    first, second, rest = path.read_bytes().split(b"\n", 2)
    body = json.loads(first)
    for spoilt in (
        b"x" * (MAX_HEADER + 1),
        b"[]",
        b"{}",
        first.replace(b'"first":1', b'"first": 1'),
        json.dumps({**body, "first": True}, sort_keys=True, separators=(",", ":")).encode(),
        json.dumps({**body, "more": 1}, sort_keys=True, separators=(",", ":")).encode(),
        first.replace(b'_archive":1', b'_archive":2'),
    ):
        path.write_bytes(b"\n".join((spoilt, second, rest)))
        with pytest.raises(ChainBroken, match="its first two lines cannot be read"):
            check_file(path, HUB, KEYS)


def test_a_file_whose_checkpoint_is_of_elsewhere_is_refused(tmp_path: Path) -> None:
    log = a_log()
    for mark in (log.marks[0], replace(log.marks[1], signature=bytes(64)), replace(log.marks[1], root="")):
        path = written(tmp_path, checkpoint=mark)
        with pytest.raises(ChainBroken, match="the checkpoint at its end is bad"):
            check_file(path, HUB, KEYS)


def test_the_program_takes_the_folder_and_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, key = written(tmp_path), verifier_key(HUB, KEY.public)
    notes = tmp_path / "notes"
    notes.write_text(a_log().marks[1].line(HUB, KEY.public))
    assert main(["--archive", str(tmp_path), "--key", key, "--witness", str(notes)]) == 0
    told = capsys.readouterr().out
    assert "the audit holds: 7 rows" in told
    assert "seen outside up to row 7" in told
    assert "note: 1 files of" in told
    with pytest.raises(SystemExit):
        main(["--archive", str(tmp_path)])
    capsys.readouterr()
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["--archive", str(tmp_path), "--key", key]) == 1
    assert f"{path.name} is not as it was written: it is cut off" in capsys.readouterr().out
    path.unlink()
    assert main(["--archive", str(tmp_path), "--key", key]) == 1
