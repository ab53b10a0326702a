"""agent.runner.spool"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from agent.reserve import Reserve
from agent.runner import spool as module
from agent.runner.evidence import OUTPUT_SUFFIX, Evidence
from agent.runner.limits import RunnerLimits
from agent.runner.spool import (
    EMPTY_DIGEST,
    MAX_STREAM_SWITCHES,
    OutputWriter,
    Spool,
    SpoolChunk,
    count_chunks,
    find_chunk,
    read_chunk,
)
from common.link.messages import CHUNK_BYTES

JOBS = ["01ARZ3NDEKTSV4RRFFQ69G5FA" + char for char in "0123456789"]
JOB = JOBS[0]


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Evidence]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield Evidence(folder)
    os.close(folder)


@pytest.fixture
def spool(evidence: Evidence) -> Spool:
    return Spool(evidence, 1 << 30)


def chunks(evidence: Evidence, job: str = JOB) -> list[SpoolChunk]:
    found: list[SpoolChunk] = []
    offset = 0
    while (chunk := read_chunk(evidence, job, offset)) is not None:
        found.append(chunk)
        offset += chunk.size
    return found


def written(spool: Spool, job: str, size: int) -> OutputWriter:
    """The output of a job that wrote so much and ended."""
    output = OutputWriter(spool, job, size)
    output.write(1, b"x" * size, 1.0)
    output.flush(1.0, 1.0)
    output.close()
    spool.mark_ended(job)
    return output


def test_what_is_written_is_read_back(spool: Spool, evidence: Evidence) -> None:
    """A chunk keeps its stream, its time and its bytes."""
    output = OutputWriter(spool, JOB, 100)
    output.write(1, b"out", 5.0)
    output.flush(5.5, 0.0)
    output.write(2, b"err", 6.0)
    output.flush(6.5, 0.0)
    output.close()
    assert [(c.stream, c.at, c.data) for c in chunks(evidence)] == [(1, 5.5, b"out"), (2, 6.5, b"err")]
    assert output.chunks == 2
    assert not output.truncated


def test_nothing_written_leaves_no_file(spool: Spool, evidence: Evidence) -> None:
    """Most commands that say nothing cost no file, and have the digest of nothing."""
    output = OutputWriter(spool, JOB, 100)
    output.flush(1.0, 1.0)
    output.close()
    assert evidence.jobs() == {}
    assert output.digest() == EMPTY_DIGEST


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 70_000), st.booleans()), max_size=12),
    st.integers(0, 150_000),
)
def test_chunks_are_bounded_numbered_and_hashed(reads: list[tuple[int, int, bool]], cap: int) -> None:
    """Whatever is read: chunks of at most the size, the kept part of it all up to the cap, the digest of the whole."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            evidence = Evidence(descriptor)
            output = OutputWriter(Spool(evidence, 1 << 30), JOB, cap)
            streams: dict[int, bytes] = {1: b"", 2: b""}
            for index, (stream, size, flush) in enumerate(reads):
                data = bytes([index]) * size
                streams[stream] += data
                output.write(stream, data, 0.0)
                if flush:
                    output.flush(0.0, 0.0)
            output.flush(0.0, 0.0)
            output.close()
            found = chunks(evidence)
            total = sum(map(len, streams.values()))
            kept = b"".join(chunk.data for chunk in found)
            assert all(0 < len(chunk.data) <= CHUNK_BYTES for chunk in found)
            assert output.chunks == len(found)
            assert output.total_bytes == total
            assert len(kept) == min(cap, total)
            assert output.truncated == (total > cap)
            for stream in (1, 2):
                mine = b"".join(chunk.data for chunk in found if chunk.stream == stream)
                assert streams[stream].startswith(mine)
            if total <= cap:
                assert output.digest() == hashlib.sha256(kept).hexdigest()
        finally:
            os.close(descriptor)


def test_the_digest_covers_what_was_not_kept(spool: Spool) -> None:
    """A reader of the truncated output can still compare the whole."""
    output = OutputWriter(spool, JOB, 10)
    for part in (b"a" * 6, b"b" * 6, b"c" * 100_000):
        output.write(1, part, 0.0)
    output.flush(0.0, 0.0)
    output.close()
    assert output.truncated
    assert output.digest() == hashlib.sha256(b"a" * 6 + b"b" * 6 + b"c" * 100_000).hexdigest()


