"""The audit: whatever is done to a chain, its checkpoints or its export is found, and the first bad row is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity.signing import CHECKPOINT_PURPOSE, ORDER_PURPOSE, SigningKey
from common.plan import canonical_json
from hub.core.audit_chain import (
    GENESIS,
    MAX_DATA,
    MAX_FIELD,
    AuditRow,
    ChainHead,
    Checkpoint,
    chain_event,
    checkpoint_bytes,
    export,
    extend,
    to_event,
    verify,
    verify_file,
)
from tests.each import each_of

KEY = SigningKey.generate()
KEYS = {KEY.id: KEY.public}
HUB = "hub-1"
COUNT = 9
SIGNED = (3, 7)


def chain(count: int = COUNT, first: str = "message.accepted") -> list[AuditRow]:
    rows: list[AuditRow] = []
    head = GENESIS
    for number in range(count):
        data = {"number": number, "text": "héllo 世界", "nested": {"b": [1, 2.5, None], "a": True}}
        rows.append(
            extend(head, 1000.25 + number, first if number == 0 else "job.started", f"r{number}", "alice", data)
        )
        head = ChainHead(rows[-1].seq, rows[-1].hash)
    return rows


def signed(rows: list[AuditRow], *seqs: int, key: SigningKey = KEY, hub: str = HUB) -> list[Checkpoint]:
    return [
        Checkpoint(
            seq,
            rows[seq - 1].hash,
            key.sign(CHECKPOINT_PURPOSE, checkpoint_bytes(hub, seq, rows[seq - 1].hash, 2000.0 + seq)),
            key.id,
            2000.0 + seq,
        )
        for seq in seqs
    ]


ROWS = chain()
MARKS = signed(ROWS, *SIGNED)


def test_a_chain_holds_and_says_how_far_it_is_signed() -> None:
    """A whole chain verifies, as stored rows and as records, and the report says up to where it is signed."""
    for events in (ROWS, [to_event(row) for row in ROWS]):
        report = verify(events, MARKS, KEYS, hub=HUB)
        assert report.ok, report.problem
        assert (report.checked, report.signed_to, report.first_bad_seq) == (COUNT, 7, None)


def test_the_hash_is_over_the_canonical_list_of_everything() -> None:
    """The hash can be computed again by anyone from the documented form alone."""
    import hashlib

    row = ROWS[4]
    body = canonical_json([row.seq, row.at, row.kind, row.subject, row.actor, json.loads(row.data), row.previous])
    assert row.hash == hashlib.sha256(b"answerback event 1\n" + body).hexdigest()
    assert row.previous == ROWS[3].hash
    assert ROWS[0].previous == "0" * 64


def test_an_empty_chain_is_whole() -> None:
    """Nothing written yet is nothing wrong; a checkpoint over nothing is."""
    assert verify([], [], KEYS, hub=HUB).ok
    report = verify([], MARKS, KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq) == (False, 1)


def flipped(value: Any) -> Any:
    if isinstance(value, str):
        return chr(ord(value[0]) ^ 1) + value[1:]
    return value + 1


@pytest.mark.parametrize("field", [name for name in AuditRow._fields if name != "seq"])
@pytest.mark.parametrize("index", range(COUNT))
def test_every_field_of_every_row_is_covered(index: int, field: str) -> None:
    """A change in any field of any row is found and that row is named."""
    row = ROWS[index]._replace(**{field: flipped(getattr(ROWS[index], field))})
    report = verify([*ROWS[:index], row, *ROWS[index + 1 :]], MARKS, KEYS, hub=HUB)
    assert not report.ok
    # A row's own hash is also what the next row follows; either way the first bad row is this one.
    assert report.first_bad_seq == index + 1
    assert report.checked == index


@each_of("index", range(COUNT))
def test_every_byte_of_the_stored_data_is_covered(index: int) -> None:
    """Even a change that JSON reads as the same value (the case of an escape) is found in the stored text."""
    row = ROWS[index]
    assert "\\u4e16" in row.data
    same_value = row._replace(data=row.data.replace("\\u4e16", "\\u4E16"))
    assert json.loads(same_value.data) == json.loads(row.data)
    report = verify([*ROWS[:index], same_value, *ROWS[index + 1 :]], MARKS, KEYS, hub=HUB)
    assert report.first_bad_seq == index + 1


@each_of("index", range(COUNT))
def test_a_deleted_row_is_named(index: int) -> None:
    """A missing row is named, the last ones by the checkpoint that was signed after them."""
    report = verify([*ROWS[:index], *ROWS[index + 1 :]], signed(ROWS, *SIGNED, COUNT), KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq) == (False, index + 1)


@each_of("index", range(COUNT - 1))
def test_swapped_rows_are_named(index: int) -> None:
    """Two rows in each other's place are found, moved whole or with their numbers put right."""
    one, two = ROWS[index], ROWS[index + 1]
    moved = [*ROWS[:index], two, one, *ROWS[index + 2 :]]
    assert verify(moved, MARKS, KEYS, hub=HUB).first_bad_seq == index + 1
    renumbered = [*ROWS[:index], two._replace(seq=one.seq), one._replace(seq=two.seq), *ROWS[index + 2 :]]
    assert verify(renumbered, MARKS, KEYS, hub=HUB).first_bad_seq == index + 1


