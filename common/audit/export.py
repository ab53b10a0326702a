"""An export of the audit: a header, the events, the checkpoints, a last line with both counts. Canonical."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from common.audit.checkpoint import Checkpoint, key_id, parse_checkpoint
from common.audit.event import MAX_LINE, Row, encode, export_line, parse_line
from common.audit.verification import CURES, ChainBroken, Verification, VerificationReport, Witness


def verify_export(
    path: Path, trusted: Mapping[str, bytes] | None = None, witnesses: Iterable[Witness] = (), *, strict: bool = True
) -> VerificationReport:
    """`trusted` are the public keys by id; without it the header's own count. Raises OSError where the file cannot be
    read; whatever is wrong in it is in the report.
    """
    # Two readers of one file, so that neither events nor checkpoints are ever all in memory.
    with path.open("rb") as first, path.open("rb") as second:
        try:
            hub, keys, count = _header(first)
        except ChainBroken as broken:
            return VerificationReport(False, 0, 0, None, broken.problem, broken.code, CURES[broken.code])
        run = Verification(hub, keys if trusted is None else trusted, witnesses, named=keys, strict=strict)
        return run.run(_events(first, count), _checkpoints(second, count))


def _header(file: BinaryIO) -> tuple[str, dict[str, bytes], int]:
    try:
        header = parse_line(file.readline(MAX_LINE))
        if header.pop("answerback_audit") not in (1, 2):
            raise ChainBroken("not an audit export that this program reads: another version")
        keys = {name: bytes.fromhex(public) for name, public in header["keys"].items()}
        hub, count = header["hub"], header["events"]
        if type(hub) is not str or type(count) is not int or any(key_id(keys[name]) != name for name in keys):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ChainBroken("not an audit export: its first line is not the header") from None
    return hub, keys, count


def _events(file: BinaryIO, count: int) -> Iterator[Row]:
    for seq in range(1, count + 1):
        line = file.readline(MAX_LINE)
        if not line:
            raise ChainBroken(f"the file ends before event {seq}", seq)
        try:
            body = json.loads(line)
            row = Row(**{**body, "data": encode(body["data"])})
            if export_line(row).encode() != line:
                raise ValueError("not canonical")
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ChainBroken(f"event {seq} cannot be read", seq, "unreadable") from None
        yield row


def _checkpoints(file: BinaryIO, count: int) -> Iterator[Checkpoint]:
    for _ in range(count + 1):
        file.readline(MAX_LINE)
    signed = 0
    while True:
        try:
            body = parse_line(file.readline(MAX_LINE))
            if "end" in body:
                if body != {"end": {"events": count, "checkpoints": signed}} or file.read(1):
                    raise ValueError
                return
            yield parse_checkpoint(body["checkpoint"])
            signed += 1
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ChainBroken(f"the file's end cannot be read: checkpoint {signed + 1} or the last line") from None
