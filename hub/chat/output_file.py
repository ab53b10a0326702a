"""All kept output of a request as one text file: what `more r42` shows page by page.

It is read when it is posted, a piece at a time, so that little more than the file itself is ever held. Each job has a
line that names its machine and command, then what it printed, cleaned as all output that chat shows; an output that
says nothing is left out. What does not fit is told by the last line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from common.catalogue import Language, translate
from common.machine.end_notes import LOSSES, has_code, note_sentences
from common.text import clean, clean_output, cut_bytes
from hub.chat.platforms.base import ReplyFile
from hub.chat.platforms.uploads import MAX_UPLOAD, UploadFile
from hub.core.chat_text import inline_text, size_text
from hub.core.records import Job, StoredChunk
from hub.store.store import Store
from hub.store.transaction import Txn

CHUNKS: Final = 8  # of an output, read at once: 256 KiB at most
MAX_PIECE: Final = 8 * CHUNKS * 32_768  # characters that they are at most once their tabs are blanks
MAX_LINE: Final = 256 * 1024  # bytes of a line that is cleaned as one
ROOM_FOR_END: Final = 4_096  # bytes for what is said behind the last output


async def read_output_file(store: Store, file: ReplyFile, language: Language) -> UploadFile | None:
    """The file; None where nothing of the output is kept any more."""
    data = bytearray()
    missing = 0
    for job in await store.read(lambda txn: txn.jobs_of(file.request)):
        kept = await _size(store, job.id)
        if missing:
            missing += kept
        elif kept:
            missing = await _append_output(store, data, job, kept, language)
    if not data:
        return None
    if missing:
        end = translate(language, "file_cut", size=size_text(missing), number=file.number)
        data += f"{end}\n".encode()
    return UploadFile(f"r{file.number}-output.txt", bytes(data))


def has_output(txn: Txn, job: Job) -> bool:
    """Whether anything of what it printed is kept; looked for in its beginning."""
    if not job.output_bytes:
        return False
    chunks = txn.chunks(job.id, limit=2)
    return bool(clean_output(b"".join(chunk.data for chunk in chunks), limit=MAX_PIECE).strip())


async def _append_output(store: Store, data: bytearray, job: Job, kept: int, language: Language) -> int:
    """Appends what the job printed, as far as there is room; returns how many bytes had none."""
    state = translate(language, f"job_is_{job.state.value}")
    head = f"==== {clean(job.agent, limit=200)}: {clean(job.command, limit=300)} ({state}) ====\n"
    read = 0
    async for text, size in _pieces(store, job.id):
        read += size
        if head:
            text = text.lstrip("\n")
            if not text.strip():
                continue
            text, head = head + text, ""
        piece = text.encode("utf-8", "replace")
        room = MAX_UPLOAD - ROOM_FOR_END - len(data)
        if len(piece) > room:
            data += cut_bytes(piece, room) + b"\n\n"
            return max(1, kept - read + len(piece) - room)
        data += piece
    if not head:
        while data.endswith(b"\n"):
            del data[-1:]
        notes = [note.render(language) for note in note_sentences(job.notes, clean(job.agent), inline_text)]
        if job.truncated and not has_code(job.notes, LOSSES):
            values = {"total": size_text(job.output_bytes), "digest": job.output_digest}
            notes.append(translate(language, "output_truncated", **values))
        data += "".join(f"\n[{note}]" for note in notes).encode("utf-8", "replace") + b"\n\n"
    return 0


async def _pieces(store: Store, job: str) -> AsyncIterator[tuple[str, int]]:
    """The output, cleaned, in pieces that end with a line, and the bytes that each of them was."""
    after, rest = 0, b""
    while chunks := await _chunks(store, job, after):
        after = chunks[-1].seq
        piece, rest = _at_line_end(rest + b"".join(chunk.data for chunk in chunks))
        if piece:
            yield await asyncio.to_thread(clean_output, piece, limit=MAX_PIECE), len(piece)
    if rest:
        yield await asyncio.to_thread(clean_output, rest, limit=MAX_PIECE), len(rest)


async def _chunks(store: Store, job: str, after: int) -> list[StoredChunk]:
    return await store.read(lambda txn: txn.chunks(job, after_seq=after, limit=CHUNKS))


async def _size(store: Store, job: str) -> int:
    return await store.read(lambda txn: txn.output_size(job))


def _at_line_end(data: bytes) -> tuple[bytes, bytes]:
    """What ends with a line, and the beginning of the next one; a very long line is cut between two characters."""
    at = data.rfind(b"\n") + 1
    if len(data) - at > MAX_LINE:
        at = len(cut_bytes(data, len(data) - 3))
    return data[:at], data[at:]
