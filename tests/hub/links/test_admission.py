"""Who is told to come again later; over real sockets in test_server.py."""

from __future__ import annotations

import pytest

from common.identity.certificates import Identity
from hub.links.admission import BUSY, MAX_BUSY, MAX_GREETING, PENALTY, LinkAdmission

WEB = Identity("agent", "web-1", "f", 9e9)
ALICE = Identity("operator", "alice", "f", 9e9)


def test_where_many_are_let_in_machines_come_again_and_people_do_not() -> None:
    admission = LinkAdmission()
    admission.greeting = MAX_GREETING - 1
    assert admission.is_ready()
    with pytest.raises(ValueError, match="x"), admission.letting_in(WEB):
        assert not admission.is_ready()
        raise ValueError("x")
    assert admission.is_ready()
    admission.greeting = MAX_BUSY
    refused = admission.refuse(WEB, 0.0)
    assert refused is not None
    assert (refused.code, 5.0 <= refused.retry_after <= 10.0) == (BUSY, True)
    assert admission.refuse(ALICE, 0.0) is None


def test_whoever_sends_no_frames_stays_away() -> None:
    admission = LinkAdmission()
    assert [admission.note_bad_frame(WEB, 1.0) for _ in range(3)] == [0.0, 0.0, 10.0]
    refused = admission.refuse(WEB, 2.0)
    assert refused is not None
    assert (refused.code, refused.retry_after) == (PENALTY, 9.0)
    assert admission.refuse(ALICE, 2.0) is None
    assert admission.refuse(WEB, 12.0) is None


def test_who_loses_the_access_while_the_store_says_yes_is_told_so() -> None:
    """By the certificate, or by the name; the others are let in."""
    admission, others = LinkAdmission(), Identity("agent", "db-1", "g", 9e9)
    with admission.letting_in(WEB) as one, admission.letting_in(others) as other, admission.letting_in(WEB) as again:
        admission.end({"f"}, ())
        for greeting in (one, again):
            refusal = greeting.refusal()
            assert refusal is not None
            assert refusal.code == "revoked"
        assert other.refusal() is None
        admission.end((), {("operator", "db-1")})
        assert other.refusal() is None
        admission.end((), {("agent", "db-1")})
        assert other.refusal() is not None
    assert admission.greeting == 0