@each_of("index", range(COUNT))
def test_an_inserted_row_is_named(index: int) -> None:
    """A row put in between, hashed properly, does not fit what follows it, or the checkpoint in its place."""
    head = ChainHead(index, ROWS[index - 1].hash) if index else GENESIS
    forged = extend(head, 1.0, "job.started", "r", "mallory", {})
    report = verify([*ROWS[:index], forged, *ROWS[index:]], MARKS, KEYS, hub=HUB)
    stretch = {3: 1, 7: 4}  # a forged row under a checkpoint: somewhere behind the one before
    assert (report.ok, report.first_bad_seq) == (False, stretch.get(index + 1, index + 2))


@each_of("index", range(COUNT - 1))
def test_a_rewritten_row_with_its_own_hash_put_right_is_found_by_the_next(index: int) -> None:
    """A forged row that is hashed properly is not the one that the next row follows."""
    head = ChainHead(index, ROWS[index - 1].hash) if index else GENESIS
    forged = extend(head, ROWS[index].at, ROWS[index].kind, ROWS[index].subject, "mallory", {})
    report = verify([*ROWS[:index], forged, *ROWS[index + 1 :]], [], KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq, report.checked) == (False, index + 2, index + 1)
    assert "does not follow" in report.problem


@each_of("left", range(COUNT))
def test_a_cut_tail_is_found_back_to_the_last_checkpoint(left: int) -> None:
    """A chain cut before its last checkpoint is found; of what was never signed the report says that it is not."""
    report = verify(ROWS[:left], MARKS, KEYS, hub=HUB)
    if left < SIGNED[-1]:
        assert (report.ok, report.first_bad_seq) == (False, left + 1)
    else:
        assert (report.ok, report.checked, report.signed_to) == (True, left, SIGNED[-1])


