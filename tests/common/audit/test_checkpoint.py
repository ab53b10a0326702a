"""Checkpoints as signed notes: any reader of the format reads them, and any change is seen."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from common.audit import checkpoint as module
from common.audit.checkpoint import key_id, parse_checkpoint, parse_key, read_notes, read_witness, verifier_key
from common.identity.signing import SigningKey
from common.identity.signing import key_id as signing_key_id
from tests.common.audit.logs import HUB, KEY, a_log

MARK = a_log().marks[1]


def test_a_note_is_a_signed_note() -> None:
    """C2SP signed-note and tlog-checkpoint, read here by their text alone."""
    text, _, signatures = MARK.note(HUB, KEY.public).partition("\n\n")
    body = text + "\n"
    name, size, root = body.splitlines()[:3]
    dash, signer, stamp = signatures.strip("\n").split(" ")
    raw = base64.b64decode(stamp, validate=True)
    assert (dash, signer, name, size) == ("\u2014", name, f"answerback/{HUB}", "7")
    assert base64.b64decode(root).hex() == MARK.root
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x01" + KEY.public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(raw[4:], body.encode())


def test_keys_have_one_id_and_a_form_that_strangers_keep() -> None:
    word = verifier_key(HUB, KEY.public)
    assert parse_key(word) == parse_key(KEY.public.hex()) == KEY.public
    assert key_id(KEY.public) == signing_key_id(KEY.public)
    for bad in ("", "x", word[:-2], word.replace(HUB, "hub-2"), "0" * 63, "a+b+c", word.replace("+", "-")):
        with pytest.raises(ValueError):
            parse_key(bad)


def test_every_field_is_signed() -> None:
    """Trust: a checkpoint changed in any field is nobody's word."""
    assert MARK.is_by(HUB, KEY.public)
    changed = [
        replace(MARK, seq=8),
        replace(MARK, hash="f" * 64),
        replace(MARK, root="f" * 64),
        replace(MARK, root=""),
        replace(MARK, root="zz"),
        replace(MARK, at=MARK.at + 1),
        replace(MARK, previous=2),
        replace(MARK, signature=b""),
    ]
    assert not any(mark.is_by(HUB, KEY.public) for mark in changed)
    assert not MARK.is_by("hub-2", KEY.public)
    assert not MARK.is_by(HUB, SigningKey.generate().public)


def test_notes_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """In syslog, a chat, a mail, a file of S3, another export; and nothing else is one."""
    line, note = MARK.line(HUB, KEY.public), MARK.note(HUB, KEY.public)
    file = tmp_path / "found"
    file.write_bytes(
        b"\xff\xfe junk\n"
        + f"Jan  1 00:00:00 host answerback-hub: {line}\r\n".encode()
        + f"alice: look \u2014 `{line}` says it\n".encode()
        + note.encode()
        + b"more\n"
        + line[:-3].encode()
        + b"\n"
        + line.replace("answerback/", "other/").encode()
        + b"\n\xe2\x80\x94 answerback/hub-1 nothing\n"
    )
    found = read_witness(file)
    assert [(hub, mark.seq, mark.root, mark.previous) for hub, mark in found] == [(HUB, 7, MARK.root, 3)] * 3
    assert all(mark.is_by(HUB, KEY.public) for _, mark in found)


def test_the_newest_notes_count_where_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NOTES", 2)
    file = tmp_path / "many"
    file.write_text("".join(mark.line(HUB, KEY.public) + "\n" for mark in a_log().marks))
    assert [mark.seq for _, mark in read_witness(file)] == [7, 9]


def test_a_body_that_is_no_checkpoint_is_refused() -> None:
    good = {"seq": 1, "hash": "h", "signature": "00", "key": "k", "at": 1.0}
    assert parse_checkpoint(good).root == ""
    for bad in ({"seq": "1"}, {"signature": "zz"}, {"root": "00"}, {"more": 1}, {"previous": None}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            parse_checkpoint({**good, **bad})
    assert list(read_notes([b'{"checkpoint":1}\n', b'{"checkpoint":{"seq":1}}\n', b'{"checkpoint":\n'])) == []
