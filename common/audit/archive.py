"""Archive files of the audit: events that left the database, a file for each range of them.

    line 1   the manifest, canonical JSON: hub, range, the chain's hash before it and at its end, the signed checkpoint
             at its end, size and digest of what follows, when it was made, and the data key that seals it ("": none)
    line 2   who signed line 1, and the signature
    the rest the events, compressed (zlib) and, where the store is sealed, sealed with AES-256-GCM

Whoever has the files and the public key can tell that none is missing, changed, cut or in another's place, without
reading what they say; whoever can open them (the hub) walks over every event too. An event is a line of JSON: at, kind,
subject, actor, data. Its number and its hashes follow from the range and from what it says, so they are not stored.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from common.audit.checkpoint import Checkpoint, is_signed, parse_checkpoint
from common.audit.event import GENESIS_HASH, MAX_LINE, Row, encode, event_bytes
from common.audit.verification import CURES, ChainBroken, VerificationReport, Witness

MAX_HEADER: Final = 16_384
"""Bytes of each of the first two lines."""
_PIECE: Final = 1 << 20
_DOMAIN: Final = b"answerback audit archive 1\n"
_NAME: Final = re.compile(r"audit-(\d{12})-(\d{12})\.archive", re.ASCII)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says of itself; digests and hashes are hex."""

    hub: str
    first: int
    last: int
    previous: str  # the chain's hash before `first`
    hash: str  # at `last`
    checkpoint: Checkpoint  # at `last`
    content: str  # SHA-256 of what follows the two lines
    size: int  # its bytes
    made_at: float
    key: str = ""  # id of the data key; "": not sealed
    wrapped: str = ""  # that key under the ring, as it was then

    @property
    def name(self) -> str:
        return f"audit-{self.first:012d}-{self.last:012d}.archive"

    @property
    def place(self) -> bytes:
        """What its sealed content is bound to."""
        return _DOMAIN + encode([self.hub, self.first, self.last, self.hash]).encode()


class ArchiveFile(NamedTuple):
    first: int
    last: int
    path: Path


def list_archive(folder: Path) -> list[ArchiveFile]:
    """The files of a folder by their names, in order; none where there is no such folder. Raises OSError."""
    if not folder.is_dir():
        return []
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    return sorted(ArchiveFile(int(name[1]), int(name[2]), path) for path, name in named if name is not None)


# ---- lines of events


def event_line(row: Row) -> bytes:
    """Raises TypeError or ValueError where the row is no event."""
    moment = float.__repr__(row.at) if type(row.at) is float else encode(row.at)
    if type(row.data) is not str:
        raise TypeError("not text")
    return f"[{moment},{_quoted(row.kind)},{_quoted(row.subject)},{_quoted(row.actor)},{row.data}]\n".encode()


def read_events(lines: Iterable[bytes], manifest: Manifest) -> Iterator[Row]:
    """The events of a file whose content was opened and decompressed; raises ChainBroken where they are not those that
    the manifest is about.
    """
    seq, head = manifest.first, manifest.previous
    for line in lines:
        try:
            at, kind, subject, actor, data = json.loads(line)
            row = Row(seq, at, kind, subject, actor, encode(data), head, "")
            head = hashlib.sha256(event_bytes(row)).hexdigest()
        except (TypeError, ValueError, RecursionError):
            raise changed(manifest.name, f"event {seq} cannot be read", seq) from None
        if seq > manifest.last:
            break
        yield row._replace(hash=head)
        seq += 1
    if seq != manifest.last + 1 or head != manifest.hash:
        raise changed(manifest.name, "its events are not those that its first line is about", manifest.first)


def split_lines(content: bytes) -> Iterator[bytes]:
    """Decompresses, a bounded piece at a time; raises ValueError where it is not as it was compressed."""
    stream, rest = zlib.decompressobj(), b""
    feed = content
    try:
        while not stream.eof:
            piece = stream.decompress(feed, _PIECE)
            feed = stream.unconsumed_tail
            if not piece and not feed and not stream.eof:
                raise ValueError("it ends too early")
            *whole, rest = (rest + piece).split(b"\n")
            if len(rest) > MAX_LINE:
                raise ValueError("a line is too long")
            yield from whole
    except zlib.error:
        raise ValueError("it cannot be decompressed") from None
    if rest or stream.unused_data:
        raise ValueError("something follows its end")


# ---- a file


def manifest_line(manifest: Manifest) -> bytes:
    body: dict[str, Any] = {
        "answerback_audit_archive": 1,
        **{name: getattr(manifest, name) for name in _PLAIN},
        "checkpoint": _checkpoint_body(manifest.checkpoint),
    }
    return (encode(body) + "\n").encode()


def signed_part(line: bytes) -> bytes:
    """What is signed."""
    return _DOMAIN + line


def signature_line(key: str, signature: bytes) -> bytes:
    return (encode({"key": key, "signature": signature.hex()}) + "\n").encode()


def check_file(path: Path, hub: str, keys: Mapping[str, bytes]) -> Manifest:
    """Reads it whole once: its signature, its checkpoint's, the digest of its content. `hub` may be "": whoever signed
    it says of which hub it is. Raises ChainBroken where it is not as it was written, OSError where it cannot be read.
    """
    with path.open("rb") as file:
        manifest = _read_head(file, path.name, hub, keys)
        digest, size = hashlib.sha256(), 0
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    if size != manifest.size:
        how = "cut off" if size < manifest.size else "longer than it was"
        raise changed(path.name, f"it is {how}: {size} of {manifest.size} bytes", manifest.first)
    if digest.hexdigest() != manifest.content:
        raise changed(path.name, "its content is another one", manifest.first)
    return manifest