def test_a_chain_linked_anew_is_found_by_its_checkpoint() -> None:
    """Who rewrites a row and every hash behind it is found by the next checkpoint; the row is in the stretch named."""
    again = chain(first="message.forged")
    report = verify(again, signed(ROWS, *SIGNED), KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq, report.signed_to) == (False, 1, 0)
    tail = ROWS[:4]
    for row in ROWS[4:]:
        head = ChainHead(tail[-1].seq, tail[-1].hash)
        tail.append(extend(head, row.at, row.kind, row.subject, "mallory", json.loads(row.data)))
    report = verify(tail, MARKS, KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq, report.signed_to) == (False, 4, 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda mark: replace(mark, signature=bytes([mark.signature[0] ^ 1]) + mark.signature[1:]),
        lambda mark: replace(mark, at=mark.at + 1),
        lambda mark: replace(mark, hash="f" * 64),
        lambda mark: replace(mark, key="0" * 16),
        lambda mark: replace(mark, seq=mark.seq - 1),
        lambda mark: replace(mark, signature=b""),
        lambda mark: replace(
            mark, signature=KEY.sign(ORDER_PURPOSE, checkpoint_bytes(HUB, mark.seq, mark.hash, mark.at))
        ),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_bad_checkpoint_is_found(spoil: Callable[[Checkpoint], Checkpoint], which: int) -> None:
    """A checkpoint changed in any field, or signed for another purpose, is no checkpoint, and the report says which."""
    marks = list(MARKS)
    marks[which] = spoil(marks[which])
    report = verify(ROWS, marks, KEYS, hub=HUB)
    assert not report.ok
    assert "checkpoint" in report.problem
    assert report.signed_to == (0 if which == 0 else SIGNED[0])


def test_checkpoints_of_another_hub_or_key_or_order_do_not_count() -> None:
    """A checkpoint vouches only for its own hub, with a trusted key, in its place."""
    assert not verify(ROWS, MARKS, KEYS, hub="hub-2").ok
    assert not verify(ROWS, signed(ROWS, 3, key=SigningKey.generate()), KEYS, hub=HUB).ok
    assert not verify(ROWS, MARKS[::-1], KEYS, hub=HUB).ok
    assert not verify(ROWS, [MARKS[0], MARKS[0]], KEYS, hub=HUB).ok


def test_a_bad_row_is_named_before_a_bad_checkpoint() -> None:
    """Where both are spoilt the report names the row."""
    rows = [*ROWS[:7], ROWS[7]._replace(actor="mallory"), ROWS[8]]
    marks = [MARKS[0], replace(MARKS[1], signature=b"x" * 64)]
    assert verify(rows, marks, KEYS, hub=HUB).first_bad_seq == 8


@pytest.mark.parametrize(
    "value", [b"bytes", None, 5, "{not json", "[" * 100_000], ids=["bytes", "null", "number", "text", "deep"]
)
def test_a_row_that_cannot_be_read_is_named(value: Any) -> None:
    """Stored values of the wrong kind are a bad row, not a crash."""
    report = verify([*ROWS[:2], ROWS[2]._replace(data=value), *ROWS[3:]], MARKS, KEYS, hub=HUB)
    assert (report.ok, report.first_bad_seq) == (False, 3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(st.tuples(st.floats(0, 4e9), st.text(), st.text(), st.dictionaries(st.text(), json_values)), max_size=6)
)
def test_any_event_that_was_written_verifies_again(told: list[tuple[float, str, str, dict[str, Any]]]) -> None:
    """Whatever strangers' words and data are told, the chain of them verifies, read back as rows or as records."""
    rows: list[AuditRow] = []
    for at, subject, actor, data in told:
        head = ChainHead(rows[-1].seq, rows[-1].hash) if rows else GENESIS
        rows.append(extend(head, at, "x.y", subject, actor, data))
    assert verify(rows, [], {}, hub=HUB).ok
    assert verify([to_event(row) for row in rows], [], {}, hub=HUB).ok


@given(st.data())
def test_any_tampering_is_found(data: st.DataObject) -> None:
    """Any mix of changes to rows that leaves something changed is found at or before its first change."""
    rows = list(ROWS)
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(rows) - 1))
        act = data.draw(st.sampled_from(["flip", "delete", "swap", "copy", "cut"]))
        if act == "flip":
            field = data.draw(st.sampled_from(AuditRow._fields))
            rows[index] = rows[index]._replace(**{field: flipped(getattr(rows[index], field))})
        elif act == "delete" and len(rows) > 1:
            del rows[index]
        elif act == "swap":
            other = data.draw(st.integers(0, len(rows) - 1))
            rows[index], rows[other] = rows[other], rows[index]
        elif act == "copy":
            rows.insert(index, rows[data.draw(st.integers(0, len(rows) - 1))])
        elif act == "cut" and index:
            del rows[index:]
    report = verify(rows, signed(ROWS, *SIGNED, COUNT), KEYS, hub=HUB)
    if rows == ROWS:
        assert report.ok
    else:
        first = next((at for at, (was, now) in enumerate(zip(ROWS, rows, strict=False)) if was != now), None)
        if first is None:
            first = min(len(rows), COUNT)
        assert not report.ok
        assert report.first_bad_seq == first + 1


@given(st.text(max_size=2 * MAX_FIELD))
def test_a_strangers_words_never_stop_the_audit(word: str) -> None:
    """Subjects and actors are cut and made storable: no NUL, nothing that UTF-8 cannot hold."""
    row = extend(GENESIS, 1.0, "x.y", word, word, {})
    assert "\0" not in row.subject
    assert len(row.subject) <= MAX_FIELD
    row.subject.encode()
    assert chain_event(GENESIS, 1.0, "x.y", word, word, {}).subject == row.subject


@pytest.mark.parametrize(
    "data",
    [
        {1: "a"},
        {"a": {2: 3}},
        {"a": [{None: 1}]},
        {"a": float("nan")},
        {"a": object()},
        {"a": b"x"},
        {"a": "x" * MAX_DATA},
    ],
    ids=["int-key", "deep-int-key", "null-key", "nan", "object", "bytes", "large"],
)
def test_data_that_would_not_verify_is_refused(data: Any) -> None:
    """Data that JSON would not give back as it was, or that is too large, is refused when it is told."""
    with pytest.raises((ValueError, TypeError)):
        extend(GENESIS, 1.0, "x.y", "s", "a", data)


