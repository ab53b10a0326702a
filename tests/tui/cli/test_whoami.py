"""answerback whoami: who the hub takes you for, and words by which a chat does."""

from __future__ import annotations

import re

import pytest

from tests.tui.live_hub import LiveHub

pytestmark = pytest.mark.xdist_group("live")


def test_the_key_that_signs_what_is_critical(answerback: LiveHub) -> None:
    """The public half, with the name that the hub knows; the same each time, and no secret."""
    name, key = answerback("whoami", "--approval-key").text.split()
    assert name == "alice"
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    assert answerback("whoami", "--approval-key", "--json").json == {"name": name, "key": key}


def test_who_you_are(answerback: LiveHub) -> None:
    """For people and for scripts; with --link what to say in a chat, another code each time."""
    assert re.fullmatch(r"alice: .*admin.*, at hub-\S+\n", answerback("whoami").text)
    assert answerback("whoami", "--json").json["person"] == "alice"
    assert re.search(r"within 10 minutes.*: link [0-9a-z]{5}-[0-9a-z]{5}\n", answerback("whoami", "--link").text)
    first, second = (answerback("whoami", "--link", "--json").json["words"] for _ in range(2))
    assert first != second


def test_a_key_under_a_passphrase(answerback: LiveHub) -> None:
    """Made with one from standard input; printed again only with it; a script that approves is told what it takes."""
    profile = answerback.profile("bob")
    kept = (profile / "approval.pem").rename(profile / "kept.pem") if (profile / "approval.pem").exists() else None
    try:
        words = ("whoami", "--approval-key")
        made = answerback.run_as("bob", *words, "--passphrase", stdin=b"open sesame\n")
        assert made.code == 0, made.err
        assert answerback.run_as("bob", *words, stdin=b"open sesame\n").text == made.text
        for given, told in ((b"other\n", "the passphrase is another"), (b"\n", "no characters")):
            ended = answerback.run_as("bob", *words, stdin=given)
            assert (ended.code, ended.out) == (2, b"")
            assert told in ended.err
        asking = answerback.create_asking_request(script="ask-signed")
        number = f"r{asking['number']}"
        ended = answerback.run_as("bob", "approve", number, "--plan", asking["plan_hash"])
        assert (ended.code, "under a passphrase" in ended.err) == (2, True)
        answerback.run_as("bob", "reject", number)
        assert "--passphrase is for --approval-key" in answerback.run_as("bob", "whoami", "--passphrase").err
        (profile / "approval.pem").unlink()
        answerback.run_as("bob", *words)
        ended = answerback.run_as("bob", *words, "--passphrase", stdin=b"x\n")
        assert (ended.code, "without a passphrase" in ended.err) == (2, True)
    finally:
        (profile / "approval.pem").unlink(missing_ok=True)
        if kept is not None:
            kept.rename(profile / "approval.pem")
