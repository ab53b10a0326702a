"""All kept output of a request as one file, read from a real store."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.lifecycle import JOB_TERMINAL, JobState
from hub.chat import output_file
from hub.chat.output_file import has_output, read_output_file
from hub.chat.platforms.base import ReplyFile
from hub.chat.platforms.uploads import MAX_UPLOAD, UploadFile
from hub.core.records import Job, Request, StoredChunk
from hub.store.store import Store
from tests.hub.store.conftest import NOW, Make

CHUNK = 32_768


class Kept:
    """A store with one request's jobs and what they printed."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open("sqlite:///kept.sqlite", folder=folder, clock=lambda: NOW)
        self.make = Make(itertools.count(1))
        self.request: Request = self.store.write_now(lambda txn: txn.add_request(self.make.request()))

    def add(self, *chunks: bytes, size: int | None = None, **more: Any) -> Job:
        ended = NOW if more.get("state") in JOB_TERMINAL else None
        job = self.make.job(self.request, command="df -h", ended_at=ended, **more)
        total = sum(map(len, chunks)) if size is None else size

        def unit(txn: Any) -> None:
            txn.add_jobs([job])
            for seq, data in enumerate(chunks, 1):
                txn.add_chunk(StoredChunk(job.id, seq, 1, data, NOW))
            txn.save_job(job, replace(job, output_bytes=total))

        self.store.write_now(unit)
        return replace(job, output_bytes=total)

    async def file(self) -> UploadFile | None:
        return await read_output_file(self.store, ReplyFile(self.request.id, 42), "en")

    async def text(self) -> str:
        found = await self.file()
        assert found is not None
        return found.data.decode()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.store.close()


async def test_each_machine_has_its_head_and_all_that_it_printed(kept: Kept) -> None:
    """Chunks are joined, also in the middle of a character; what says nothing is left out."""
    first = "盘 /\nnext".encode()
    kept.add(first[:1], first[1:], state=JobState.SUCCEEDED)
    kept.add(b"\n \n", agent="web-2", state=JobState.SUCCEEDED)
    kept.add(agent="web-3", state=JobState.FAILED)
    kept.add(b"\n\nso far\n\n\n", agent="web-4", state=JobState.RUNNING)
    found = await kept.file()
    assert found is not None
    assert (found.name, found.content_type) == ("r42-output.txt", "text/plain; charset=utf-8")
    expected = "==== web-1: df -h (done) ====\n盘 /\nnext\n\n==== web-4: df -h (running) ====\nso far\n\n"
    assert found.data.decode() == expected


async def test_what_a_terminal_would_do_is_done_and_nothing_hides(kept: Kept) -> None:
    """As in chat: no escape sequence, no control, no invisible character; also across two reads."""
    hostile = b"\x1b[31mred\x1b[0m\r\nold\rnew\x00\xff \xe2\x80\xaeevil\n"
    kept.add(*[b"x" * CHUNK] * output_file.CHUNKS, b"\n" + hostile, agent="web\x1b-1")
    text = await kept.text()
    assert "red\nnew\ufffd\ufffd evil\n" in text
    assert "==== web\\x1b-1: " in text
    assert not set(text) & {"\x1b", "\r", "\x00", "\u202e"}


async def test_a_line_that_never_ends_is_read_in_pieces(kept: Kept) -> None:
    """No character is cut in two where a piece ends."""
    line = "好".encode() * 200_000
    kept.add(*[line[at : at + CHUNK] for at in range(0, len(line), CHUNK)])
    assert (await kept.text()).count("好") == 200_000
    assert "\ufffd" not in await kept.text()


async def test_a_file_is_bounded_and_says_how_much_is_missing(kept: Kept) -> None:
    """The rest of the output that was cut, and the outputs behind it; little more than the file is held."""
    chunk = b"a line of some length\n" * 1_489
    for agent in ("web-1", "web-2", "web-3"):
        kept.add(*[chunk] * 100, agent=agent)
    tracemalloc.start()
    try:
        found = await kept.file()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert MAX_UPLOAD - 8_192 < len(found.data) <= MAX_UPLOAD
    text = found.data.decode()
    assert "==== web-2" in text
    assert "==== web-3" not in text
    assert text.splitlines()[-1].startswith("[Cut here: about 5.4 MiB more of r42 had no room")
    assert peak < 3 * MAX_UPLOAD


async def test_a_file_that_just_fits_is_whole(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "==== web-1: df -h (waiting) ====\n"
    monkeypatch.setattr(output_file, "MAX_UPLOAD", output_file.ROOM_FOR_END + len(head) + 10)
    job = kept.add(b"123456789\n")
    assert await kept.text() == head + "123456789\n\n"
    kept.store.write_now(lambda txn: txn.add_chunk(StoredChunk(job.id, 2, 1, b"x", NOW)))
    assert (await kept.text()).startswith(head + "123456789\n\n\n[Cut here: about 1 B more")


async def test_what_was_lost_of_an_output_is_told(kept: Kept) -> None:
    """The cap of the machine, or a loss on the way."""
    capped = kept.add(b"begin", size=9_000_000, truncated=True, output_digest="ab12")
    lossy = kept.add(b"begin", size=9_000_000, agent="web-2", truncated=True, notes=("lost 500",))
    assert (capped.truncated, lossy.truncated) == (True, True)
    one, two = (await kept.text()).split("==== web-2")
    assert "went over its cap: 8.6 MiB in all" in one
    assert "SHA-256 of all of it: ab12]" in one
    assert "begin\n[" in two
    assert "SHA-256" not in two


async def test_nothing_kept_is_no_file(kept: Kept) -> None:
    assert await kept.file() is None
    job = kept.add(b" \n\n", agent="web-2")
    gone = kept.add(size=70, agent="web-3")
    assert await kept.file() is None
    assert not kept.store.read_now(lambda txn: has_output(txn, job) or has_output(txn, gone))
    said = kept.add(b"\x1b[2J\n", b"word", agent="web-4")
    assert kept.store.read_now(lambda txn: has_output(txn, said))