def exported(path: Path, rows: list[AuditRow] = ROWS, marks: list[Checkpoint] = MARKS) -> list[bytes]:
    path.write_text("".join(export(rows, marks, KEYS, hub=HUB, count=len(rows))))
    return path.read_bytes().splitlines(keepends=True)


def test_an_export_verifies_without_the_hub(tmp_path: Path) -> None:
    """A stranger verifies the file alone, with the header's keys or with those that he trusts."""
    file = tmp_path / "audit.jsonl"
    lines = exported(file)
    assert len(lines) == 1 + COUNT + len(SIGNED) + 1
    for trusted in (None, KEYS):
        report = verify_file(file, trusted)
        assert (report.ok, report.checked, report.signed_to) == (True, COUNT, 7), report.problem
    other = SigningKey.generate()
    assert not verify_file(file, {other.id: other.public}).ok


def test_every_line_of_an_export_is_covered(tmp_path: Path) -> None:
    """Each line deleted, doubled, swapped with the next or changed in any one byte is found; an event's is named."""
    file = tmp_path / "audit.jsonl"
    lines = exported(file)
    for at, line in enumerate(lines):
        versions = {
            "deleted": [*lines[:at], *lines[at + 1 :]],
            "doubled": [*lines[:at], line, *lines[at:]],
            "cut": lines[:at],
            "cut within": [*lines[:at], line[:-2]],
        }
        if at + 1 < len(lines):
            versions["swapped"] = [*lines[:at], lines[at + 1], line, *lines[at + 2 :]]
        for byte in range(0, len(line), 7):
            versions[f"byte {byte}"] = [
                *lines[:at],
                line[:byte] + bytes([line[byte] ^ 0x01]) + line[byte + 1 :],
                *lines[at + 1 :],
            ]
        for name, version in versions.items():
            file.write_bytes(b"".join(version))
            report = verify_file(file, KEYS)
            assert not report.ok or version == lines, f"line {at} {name}"
            if 1 <= at <= COUNT and name != "doubled" and not name.startswith("byte"):
                assert report.first_bad_seq == at, f"line {at} {name}: {report}"


@given(junk=st.binary(max_size=400))
def test_any_file_gets_a_report(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    """A file that is no export is said to be none, whatever is in it."""
    file = tmp_path_factory.mktemp("junk") / "audit.jsonl"
    file.write_bytes(junk)
    assert not verify_file(file).ok


@pytest.mark.parametrize(
    "header",
    [
        {"answerback_audit": 2},
        {"answerback_audit": 1, "hub": 5, "keys": {}, "events": 0},
        {"answerback_audit": 1, "hub": "h", "keys": {"k": "zz"}, "events": 0},
        {"answerback_audit": 1, "hub": "h", "keys": {"0" * 16: KEY.public.hex()}, "events": 0},
        {"answerback_audit": 1, "hub": "h", "keys": [], "events": "0"},
        [],
    ],
)
def test_a_wrong_header_is_no_export(tmp_path: Path, header: Any) -> None:
    """A header of another version or with keys under a wrong id is refused."""
    file = tmp_path / "audit.jsonl"
    file.write_bytes(canonical_json(header) + b"\n")
    assert "not an audit export" in verify_file(file).problem


def test_a_line_over_the_bound_is_bad_and_is_not_read_whole(tmp_path: Path) -> None:
    """A row longer than any the hub writes is a bad row."""
    file = tmp_path / "audit.jsonl"
    lines = exported(file)
    file.write_bytes(b"".join([*lines[:3], b" " * 3_000_000 + b"\n", *lines[4:]]))
    report = verify_file(file)
    assert (report.ok, report.first_bad_seq) == (False, 3)


def test_a_tampered_row_can_still_be_exported_and_is_found_there(tmp_path: Path) -> None:
    """The export of a spoilt store is made all the same, and fails where the store does."""
    file = tmp_path / "audit.jsonl"
    rows = [*ROWS[:4], ROWS[4]._replace(data="{spoilt"), *ROWS[5:]]
    exported(file, rows)
    assert verify_file(file).first_bad_seq == 5
    rows[4] = ROWS[4]._replace(data=b"\xff", actor=None)  # type: ignore[arg-type]
    exported(file, rows)
    assert verify_file(file).first_bad_seq == 5


def test_a_missing_tail_is_seen_in_the_export_too(tmp_path: Path) -> None:
    """A checkpoint beyond the last event is exported: it is the evidence."""
    file = tmp_path / "audit.jsonl"
    exported(file, ROWS[:5])
    report = verify_file(file)
    assert (report.ok, report.first_bad_seq) == (False, 6)