def test_changes_between_the_streams_keep_their_order(spool: Spool, evidence: Evidence) -> None:
    """Lines of output and errors stand as they were read, also when nothing was flushed between."""
    output = OutputWriter(spool, JOB, 100)
    for stream, text in ((1, b"1"), (2, b"2"), (2, b"3"), (1, b"4")):
        output.write(stream, text, 0.0)
    output.flush(0.0, 0.0)
    output.close()
    assert [(c.stream, c.data) for c in chunks(evidence)] == [(1, b"1"), (2, b"23"), (1, b"4")]


def test_endless_changes_between_the_streams_do_not_make_endless_chunks(spool: Spool) -> None:
    """A program that writes single bytes to both streams in turn does not become a message a byte."""
    output = OutputWriter(spool, JOB, 1 << 20)
    for _ in range(20_000):
        output.write(1, b"o", 0.0)
        output.write(2, b"e", 0.0)
    output.flush(0.0, 0.0)
    output.close()
    assert output.chunks <= MAX_STREAM_SWITCHES + 4
    assert output.total_bytes == 40_000
    assert not output.truncated


def test_the_first_output_is_due_at_once_and_the_next_a_little_later(spool: Spool) -> None:
    """Live output is live, and a stream of small writes travels together."""
    output = OutputWriter(spool, JOB, 100)
    output.write(1, b"a", 0.0)
    assert output.flush_due_at(100.0, 0.05) == 100.0
    output.flush(0.0, 100.0)
    output.write(1, b"b", 0.0)
    assert output.flush_due_at(100.01, 0.05) == pytest.approx(100.05)
    assert output.flush_due_at(101.0, 0.05) == 101.0
    output.close()


