"""The canonical form: the same as it always was, computed another way."""

from __future__ import annotations

import hashlib
import json

import pytest

from common.audit.event import Row, event_bytes, export_line, parse_line
from common.plan import canonical_json
from tests.common.audit.logs import a_log


def test_the_form_is_canonical_json() -> None:
    """Hash and line are those of the plain definition, with every kind of character."""
    words = 'a"b\\c\n\u00e9\u4e16\U0001f600\x7f'
    row = a_log().rows[4]._replace(subject=words, actor="", at=0.1 + 0.2)
    plain = canonical_json([row.seq, row.at, row.kind, row.subject, row.actor, json.loads(row.data), row.previous])
    assert event_bytes(row) == b"answerback event 1\n" + plain
    body = {**row._asdict(), "data": json.loads(row.data)}
    assert export_line(row).encode() == canonical_json(body) + b"\n"
    assert parse_line(export_line(row).encode()) == body


def test_rows_from_before_keep_their_hash() -> None:
    """Trust: a row that an earlier version wrote verifies for ever; this one was computed by it."""
    row = Row(1, 1000.25, "message.accepted", "r1", "alice", '{"text":"h\\u00e9llo"}', "0" * 64, "")
    assert (
        hashlib.sha256(event_bytes(row)).hexdigest()
        == hashlib.sha256(
            b'answerback event 1\n[1,1000.25,"message.accepted","r1","alice",{"text":"h\\u00e9llo"},"'
            + b"0" * 64
            + b'"]'
        ).hexdigest()
    )


@pytest.mark.parametrize("field", ["seq", "at", "kind", "subject", "actor", "data", "previous"])
def test_a_row_that_is_none_is_refused(field: str) -> None:
    row = a_log().rows[0]._replace(**{field: object()})
    with pytest.raises((TypeError, ValueError)):
        event_bytes(row)


def test_a_line_that_is_not_canonical_is_refused() -> None:
    for line in (b'{"a": 1}\n', b'{"a":1}', b"[1]\n", b'{"b":1,"a":1}\n'):
        with pytest.raises(ValueError):
            parse_line(line)