def read_content(path: Path, manifest: Manifest) -> bytes:
    """What follows the two lines, of a file that was checked; raises ChainBroken where it changed since, OSError."""
    with path.open("rb") as file:
        file.readline(MAX_HEADER)
        file.readline(MAX_HEADER)
        content = file.read(manifest.size + 1)
    if hashlib.sha256(content).hexdigest() != manifest.content:
        raise changed(path.name, "its content is another one", manifest.first)
    return content


def _read_head(file: BinaryIO, name: str, hub: str, keys: Mapping[str, bytes]) -> Manifest:
    first, second = file.readline(MAX_HEADER), file.readline(MAX_HEADER)
    try:
        manifest, signed = _parse_manifest(first), json.loads(second)
        key, signature = signed["key"], bytes.fromhex(signed["signature"])
        if signature_line(key, signature) != second:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise changed(name, "its first two lines cannot be read") from None
    if hub and manifest.hub != hub:
        raise ChainBroken(f"{name} is of {manifest.hub[:64]!a}, this is {hub}", manifest.first, "other_hub")
    if key not in keys:
        problem = f"{name} is signed with a key that is not trusted: {ascii(str(key)[:32])[1:-1]}"
        raise ChainBroken(problem, manifest.first, "key_replaced")
    mark = manifest.checkpoint
    fits = (mark.seq, mark.hash) == (manifest.last, manifest.hash) and mark.root and mark.key in keys
    if not is_signed(keys[key], signed_part(first), signature):
        raise changed(name, "its signature is bad: it was changed, or is of another hub", manifest.first)
    if not fits or not mark.is_by(manifest.hub, keys[mark.key]):
        raise changed(name, "the checkpoint at its end is bad", manifest.first)
    if manifest.name != name:
        raise changed(name, f"it is {manifest.name}, in the place of another", manifest.first)
    return manifest


_PLAIN: Final = ("hub", "first", "last", "previous", "hash", "content", "size", "made_at", "key", "wrapped")


def _parse_manifest(line: bytes) -> Manifest:
    body = json.loads(line)
    if (encode(body) + "\n").encode() != line or body.pop("answerback_audit_archive") != 1:
        raise ValueError("not canonical, or another version")
    manifest = Manifest(**{**body, "checkpoint": parse_checkpoint(body["checkpoint"])})
    numbers = (manifest.first, manifest.last, manifest.size)
    if any(type(number) is not int for number in numbers) or not 1 <= manifest.first <= manifest.last:
        raise ValueError("not a range")
    if any(type(getattr(manifest, name)) is not str for name in ("hub", "previous", "hash", "content", "key")):
        raise ValueError("not text")
    return manifest


def _checkpoint_body(mark: Checkpoint) -> dict[str, Any]:
    names = ("seq", "hash", "key", "at", "root", "previous")
    return {**{name: getattr(mark, name) for name in names}, "signature": mark.signature.hex()}


def changed(name: str, why: str, seq: int | None = None) -> ChainBroken:
    return ChainBroken(f"the archive's file {name} is not as it was written: {why}", seq, "archive_changed")


def missing(first: int, last: int) -> ChainBroken:
    problem = f"events {first} to {last} are neither in the database nor in the archive"
    return ChainBroken(f"{problem}: audit-{first:012d}-….archive is missing", first, "archive_missing")


# ---- a folder, by whoever has only the files and the key


def verify_archive(folder: Path, keys: Mapping[str, bytes], witnesses: Iterable[Witness] = ()) -> VerificationReport:
    """Every file from event 1 on: whole, signed, each following the one before; and what witnesses have noted at their
    ends. What they say stays closed. Raises OSError.
    """
    head, last, hub = GENESIS_HASH, 0, ""
    signed: dict[int, Checkpoint] = {}
    files = list_archive(folder)
    try:
        for file in files:
            if file.first != last + 1:
                raise (
                    missing(last + 1, file.first - 1)
                    if file.first > last
                    else changed(
                        file.path.name, f"its range begins before {last + 1}, where the file before it ends", file.first
                    )
                )
            manifest = check_file(file.path, hub, keys)
            if manifest.previous != head:
                raise changed(file.path.name, "it does not follow the file before it", file.first)
            head, last, hub = manifest.hash, manifest.last, manifest.hub
            signed[last] = manifest.checkpoint
        seen = _compare(signed, hub, witnesses)
    except ChainBroken as broken:
        cure = CURES[broken.code]
        return VerificationReport(False, last, last, broken.seq, broken.problem, broken.code, cure)
    if not last:
        return VerificationReport(False, 0, 0, None, f"{folder} has no file of an archive", "file", CURES["file"])
    mark = signed[last]
    remarks = (
        f"{len(files)} files of {hub}, events 1 to {last}; what follows is in the hub's database",
        "what the events say was not read: `answerback-hub audit verify` reads them, `audit export` shows them",
    )
    return VerificationReport(True, last, last, root=mark.root, signed_at=mark.at, witnessed_to=seen, remarks=remarks)


def _compare(signed: Mapping[int, Checkpoint], hub: str, witnesses: Iterable[Witness]) -> int:
    seen = 0
    for place in witnesses:
        for of, note in place.notes:
            mark = signed.get(note.seq)
            if of not in ("", hub) or mark is None:
                continue
            if (note.hash, note.root or mark.root) != (mark.hash, mark.root):
                problem = f"{place.name} has a note at {note.seq} that says another history: rewritten since"
                raise ChainBroken(problem, seen + 1, "rewritten")
            seen = max(seen, note.seq)
    return seen