def test_a_chunk_is_found_by_its_number(spool: Spool, evidence: Evidence) -> None:
    """After a reconnect the story goes on at any chunk; a number past the end leads to the end."""
    output = OutputWriter(spool, JOB, 1 << 20)
    for number in range(1, 11):
        output.write(1, b"x" * number, 0.0)
        output.flush(0.0, 0.0)
    output.close()
    for number in range(1, 11):
        offset, found = find_chunk(evidence, JOB, number)
        chunk = read_chunk(evidence, JOB, offset)
        assert found == number
        assert chunk is not None
        assert len(chunk.data) == number
    assert find_chunk(evidence, JOB, 99) == (output.size, 11)
    assert find_chunk(evidence, JOBS[1], 5) == (0, 1)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_gives_only_chunks_that_are_whole(data: DataObject) -> None:
    """After a crash of the machine the beginning that is left is used, and no byte of what was lost or changed."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            evidence = Evidence(descriptor)
            output = OutputWriter(Spool(evidence, 1 << 30), JOB, 1 << 20)
            for number in range(3):
                output.write(1, bytes([65 + number]) * 20, 0.0)
                output.flush(0.0, 0.0)
            output.close()
            path = Path(folder) / f"{JOB}{OUTPUT_SUFFIX}"
            raw = bytearray(path.read_bytes())
            index = data.draw(st.integers(0, len(raw) - 1))
            raw[index] ^= data.draw(st.integers(1, 255))
            path.write_bytes(raw[: data.draw(st.integers(index, len(raw)))])
            whole = index // (len(raw) // 3)
            assert [chunk.data for chunk in chunks(evidence)[:whole]] == [bytes([65 + n]) * 20 for n in range(whole)]
            assert all(len(set(chunk.data)) == 1 for chunk in chunks(evidence))
            assert count_chunks(evidence, JOB, 3) == len(chunks(evidence))
        finally:
            os.close(descriptor)


def test_over_the_quota_the_oldest_ended_output_goes_first(evidence: Evidence, tmp_path: Path) -> None:
    """Room is made by dropping output of what ended longest ago, never of what runs."""
    spool = Spool(evidence, 3_000)
    running = OutputWriter(spool, JOBS[0], 10_000)
    running.write(1, b"r" * 900, 0.0)
    running.flush(0.0, 0.0)
    written(spool, JOBS[1], 900)
    written(spool, JOBS[2], 900)
    written(spool, JOBS[3], 900)
    assert {job for job in JOBS if spool.has(job)} == {JOBS[0], JOBS[2], JOBS[3]}
    assert not (tmp_path / f"{JOBS[1]}{OUTPUT_SUFFIX}").exists()
    assert spool.used <= 3_000
    running.close()


def test_where_nothing_may_be_dropped_output_is_cut(evidence: Evidence) -> None:
    """Running jobs alone over the quota: they run on, their output is counted, hashed and not kept."""
    spool = Spool(evidence, 1_000)
    output = OutputWriter(spool, JOB, 10_000)
    for _ in range(5):
        output.write(1, b"x" * 400, 0.0)
        output.flush(0.0, 0.0)
    output.close()
    assert output.truncated
    assert output.chunks == 2
    assert output.total_bytes == 2_000
    assert output.digest() == hashlib.sha256(b"x" * 2_000).hexdigest()


def test_the_digest_keeps_the_order_where_room_ends_in_the_middle_of_a_read(evidence: Evidence) -> None:
    """What was waiting in the buffer is hashed before what comes next, kept or not."""
    output = OutputWriter(Spool(evidence, 50_000), JOB, 1 << 20)
    whole = bytes(range(250)) * 400
    for start in range(0, len(whole), 40_000):
        output.write(1, whole[start : start + 40_000], 0.0)
    output.flush(0.0, 0.0)
    output.close()
    assert output.truncated
    assert output.chunks == 1
    assert output.digest() == hashlib.sha256(whole).hexdigest()


def test_a_full_disk_drops_old_output_then_cuts(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room on the disk nothing fails: the old goes, then the new is not kept; what is kept stays whole."""
    spool = Spool(evidence, 1 << 30, limits=RunnerLimits(memory_share=0))
    written(spool, JOBS[1], 500)
    output = OutputWriter(spool, JOB, 10_000)
    output.write(1, b"first", 0.0)
    output.flush(0.0, 0.0)
    real = os.pwrite

    def full(file: int, data: bytes, offset: int) -> int:
        real(file, data[:7], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "pwrite", full)
    output.write(1, b"second", 0.0)
    output.flush(0.0, 0.0)
    monkeypatch.undo()
    output.close()
    assert not spool.has(JOBS[1])
    assert (output.truncated, output.lost_bytes) == (True, 6)
    assert [chunk.data for chunk in chunks(evidence)] == [b"first"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_no_disk_takes_is_kept_in_memory_up_to_a_share(
    number: int, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks on disk and in memory are read back by their numbers; what is over the share is counted as lost, what is
    over the cap is not; the digest is of everything; and the memory is free again when the job is forgotten.
    """
    spool = Spool(evidence, 1 << 30, limits=RunnerLimits(memory_share=100, memory_quota=150))
    output = OutputWriter(spool, JOB, 300)
    output.write(1, b"disk", 0.0)
    output.flush(0.0, 0.0)

    def broken(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "pwrite", broken)
    parts = [b"a" * 60, b"b" * 40, b"c" * 90, b"d" * 200]
    for part in parts:
        output.write(2, part, 1.0)
        output.flush(1.0, 0.0)
    monkeypatch.undo()
    output.close()
    assert (output.chunks, output.in_memory, output.truncated) == (3, True, True)
    assert output.lost_bytes == 300 - 4 - 100
    assert output.total_bytes == 394
    assert output.digest() == hashlib.sha256(b"disk" + b"".join(parts)).hexdigest()
    offset, _ = find_chunk(evidence, JOB, 2)
    found = [spool.read(JOB, 1, 0), *(spool.read(JOB, number, offset) for number in (2, 3, 4))]
    assert [chunk and (chunk.stream, chunk.data) for chunk in found] == [
        (1, b"disk"),
        (2, b"a" * 60),
        (2, b"b" * 40),
        None,
    ]
    assert not spool.keep_in_memory(JOBS[1], 1, 1, b"x" * 51, 0.0), "over the quota of all"
    spool.remove(JOB)
    assert spool.memory_used == 0


def test_the_reserve_is_for_small_outputs(tmp_path: Path, evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job may take from it for its first bytes only: a flood would eat what the next `df` needs."""
    folder = os.open(tmp_path, os.O_RDONLY)
    reserve = Reserve(folder)
    reserve.refill()
    limits = RunnerLimits(reserve_share=100, memory_share=0)
    output = OutputWriter(Spool(evidence, 1 << 30, reserve=reserve, limits=limits), JOB, 1 << 20)
    real, left = os.pwrite, reserve.pieces

    def full(file: int, data: bytes, offset: int) -> int:
        if reserve.pieces == left:
            raise OSError(errno.ENOSPC, "full")
        return real(file, data, offset)

    for expected in (1, 2, 2):
        left = reserve.pieces
        monkeypatch.setattr(module.os, "pwrite", full)
        output.write(1, b"x" * 60, 0.0)
        output.flush(0.0, 0.0)
        monkeypatch.undo()
        assert output.chunks == expected
    assert output.lost_bytes == 60
    output.close()
    os.close(folder)


def test_forgotten_output_frees_its_share(spool: Spool) -> None:
    """The quota counts what is there, not what has ever been."""
    written(spool, JOBS[1], 500)
    assert spool.used > 500
    spool.remove(JOBS[1])
    spool.remove(JOBS[1])
    assert spool.used == 0


def split_output(spool: Spool, cap: int, first: bytes, second: bytes) -> tuple[OutputWriter, OutputWriter]:
    """One writer that takes both parts, and one that goes on behind the first where another has stopped."""
    whole, before = OutputWriter(spool, JOBS[1], cap), OutputWriter(spool, JOBS[2], cap)
    for writer in (whole, before):
        writer.write(1, first, 1.0)
        writer.flush(1.0, 1.0)
    state = before.state()
    before.close()
    spool.remove(JOBS[2])
    after = OutputWriter.resume(spool, JOBS[2], state)
    for writer in (whole, after):
        writer.write(2, second, 2.0)
        writer.flush(2.0, 2.0)
        writer.close()
    return whole, after


@pytest.mark.parametrize("first", [b"", b"abc", b"x" * 70_000], ids=len)
def test_another_process_goes_on_with_an_output(spool: Spool, evidence: Evidence, first: bytes) -> None:
    """The file, the counts and the digest are those of one writer; the quota knows it."""
    whole, after = split_output(spool, 100_000, first, b"y" * 10_000)
    assert [(chunk.stream, chunk.data) for chunk in chunks(evidence, JOBS[2])] == [
        (chunk.stream, chunk.data) for chunk in chunks(evidence, JOBS[1])
    ]
    assert after.digest() == whole.digest() == hashlib.sha256(first + b"y" * 10_000).hexdigest()
    assert (after.chunks, after.total_bytes, after.size, after.truncated, after.rehashed) == (
        whole.chunks, whole.total_bytes, whole.size, False, False,
    )  # fmt: skip
    assert spool.used == whole.size + after.size


def test_what_was_not_stored_is_hashed_by_its_digest(spool: Spool) -> None:
    """Past the cap, and so again in a third process; the cap holds across them."""
    _, after = split_output(spool, 10, b"x" * 100, b"y" * 50)
    assert (after.truncated, after.chunks, after.total_bytes, after.rehashed) == (True, 1, 150, True)
    first = hashlib.sha256(b"x" * 100)
    assert after.digest() == hashlib.sha256(first.digest() + b"y" * 50).hexdigest()
    third = OutputWriter.resume(spool, JOBS[2], after.state())
    assert third.rehashed
    assert third.digest() != after.digest()
    third.close()


def test_an_output_whose_file_is_gone_is_counted_on(spool: Spool, evidence: Evidence) -> None:
    """Nothing is written over; that it is not whole is told."""
    writer = OutputWriter(spool, JOB, 100)
    writer.write(1, b"abc", 1.0)
    writer.flush(1.0, 1.0)
    state = writer.state()
    writer.close()
    evidence.unlink(JOB, OUTPUT_SUFFIX)
    after = OutputWriter.resume(spool, JOB, state)
    after.write(1, b"def", 2.0)
    after.flush(2.0, 2.0)
    assert (after.truncated, after.rehashed, after.total_bytes, after.chunks) == (True, True, 6, 1)
    assert evidence.size(JOB, OUTPUT_SUFFIX) == 0
