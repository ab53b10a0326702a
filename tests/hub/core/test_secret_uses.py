"""The book of secrets: what is kept, what is written when, and what may be retired."""

from __future__ import annotations

import hashlib

from hub.core.secret_uses import (
    QUIET_SECONDS,
    WRITE_EVERY,
    SecretTimes,
    SecretUses,
    book_from_json,
    book_to_json,
    fingerprint,
    retire_problem,
)

NOW = 1_800_000_000.0


def test_a_fingerprint_is_that_of_any_sha256_and_the_book_comes_back() -> None:
    assert fingerprint(b"a secret") == hashlib.sha256(b"a secret").hexdigest()[:8]
    book = {"inlets.ops": {"0a1b2c3d": SecretTimes(1.0, 2.5)}}
    assert book_from_json(book_to_json(book)) == book
    for broken in ("", "[]", "{", '{"a": 1}', '{"a": {"b": [1]}}', '{"a": {"b": ["x", 1]}}', '{"a": {"b": null}}'):
        assert book_from_json(broken) == {}


def test_a_secret_is_retired_only_once_another_one_took_its_place() -> None:
    """Trust: an old secret is not ended while it is in use, or before its sender has shown that it changed."""
    last = NOW - QUIET_SECONDS
    for old, new, word in (
        (0.0, 0.0, ""),  # nobody knows of any use
        (NOW - 1, NOW, "1 s ago"),
        (last + 1, NOW, "3599 s ago"),
        (last, 0.0, "none of the others"),
        (last, last, "none of the others"),
        (last, last + 1, ""),
    ):
        told = retire_problem("old", ["new"], {"old": SecretTimes(0.0, old), "new": SecretTimes(0.0, new)}, NOW)
        assert (word in told) if word else told == "", (old, new, told)


def test_a_last_use_is_written_at_once_and_then_every_half_minute() -> None:
    uses = SecretUses({"inlets.ops": {fingerprint(b"old"): SecretTimes(0.0, NOW)}})
    key = ("inlets.ops", fingerprint(b"new"))
    assert uses.due(NOW) == {}
    uses.note("inlets.ops", b"new", NOW + 1)
    assert uses.due(NOW + 1) == {key: NOW + 1}
    uses.written({key: NOW + 1})
    uses.note("inlets.ops", b"new", NOW + 2)
    assert uses.due(NOW + 2) == {}
    assert uses.due(NOW + 1 + WRITE_EVERY) == {key: NOW + 2}
    assert uses.latest("inlets.ops", (b"old", b"new")) == b"new"
    assert uses.latest("inlets.ops", (b"old",)) == b"old"
    assert uses.latest("inlets.other", (b"old",)) == b""


def test_what_is_kept_is_bounded_by_the_secrets_that_hold() -> None:
    """A thousand rotations leave what stands in the files."""
    uses = SecretUses()
    for number in range(1000):
        line = b"secret %d" % number
        uses.note("inlets.ops", line, NOW + number)
        uses.keep("inlets", {"inlets.ops": (line,)})
    uses.note("models.big", b"key", NOW)
    uses.keep("inlets", {"inlets.ops": (line,)})
    assert set(uses.due(NOW + 2000)) == {("inlets.ops", fingerprint(line)), ("models.big", fingerprint(b"key"))}
